"""Every finding of the table is read, and rolls up as CheXpert has it."""

import pytest

from db.findings import ALL_FINDINGS, CHILDREN, FINDING, Finding
from db.labels import FINDINGS, NO_FINDING, State
from indexer.reports.labeller import label_report, label_sentence, mentions

WORDINGS: dict[str, str] = {
    "Cardiomegaly": (
        "cardiomegaly|cardiac enlargement|enlargement of the cardiac silhouette|enlarged heart"
    ),
    "Enlarged Cardiomediastinum": (
        "mediastinal widening|widened mediastinum|widening of the superior mediastinum"
    ),
    "Mediastinal Shift": (
        "mediastinal shift|tracheal deviation|shift of the mediastinum to the left"
    ),
    "Lymphadenopathy": (
        "lymphadenopathy|hilar adenopathy|mediastinal lymphadenopathy|enlarged lymph nodes"
    ),
    "Hilar Enlargement": (
        "hilar enlargement|hilar prominence|enlargement of the right hilum|prominent hila|"
        "enlarged pulmonary arteries"
    ),
    "Tortuous Aorta": "tortuous aorta|aortic tortuosity|unfolding of the aorta",
    "Aortic Calcification": (
        "aortic calcification|calcification of the aortic arch|atherosclerotic aorta|"
        "aortic atherosclerosis|calcified aorta"
    ),
    "Aortic Enlargement": (
        "aortic aneurysm|ectatic aorta|dilatation of the ascending aorta|"
        "aneurysmal dilation of the thoracic aorta|aortic enlargement"
    ),
    "Pneumomediastinum": "pneumomediastinum|mediastinal air",
    "Vascular Congestion": (
        "pulmonary vascular congestion|vascular congestion|pulmonary venous congestion|"
        "cephalization|vascular engorgement|pulmonary vascular redistribution"
    ),
    "Edema": (
        "pulmonary oedema|interstitial edema|pulmonary edema|congestive heart failure|CHF|"
        "Kerley B lines|heart failure"
    ),
    "Lung Opacity": (
        "lung opacity|airspace opacity|air-space disease|ground-glass opacity|opacification|"
        "airspace opacities|hazy density"
    ),
    "Infiltrate": "infiltrate|infiltrates|pulmonary infiltrate",
    "Interstitial Pattern": (
        "interstitial markings|interstitial lung disease|reticular pattern|"
        "reticulonodular opacities|interstitial thickening|interstitial pattern|"
        "interstitial opacities"
    ),
    "Consolidation": "consolidation|focal consolidation|lobar consolidation",
    "Pneumonia": "pneumonia|bronchopneumonia|pneumonitis|infectious process",
    "Atelectasis": "atelectasis|lobar collapse|subsegmental atelectasis|atelectatic changes",
    "Volume Loss": "volume loss|loss of volume",
    "Nodule": "pulmonary nodule|nodules|nodular opacity|nodular density|nodular opacities",
    "Mass": "mass|lung mass|mass-like opacity|masses",
    "Neoplasm": (
        "metastases|lung cancer|malignancy|neoplasm|tumour|bronchogenic carcinoma|"
        "metastatic disease"
    ),
    "Cavity": "cavitary lesion|cavitation|cavity",
    "Granuloma": (
        "calcified granuloma|granulomas|calcified nodule|calcified hilar nodes|"
        "old granulomatous disease|granulomatous disease"
    ),
    "Emphysema": (
        "emphysema|COPD|emphysematous changes|bullae|chronic obstructive pulmonary disease|"
        "bullous disease"
    ),
    "Hyperinflation": (
        "hyperinflation|hyperinflated lungs|hyperexpansion|flattening of the diaphragms|"
        "flattened hemidiaphragms|air trapping"
    ),
    "Low Lung Volumes": (
        "low lung volumes|hypoinflation|poor inspiration|poor inspiratory effort|low volumes"
    ),
    "Fibrosis": "pulmonary fibrosis|fibrosis|fibrotic changes|honeycombing",
    "Scarring": "scarring|scar|parenchymal scarring|linear scarring",
    "Bronchial Thickening": (
        "peribronchial cuffing|bronchial wall thickening|peribronchial thickening|bronchitis|"
        "thickened bronchial walls"
    ),
    "Bronchiectasis": "bronchiectasis",
    "Pneumothorax": "pneumothorax|PTX|apical pneumothorax",
    "Pleural Effusion": "pleural effusion|effusion|pleural fluid|haemothorax|empyema|effusions",
    "Pleural Thickening": (
        "pleural thickening|pleural plaques|pleural scarring|apical cap|pleural calcification|"
        "calcified pleural plaque|biapical pleural thickening"
    ),
    "Blunted Costophrenic Angle": (
        "blunting of the costophrenic angle|costophrenic angle blunting|"
        "blunted left costophrenic angle"
    ),
    "Elevated Hemidiaphragm": (
        "elevation of the hemidiaphragm|elevated right hemidiaphragm|eventration|"
        "diaphragmatic elevation|hemidiaphragm elevation|eventration of the diaphragm"
    ),
    "Hernia": "hiatal hernia|hiatus hernia|diaphragmatic hernia",
    "Pneumoperitoneum": (
        "free air|pneumoperitoneum|free intraperitoneal air|subdiaphragmatic free air|"
        "free subdiaphragmatic gas"
    ),
    "Subcutaneous Emphysema": (
        "subcutaneous emphysema|surgical emphysema|subcutaneous air|subcutaneous gas"
    ),
    "Rib Fracture": (
        "rib fracture|rib fractures|fracture of the left 7th rib|fractured ribs|"
        "healed rib fractures"
    ),
    "Vertebral Fracture": (
        "vertebral fracture|compression fracture|compression deformity|"
        "vertebral body compression|anterior wedging|compression fracture of T8|"
        "loss of vertebral body height|vertebral collapse"
    ),
    "Other Fracture": "fracture|clavicle fracture|humeral fracture|fracture of the clavicle",
    "Scoliosis": "scoliosis|dextroscoliosis|levoscoliosis|curvature of the spine",
    "Kyphosis": "kyphosis|kyphotic deformity",
    "Degenerative Change": (
        "degenerative changes|spondylosis|osteophytes|degenerative disc disease|osteoarthritis|"
        "spurring"
    ),
    "Osteopenia": "osteopenia|osteoporosis|demineralisation",
    "Endotracheal Tube": "endotracheal tube|ETT|ET tube",
    "Tracheostomy Tube": "tracheostomy tube|tracheostomy",
    "Enteric Tube": (
        "nasogastric tube|NG tube|feeding tube|enteric tube|Dobbhoff tube|orogastric tube|OG tube"
    ),
    "PICC": "PICC|PICC line|peripherally inserted central catheter",
    "Port Catheter": "Port-A-Cath|Mediport|port catheter|chest port",
    "Central Venous Catheter": (
        "central venous catheter|central line|dialysis catheter|internal jugular line|"
        "subclavian line|tunneled dialysis catheter|IJ catheter|Hickman catheter|CVC"
    ),
    "Pulmonary Artery Catheter": "Swan-Ganz catheter|pulmonary artery catheter|Swan-Ganz",
    "Chest Tube": (
        "chest tube|pigtail catheter|pleural drain|chest tubes|thoracostomy tube|intercostal drain"
    ),
    "Pacemaker": (
        "pacemaker|ICD|AICD|defibrillator|pacer leads|dual-chamber pacemaker|pacing wires"
    ),
    "Valve Prosthesis": (
        "prosthetic valve|prosthetic heart valve|aortic valve replacement|mechanical valve|"
        "mitral valve prosthesis"
    ),
    "Other Device": (
        "support devices|orthopedic hardware|intra-aortic balloon pump|spinal stimulator|"
        "surgical hardware|VP shunt|lines or tubes"
    ),
    "Sternotomy Wires": "sternotomy wires|sternal wires|median sternotomy wires",
    "Surgical Clips": "surgical clips|clips|cholecystectomy clips",
}
"""Wordings of each finding, apart by a stroke."""

