"""The findings that reports are read for, and how they roll up to the 14 CheXpert observations.

The 14 are too coarse for citations: a nodule is no mass, an endotracheal tube no feeding tube. So
reports are read for the findings below, and the 14 follow from them:

    FINDING["Nodule"].parent        # "Lung Lesion"
    FINDING["Scoliosis"].parent     # None: none of the 14, yet it precludes No Finding

Names come from published vocabularies, named with each finding: CheXpert (Irvin et al., AAAI 2019),
ChestX-ray14 (Wang et al., CVPR 2017), CXR-LT 2024 (Lin et al., arXiv 2506.07984), PadChest (Bustos
et al., Medical Image Analysis 2020), VinDr-CXR (Nguyen et al., Scientific Data 2022), RadLex, and
the Fleischner Society's glossary (Bankier et al., Radiology 2024).

Parents and ``precludes_no_finding`` follow the phrase lists of the published CheXpert labeler
(github.com/stanfordmlgroup/chexpert-labeler, ``phrases/mention``). Its list for No Finding names
what takes a normal label away without being one of the other 13: emphysema, scoliosis,
degeneration, calcification, hernia and more. Differences, each for a reason of medicine:

- Fibrosis is a Lung Opacity; the labeler files the bare word under Pleural Other.
- Vascular congestion is an uncertain Edema; the labeler has it positive.
- Adenopathy, bronchiectasis, an enlarged aorta and a shifted mediastinum preclude No Finding; its
  list leaves them out. A tortuous aorta, low lung volumes, sternotomy wires and clips do not.
"""

from dataclasses import dataclass
from typing import Literal

from db.labels import OBSERVATIONS

Region = Literal[
    "heart", "mediastinum", "vessels", "lungs", "pleura", "abdomen", "bones", "devices", "chest"
]
"""Where in a report a finding is told; ``chest`` is the image as a whole."""


@dataclass(frozen=True, kw_only=True)
class Finding:
    """One row of the table."""

    name: str
    region: Region
    definition: str
    source: str
    parent: str | None = None
    """The CheXpert observation that a mention rolls up to."""
    precludes_no_finding: bool = True
    """Whether a report that has it, for certain or perhaps, cannot be a No Finding."""


def _finding(
    name: str,
    region: Region,
    parent: str | None,
    source: str,
    definition: str,
    *,
    precludes: bool = True,
) -> Finding:
    return Finding(
        name=name,
        region=region,
        parent=parent,
        source=source,
        definition=definition,
        precludes_no_finding=precludes and parent != "Support Devices",
    )


_DEVICE = "Support Devices"

