"""What a sentence says of each finding, kind by kind."""

import pytest

from db.labels import State
from indexer.reports.labeller import mentions

_RANK: dict[State, int] = {"negative": 0, "uncertain": 1, "positive": 2}
_SIGN: dict[str, State] = {"+": "positive", "-": "negative", "?": "uncertain"}


def states(text: str) -> dict[str, State]:
    """The strongest state of each finding that the text mentions."""
    found: dict[str, State] = {}
    for mention in mentions(text):
        state = found.get(mention.finding, mention.state)
        found[mention.finding] = max(state, mention.state, key=_RANK.__getitem__)
    return found


def expected(line: str) -> dict[str, State]:
    """Finding to state, from a line like ``+Nodule; -Pleural Effusion``."""
    return {part[1:]: _SIGN[part[0]] for part in line.split("; ") if part}


DENIAL_ENDS = [
    ("No effusion, right basal consolidation.", "-Pleural Effusion; +Consolidation"),
    ("No edema and a tiny left apical pneumothorax.", "-Edema; +Pneumothorax"),
    ("No collapse and new right nodule.", "-Atelectasis; +Nodule"),
    ("No nodule, enlarging hilar lymph nodes on the left.", "-Nodule"),
    ("No pneumothorax (moderate right effusion).", "-Pneumothorax; +Pleural Effusion"),
    ("No edema - patchy right infiltrate.", "-Edema; +Infiltrate"),
    ("No rib fracture, Port-A-Cath in place.", "-Rib Fracture; +Port Catheter"),
    ("No effusion or mass, mild scoliosis.", "-Pleural Effusion; -Mass; +Scoliosis"),
    ("No fracture but osteopenia.", "-Other Fracture; +Osteopenia"),
    ("No pneumothorax with layering left effusion.", "-Pneumothorax; +Pleural Effusion"),
    ("No edema next to the pacemaker.", "-Edema; +Pacemaker"),
    ("No consolidation; cavity in the left apex.", "-Consolidation; +Cavity"),
    ("No infiltrate other than left basal atelectasis.", "-Infiltrate; +Atelectasis"),
    ("There is no mass, the left hilum is enlarged.", "-Mass; +Hilar Enlargement"),
    ("• No infiltrate\n• Moderate kyphosis", "-Infiltrate; +Kyphosis"),
    ("NG tube removed, left basal atelectasis persists.", "-Enteric Tube; +Atelectasis"),
    ("No effusion, nodule in the right apex.", "-Pleural Effusion; +Nodule"),
    ("Resolved edema, stable granuloma.", "-Edema; +Granuloma"),
    ("No edema, increased interstitial markings.", "-Edema; +Interstitial Pattern"),
    ("No effusion, low lung volumes.", "-Pleural Effusion; +Low Lung Volumes"),
    ("No tracheostomy with mild mediastinal shift.", "-Tracheostomy Tube; +Mediastinal Shift"),
]
DENIAL_IS_DENIED = [
    ("The chest is not without nodules.", "+Nodule"),
    ("The left base is not entirely free of atelectasis.", "+Atelectasis"),
    ("A pneumothorax is no longer absent.", "+Pneumothorax"),
    ("Effusion cannot be denied.", "+Pleural Effusion"),
    ("The lungs cannot be called clear.", "+Lung Opacity"),
    ("The lungs can hardly be described as clear.", "+Lung Opacity"),
    ("The lungs are no longer clear.", "+Lung Opacity"),
    ("One cannot say that the lungs are clear.", "+Lung Opacity"),
    ("The lungs are neither hyperinflated nor without opacity.", "-Hyperinflation; +Lung Opacity"),
    ("The trachea deviates to the right of the midline.", "+Mediastinal Shift"),
    ("The heart cannot be said to be normal.", "?Cardiomegaly"),
    ("The mediastinum is not normal.", "?Enlarged Cardiomediastinum"),
    ("The hila do not appear normal.", "?Hilar Enlargement"),
    ("The pleural spaces are not clear.", "?Pleural Effusion"),
    ("The trachea is not quite midline.", "+Mediastinal Shift"),
    ("The costophrenic angles are not sharp.", "+Blunted Costophrenic Angle"),
    ("Pneumonia is not unlikely.", "?Pneumonia"),
    ("The heart is not enlarged and the lungs are clear.", "-Cardiomegaly; -Lung Opacity"),
    ("The lungs are not hyperinflated and are clear.", "-Hyperinflation; -Lung Opacity"),
]
DENIAL_GOES_ON = [
    ("No mass, nodule, cavity or consolidation.", "-Mass; -Nodule; -Cavity; -Consolidation"),
    ("No mass, large effusion, or pneumothorax.", "-Mass; -Pleural Effusion; -Pneumothorax"),
    ("No left or right effusion.", "-Pleural Effusion"),
    ("No new, focal consolidation.", "-Consolidation"),
    ("Without fracture, effusion.", "-Other Fracture; -Pleural Effusion"),
    ("No acute findings (edema, pneumothorax).", "-Edema; -Pneumothorax"),
    ("Free of infiltrate, mass and effusion.", "-Infiltrate; -Mass; -Pleural Effusion"),
    ("Neither hernia nor free air.", "-Hernia; -Pneumoperitoneum"),
    ("No endotracheal tube, NG tube or PICC.", "-Endotracheal Tube; -Enteric Tube; -PICC"),
    ("No nodule/mass.", "-Nodule; -Mass"),
    ("No nodule, enlarged hilum, or mass.", "-Nodule; -Hilar Enlargement; -Mass"),
    ("No increased interstitial markings.", "-Interstitial Pattern"),
    ("Neither spinal hardware nor fracture.", "-Other Device; -Other Fracture"),
]
SHORTHAND = [
    ("Neg. for ptx.", "-Pneumothorax"),
    ("Heart enlarged w/o edema.", "+Cardiomegaly; -Edema"),
    ("Nil consolidation.", "-Consolidation"),
    ("(-) nodule (+) effusion", "-Nodule; +Pleural Effusion"),
    ("There isn’t a fracture.", "-Other Fracture"),
    ("We don't see a hernia.", "-Hernia"),
    ("Cannot see any nodule.", "-Nodule"),
    ("Absent effusion.", "-Pleural Effusion"),
    ("Poss. infiltrate, prob. scar.", "?Infiltrate; ?Scarring"),
    ("No evid. of effusion.", "-Pleural Effusion"),
    ("Zero evidence of edema.", "-Edema"),
    ("Old rib #.", "+Rib Fracture"),
    ("No PTX/effusion.", "-Pneumothorax; -Pleural Effusion"),
    ("No h/o trauma; no rib fx.", "-Rib Fracture"),
]
DENIED_BEHIND = [
    ("Nodule: none.", "-Nodule"),
    ("Hernia - absent", "-Hernia"),
    ("Edema: No", "-Edema"),
    ("Consolidation, mass, effusion: none.", "-Consolidation; -Mass; -Pleural Effusion"),
    ("Kyphosis is not seen.", "-Kyphosis"),
    ("Emphysema, bronchiectasis or fibrosis is not evident.",
     "-Emphysema; -Bronchiectasis; -Fibrosis"),
    ("The infiltrate has cleared.", "-Infiltrate"),
    ("Chest tube: not present", "-Chest Tube"),
    ("Large effusion and nodules are not identified.", "-Pleural Effusion; -Nodule"),
    ("Left effusion, pneumothorax not seen.", "+Pleural Effusion; -Pneumothorax"),
    ("Pneumonia has been excluded.", "-Pneumonia"),
    ("The effusion - large last week - has resolved.", "-Pleural Effusion"),
    ("Sternal wires present, clips absent.", "+Sternotomy Wires; -Surgical Clips"),
    ("Swan-Ganz has come out.", "-Pulmonary Artery Catheter"),
    ("The ETT was pulled back 2 cm.", "+Endotracheal Tube"),
    ("Patient extubated.", "-Endotracheal Tube"),
    ("The diaphragm is not elevated.", "-Elevated Hemidiaphragm"),
    ("Volumes are no longer low.", "-Low Lung Volumes"),
    ("The hila do not appear prominent.", "-Hilar Enlargement"),
    ("Noncalcified aorta.", "-Aortic Calcification"),
    ("Noncalcified nodule.", "+Nodule"),
    ("Effusion +, pneumothorax -", "+Pleural Effusion; -Pneumothorax"),
    ("Edema: N", "-Edema"),
    ("Vascular engorgement is within normal limits.", "-Vascular Congestion"),
]  # fmt: skip
ORGANS = [
    ("HEART: ENLARGED", "+Cardiomegaly"),
    ("Heart - normal. Lungs - clear.", "-Cardiomegaly; -Lung Opacity"),
    ("Lungs are not clear.", "+Lung Opacity"),
    ("Lungs: not entirely clear", "+Lung Opacity"),
    ("Heart size within limits of normal.", "-Cardiomegaly"),
    ("Cardiac silhouette is within the normal limits.", "-Cardiomegaly"),
    ("The heart is not enlarged.", "-Cardiomegaly"),
    ("Heart size is borderline.", "?Cardiomegaly"),
    ("Borderline heart size.", "?Cardiomegaly"),
    ("Heart, mediastinum and hila normal.",
     "-Cardiomegaly; -Enlarged Cardiomediastinum; -Hilar Enlargement"),
    ("Sharp costophrenic angles.", "-Blunted Costophrenic Angle"),
    ("The trachea is midline.", "-Mediastinal Shift"),
    ("Stable heart size.", ""),
    ("The cardiac, mediastinal and hilar contours are normal.",
     "-Cardiomegaly; -Enlarged Cardiomediastinum; -Hilar Enlargement"),
    ("Lungs hypoinflated but clear.", "+Low Lung Volumes; -Lung Opacity"),
    ("Heart, xxxx, mediastinum, bones unremarkable.",
     "-Cardiomegaly; -Enlarged Cardiomediastinum"),
    ("Normal lung vascularity.", ""),
    ("Midline trachea.", "-Mediastinal Shift"),
    ("Vertebral body heights are maintained.", "-Vertebral Fracture"),
    ("Interstitial markings are normal.", "-Interstitial Pattern"),
]  # fmt: skip
DOUBT = [
    ("Infiltrate?", "?Infiltrate"),
    ("?mass", "?Mass"),
    ("Consolidation in the lingula ?pneumonia.", "+Consolidation; ?Pneumonia"),
    ("Query hiatal hernia.", "?Hernia"),
    ("Effusion cannot be excluded.", "?Pleural Effusion"),
    ("Fracture to be excluded.", "?Other Fracture"),
    ("Cannot exclude a nodule.", "?Nodule"),
    ("Opacity, possibly pneumonia.", "+Lung Opacity; ?Pneumonia"),
    ("Opacity likely atelectasis.", "+Lung Opacity; ?Atelectasis"),
    ("Scar versus atelectasis.", "?Scarring; ?Atelectasis"),
    ("Mass questionable on the lateral view.", "?Mass"),
    ("PICC possibly present.", "?PICC"),
    ("The aorta may be dilated.", "?Aortic Enlargement"),
    ("Possible nodule adjacent to the pacemaker.", "?Nodule; +Pacemaker"),
    ("Round opacity in the left base, mass cannot be excluded.", "+Lung Opacity; ?Mass"),
    ("Suspected from the volume loss: bronchiectasis.", "+Volume Loss; +Bronchiectasis"),
    ("Raised left hemidiaphragm or subpulmonic effusion.",
     "?Elevated Hemidiaphragm; ?Pleural Effusion"),
    ("No possible pneumonia.", "-Pneumonia"),
    ("Atelectasis, less likely pneumonia.", "+Atelectasis; ?Pneumonia"),
    ("Exclude pneumonia.", "?Pneumonia"),
    ("The nodule is likely a calcified granuloma.", "+Nodule; ?Granuloma"),
    ("Pneumonia is suspected in the left base.", "?Pneumonia"),
]  # fmt: skip
NOT_THIS_IMAGE = [
    ("History of pneumonia and lung cancer.", ""),
    ("Her father had emphysema.", ""),
    ("Family history of pulmonary fibrosis.", ""),
    ("Treated for pneumonia last month.", ""),
    ("Skin fold mimics pneumothorax.", ""),
    ("If pneumonia persists, repeat the image.", ""),
    ("Should pneumonia be suspected clinically, obtain CT.", ""),
    ("Recommend CT for evaluation of nodules.", ""),
    ("History of COPD, now with small effusion.", "+Pleural Effusion"),
    ("Kein Pneumothorax.", ""),
]
ELSEWHERE = [
    ("Large renal mass.", ""),
    ("Liver failure.", ""),
    ("Ankle edema.", ""),
    ("Pericardial effusion.", ""),
    ("Mitral annular calcification.", ""),
    ("Umbilical hernia.", ""),
    ("Mass in the left breast.", ""),
    ("Knee effusion.", ""),
    ("ECG leads overlie the chest.", ""),
    ("Urinary tract infection.", ""),
    ("Fracture of a sternal wire.", "+Sternotomy Wires"),
    ("Pacer wires intact, no lead fracture.", "+Pacemaker"),
]
CHANGE_IS_NO_STATE = [
    ("No change in the nodule.", "+Nodule"),
    ("Near-complete resolution of the infiltrate.", "+Infiltrate"),
    ("Near complete clearing of edema.", "+Edema"),
    ("Incomplete resolution of the effusion.", "+Pleural Effusion"),
    ("Partially resolved consolidation.", "+Consolidation"),
    ("Complete resolution of the pneumonia.", "-Pneumonia"),
    ("The effusion has not increased.", "+Pleural Effusion"),
    ("Atelectasis: no change", "+Atelectasis"),
    ("The nodule is not as well seen today.", "+Nodule"),
    ("Opacity not seen on the prior study.", "+Lung Opacity"),
    ("No enlargement of the heart.", "-Cardiomegaly"),
    ("No interval development of pneumothorax.", "-Pneumothorax"),
]
EXACT_NAME = [
    ("Nodular opacity at the right base.", "+Nodule"),
    ("Mass-like opacity.", "+Mass"),
    ("Calcified nodule.", "+Granuloma"),
    ("Calcified hilar lymph nodes.", "+Granuloma"),
    ("Reticulonodular opacities.", "+Interstitial Pattern"),
    ("Consolidative opacity.", "+Consolidation"),
    ("Dextroconvex curvature.", "+Scoliosis"),
    ("Calcified granuloma; ectatic aorta.", "+Granuloma; +Aortic Enlargement"),
    ("Support devices: present", "+Other Device"),
    ("Lines and tubes: PICC", "+PICC"),
    ("Calcified mediastinal adenopathy.", "+Granuloma"),
    ("Subcutaneous emphysema.", "+Subcutaneous Emphysema"),
    ("Pleuroparenchymal scarring.", "+Pleural Thickening"),
    ("Hydropneumothorax.", "+Pneumothorax; +Pleural Effusion"),
    ("Compression deformity of T9.", "+Vertebral Fracture"),
    ("Fracture of the left fourth rib.", "+Rib Fracture"),
    ("Clavicle fracture.", "+Other Fracture"),
    ("Vascular congestion.", "+Vascular Congestion"),
    ("Aortic arch calcification and ectatic aorta.", "+Aortic Calcification; +Aortic Enlargement"),
    ("Pigtail catheter.", "+Chest Tube"),
    ("Right IJ dialysis catheter.", "+Central Venous Catheter"),
    ("Lines and tubes: none", "-Other Device"),
    ("Median sternotomy, CABG clips.", "+Sternotomy Wires; +Surgical Clips"),
]
SPELLING = [
    ("Pulmonary oedema.", "+Edema"),
    ("Haemothorax.", "+Pleural Effusion"),
    ("Lung tumour.", "+Neoplasm"),
    ("Pneumo-\nthorax on the left.", "+Pneumothorax"),
    ("No pleural eﬀusion.", "-Pleural Effusion"),
    ("Cardio-megaly.", "+Cardiomegaly"),
    ("Generalised demineralisation.", "+Osteopenia"),
    ("Hyper-inflated lungs.", "+Hyperinflation"),
    ("Effusion— none", "-Pleural Effusion"),
    ("No air-\nspace disease.", "-Lung Opacity"),
]
ALL = [
    (kind, text, line)
    for kind, rows in {
        "denial ends": DENIAL_ENDS,
        "denial is denied": DENIAL_IS_DENIED,
        "denial goes on": DENIAL_GOES_ON,
        "shorthand": SHORTHAND,
        "denied behind": DENIED_BEHIND,
        "organs": ORGANS,
        "doubt": DOUBT,
        "not this image": NOT_THIS_IMAGE,
        "elsewhere": ELSEWHERE,
        "change is no state": CHANGE_IS_NO_STATE,
        "exact name": EXACT_NAME,
        "spelling": SPELLING,
    }.items()
    for text, line in rows
]


@pytest.mark.parametrize(("kind", "text", "line"), ALL)
def test_a_sentence_is_read_as_a_careful_reader_would(kind: str, text: str, line: str) -> None:
    assert states(text) == expected(line), kind