FRAMES: list[tuple[str, State]] = [
    ("There is {}.", "positive"),
    ("{} present.", "positive"),
    ("Stable {}.", "positive"),
    ("No {}.", "negative"),
    ("{} is not seen.", "negative"),
    ("{}: none.", "negative"),
    ("No {0}, {0}, or {0}.", "negative"),
    ("Possible {}.", "uncertain"),
    ("{} cannot be excluded.", "uncertain"),
    ("{}?", "uncertain"),
]


def test_every_finding_has_wordings() -> None:
    assert list(WORDINGS) == [finding.name for finding in ALL_FINDINGS]


@pytest.mark.parametrize("finding", WORDINGS)
def test_a_finding_is_read_in_all_states_and_no_other_with_it(finding: str) -> None:
    for words in WORDINGS[finding].split("|"):
        for frame, state in FRAMES:
            text = frame.format(words)
            found = {(mention.finding, mention.state) for mention in mentions(text)}
            assert found == {(finding, state)}, text


def test_the_table_rolls_up_to_the_observations() -> None:
    assert len(FINDING) == len(ALL_FINDINGS) >= 49
    assert all(finding.parent in (None, *FINDINGS) for finding in ALL_FINDINGS)
    assert all(CHILDREN[name] for name in FINDINGS) and not CHILDREN[NO_FINDING]
    assert all(finding.definition and finding.source for finding in ALL_FINDINGS)