ALL_FINDINGS: tuple[Finding, ...] = (
    _finding("Cardiomegaly", "heart", "Cardiomegaly", "CheXpert",
             "Enlarged heart or cardiac silhouette."),
    _finding("Enlarged Cardiomediastinum", "mediastinum", "Enlarged Cardiomediastinum", "CheXpert",
             "Widened mediastinum or cardiomediastinal silhouette."),
    _finding("Mediastinal Shift", "mediastinum", None, "PadChest (mediastinal shift)",
             "Trachea or mediastinum displaced to one side."),
    _finding("Lymphadenopathy", "mediastinum", None, "CXR-LT 2024 (adenopathy)",
             "Enlarged hilar or mediastinal lymph nodes."),
    _finding("Hilar Enlargement", "mediastinum", None, "PadChest (hilar enlargement)",
             "Large, full or prominent hilum, or large pulmonary artery."),
    _finding("Tortuous Aorta", "mediastinum", None, "CXR-LT 2024",
             "Tortuous, unfolded, uncoiled or elongated aorta.", precludes=False),
    _finding("Aortic Calcification", "mediastinum", None, "CXR-LT 2024",
             "Calcified or atherosclerotic aorta or aortic arch."),
    _finding("Aortic Enlargement", "mediastinum", None, "VinDr-CXR",
             "Dilated, ectatic, aneurysmal or prominent aorta."),
    _finding("Pneumomediastinum", "mediastinum", None, "CXR-LT 2024",
             "Air in the mediastinum."),
    _finding("Vascular Congestion", "vessels", "Edema", "PadChest (vascular redistribution)",
             "Congested, engorged or redistributed pulmonary vessels, short of edema."),
    _finding("Edema", "lungs", "Edema", "CheXpert",
             "Pulmonary edema, Kerley lines or congestive heart failure."),
    _finding("Lung Opacity", "lungs", "Lung Opacity", "CheXpert",
             "Opacity, density or airspace disease without a more exact name."),
    _finding("Infiltrate", "lungs", "Lung Opacity", "ChestX-ray14 (infiltration)",
             "What the report calls an infiltrate."),
    _finding("Interstitial Pattern", "lungs", "Lung Opacity", "PadChest",
             "Interstitial, reticular or coarse markings, interstitial lung disease."),
    _finding("Consolidation", "lungs", "Consolidation", "CheXpert",
             "What the report calls a consolidation."),
    _finding("Pneumonia", "lungs", "Pneumonia", "CheXpert",
             "Pneumonia, pneumonitis or infection of the lung."),
    _finding("Atelectasis", "lungs", "Atelectasis", "CheXpert",
             "Atelectasis, or collapse of a lung or lobe."),
    _finding("Volume Loss", "lungs", None, "PadChest",
             "Volume loss of a lung or lobe, where it is so called."),
    _finding("Nodule", "lungs", "Lung Lesion", "ChestX-ray14",
             "Nodule or nodular opacity of the lung that is not called calcified."),
    _finding("Mass", "lungs", "Lung Lesion", "ChestX-ray14",
             "Mass, mass-like opacity, or lesion of the lung without another name."),
    _finding("Neoplasm", "lungs", "Lung Lesion", "PadChest (lung metastasis)",
             "Tumor, carcinoma, malignancy or metastases of the lung, by name."),
    _finding("Cavity", "lungs", "Lung Lesion", "PadChest (cavitation)",
             "Cavity or cavitary lesion of the lung."),
    _finding("Granuloma", "lungs", None, "PadChest",
             "Granuloma, calcified nodule or calcified nodes, old granulomatous disease."),
    _finding("Emphysema", "lungs", None, "ChestX-ray14",
             "Emphysema, bullae or chronic obstructive pulmonary disease."),
    _finding("Hyperinflation", "lungs", None, "PadChest (hyperinflated lung)",
             "Hyperinflated or hyperexpanded lungs, flat diaphragms, air trapping."),
    _finding("Low Lung Volumes", "lungs", None, "PadChest (hypoexpansion)",
             "Low lung volumes, poor inspiration.", precludes=False),
    _finding("Fibrosis", "lungs", "Lung Opacity", "ChestX-ray14",
             "Pulmonary fibrosis or honeycombing."),
    _finding("Scarring", "lungs", "Lung Opacity", "RadLex (scar)",
             "Scar of the lung."),
    _finding("Bronchial Thickening", "lungs", "Lung Opacity", "CheXpert, PadChest",
             "Thick bronchial walls or peribronchial cuffing."),
    _finding("Bronchiectasis", "lungs", None, "PadChest",
             "Widened bronchi."),
    _finding("Pneumothorax", "pleura", "Pneumothorax", "CheXpert",
             "Air in the pleural space, hydropneumothorax included."),
    _finding("Pleural Effusion", "pleura", "Pleural Effusion", "CheXpert",
             "Fluid, blood or pus in the pleural space."),
    _finding("Pleural Thickening", "pleura", "Pleural Other", "ChestX-ray14",
             "Pleural thickening, scar, plaque or calcification, apical cap."),
    _finding("Blunted Costophrenic Angle", "pleura", None, "PadChest",
             "Blunted or obscured costophrenic angle, where no effusion is named."),
    _finding("Elevated Hemidiaphragm", "abdomen", None, "PadChest (hemidiaphragm elevation)",
             "Raised hemidiaphragm or eventration."),
    _finding("Hernia", "abdomen", None, "ChestX-ray14",
             "Hiatal or diaphragmatic hernia."),
    _finding("Pneumoperitoneum", "abdomen", None, "CXR-LT 2024",
             "Free air under the diaphragm."),
    _finding("Subcutaneous Emphysema", "bones", None, "CXR-LT 2024",
             "Air in the soft tissues of the chest wall or neck."),
    _finding("Rib Fracture", "bones", "Fracture", "CXR-LT 2024",
             "Fracture of a rib, new or healed."),
    _finding("Vertebral Fracture", "bones", "Fracture", "PadChest (vertebral compression)",
             "Fracture, compression or wedging of a vertebra."),
    _finding("Other Fracture", "bones", "Fracture", "CheXpert",
             "Fracture of another bone, or without a bone named."),
    _finding("Scoliosis", "bones", None, "PadChest",
             "Sideways curvature of the spine."),
    _finding("Kyphosis", "bones", None, "PadChest",
             "Forward curvature of the spine."),
    _finding("Degenerative Change", "bones", None, "RadLex",
             "Degeneration of spine or joints, osteophytes, arthritis."),
    _finding("Osteopenia", "bones", None, "PadChest",
             "Osteopenia, osteoporosis or demineralization."),
    _finding("Endotracheal Tube", "devices", _DEVICE, "PadChest",
             "Endotracheal tube."),
    _finding("Tracheostomy Tube", "devices", _DEVICE, "PadChest",
             "Tracheostomy tube or tracheostomy."),
    _finding("Enteric Tube", "devices", _DEVICE, "PadChest (NSG tube)",
             "Nasogastric, orogastric or feeding tube."),
    _finding("PICC", "devices", _DEVICE, "RadLex",
             "Peripherally inserted central catheter."),
    _finding("Port Catheter", "devices", _DEVICE, "PadChest (reservoir central venous catheter)",
             "Central venous catheter with an implanted port."),
    _finding("Central Venous Catheter", "devices", _DEVICE, "PadChest",
             "Any other central venous or dialysis line."),
    _finding("Pulmonary Artery Catheter", "devices", _DEVICE, "RadLex",
             "Swan-Ganz catheter."),
    _finding("Chest Tube", "devices", _DEVICE, "PadChest",
             "Chest tube or pleural drain."),
    _finding("Pacemaker", "devices", _DEVICE, "PadChest (pacemaker, dai)",
             "Pacemaker or implanted defibrillator, with its leads."),
    _finding("Valve Prosthesis", "devices", _DEVICE, "PadChest (artificial heart valve)",
             "Prosthetic heart valve or valve replacement."),
    _finding("Other Device", "devices", _DEVICE, "CheXpert",
             "Any other support device, tube, line or implanted hardware."),
    _finding("Sternotomy Wires", "devices", None, "PadChest (sternotomy)",
             "Sternal wires or median sternotomy.", precludes=False),
    _finding("Surgical Clips", "devices", None, "PadChest (surgery)",
             "Surgical clips or staples.", precludes=False),
)  # fmt: skip
"""In the order in which a report tells them."""

FINDING: dict[str, Finding] = {finding.name: finding for finding in ALL_FINDINGS}

CHILDREN: dict[str, tuple[str, ...]] = {
    observation: tuple(f.name for f in ALL_FINDINGS if f.parent == observation)
    for observation in OBSERVATIONS
}
"""Observation to the findings that roll up to it; empty for No Finding."""