@pytest.mark.parametrize(
    ("text", "labels"),
    [
        ("Nodule or mass.", {"Lung Lesion": "positive"}),
        ("Nodule or scar.", {"Lung Lesion": "uncertain", "Lung Opacity": "uncertain"}),
        ("Pulmonary vascular congestion.", {"Edema": "uncertain"}),
        ("No vascular congestion.", {"Edema": "negative"}),
        ("Vascular congestion without edema.", {"Edema": "uncertain"}),
        ("Compression deformity of T8.", {}),
        ("Compression fracture of T8.", {"Fracture": "positive"}),
        ("Vague density over the first rib.", {}),
        ("Sternotomy wires and surgical clips.", {}),
        ("Pulmonary fibrosis.", {"Lung Opacity": "positive"}),
        ("Hemopneumothorax.", {"Pneumothorax": "positive", "Pleural Effusion": "positive"}),
    ],
)
def test_observations_follow_from_the_findings(text: str, labels: dict[str, State]) -> None:
    assert label_sentence(text) == labels


@pytest.mark.parametrize(
    "finding",
    [finding for finding in ALL_FINDINGS if finding.precludes_no_finding],
    ids=lambda finding: finding.name,
)
def test_no_report_with_such_a_finding_is_a_no_finding(finding: Finding) -> None:
    words = WORDINGS[finding.name].split("|")[0]
    assert NO_FINDING not in label_report(["Normal heart size.", f"There is {words}."])
    assert NO_FINDING not in label_report(["Normal heart size.", f"Possible {words}."])
    assert label_report(["Normal heart size.", f"No {words}."])[NO_FINDING] == "positive"


@pytest.mark.parametrize(
    "finding",
    [finding for finding in ALL_FINDINGS if not finding.precludes_no_finding],
    ids=lambda finding: finding.name,
)
def test_devices_and_the_like_leave_no_finding(finding: Finding) -> None:
    words = WORDINGS[finding.name].split("|")[0]
    assert label_report(["Normal heart size.", f"There is {words}."])[NO_FINDING] == "positive"


def test_a_sentence_that_calls_the_chest_normal_is_a_no_finding_unless_it_names_one() -> None:
    normal = ("Normal chest.", "No acute cardiopulmonary process.", "CXR NAD.", "Nil acute.")
    for text in (*normal, "Normal for age.", "Low lung volumes, otherwise negative."):
        assert label_sentence(text) == {NO_FINDING: "positive"}
    for text in ("Scoliosis, otherwise normal chest.", "Emphysema, no acute chest disease."):
        assert NO_FINDING not in label_sentence(text)
