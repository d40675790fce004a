"""Whole reports in the layouts of English-speaking departments; all invented."""

import pytest

from tests.support.reports import Expected, differences

REPORTS = {
    "academic": Expected(
        text="""\
EXAMINATION:  CHEST (PA AND LAT)

INDICATION:  70 year old woman with new cough.  // pneumonia?

TECHNIQUE:  PA and lateral views of the chest.

COMPARISON:  Chest radiograph from ___.

FINDINGS:

The cardiac silhouette is mildly enlarged.  There is a small right pleural
effusion with adjacent atelectasis.

No pneumothorax.

IMPRESSION:

1.  Small right pleural effusion.
2.  Mild cardiomegaly.

NOTIFICATION:  The findings were discussed with Dr. ___ by telephone at 3:15 pm.
""",
        indication="70 year old woman with new cough. // pneumonia?",
        comparison="Chest radiograph from ___.",
        findings="The cardiac silhouette is mildly enlarged. There is a small right pleural"
        " effusion "
        "with adjacent atelectasis.\nNo pneumothorax.",
        impression="1. Small right pleural effusion.\n2. Mild cardiomegaly.",
        left_out=("title", "technique", "notification"),
    ),
    "all capitals with headings": Expected(
        text="""\
CHEST, 2 VIEWS
HISTORY: FEVER.
COMPARISON: NONE.
FINDINGS: THE LUNGS ARE HYPERINFLATED. NO FOCAL CONSOLIDATION.
THE HEART IS NOT ENLARGED.
IMPRESSION: EMPHYSEMA WITHOUT ACUTE DISEASE.
""",
        indication="FEVER.",
        comparison="NONE.",
        findings="THE LUNGS ARE HYPERINFLATED. NO FOCAL CONSOLIDATION.\nTHE HEART IS NOT ENLARGED.",
        impression="EMPHYSEMA WITHOUT ACUTE DISEASE.",
        left_out=("title",),
    ),
    "all capitals without headings": Expected(
        text="""\
PORTABLE CHEST
THE ENDOTRACHEAL TUBE ENDS 4 CM ABOVE THE CARINA.
BIBASILAR ATELECTASIS. NO PNEUMOTHORAX.
""",
        findings="THE ENDOTRACHEAL TUBE ENDS 4 CM ABOVE THE CARINA.\n"
        "BIBASILAR ATELECTASIS. NO PNEUMOTHORAX.",
        left_out=("title",),
        unplaced=True,
    ),
    "organ lines without a findings heading": Expected(
        text="""\
XR CHEST 2 VIEWS
CLINICAL INDICATION: Shortness of breath
COMPARISON: 3/4/2021

Lungs: Patchy left lower lobe opacity.
Pleura: No effusion or pneumothorax.
Heart/Mediastinum: Normal size. Aortic calcification.
Bones: Degenerative changes of the spine.

IMPRESSION:
Left lower lobe pneumonia.
""",
        indication="Shortness of breath",
        comparison="3/4/2021",
        findings="Lungs: Patchy left lower lobe opacity.\nPleura: No effusion or pneumothorax.\n"
        "Heart/Mediastinum: Normal size. Aortic calcification.\n"
        "Bones: Degenerative changes of the spine.",
        impression="Left lower lobe pneumonia.",
        left_out=("title",),
    ),
    "organ lines after the impression": Expected(
        text="""\
IMPRESSION:
1. Right upper lobe nodule.

LUNGS: 9 mm nodule in the right upper lobe.
HEART: Normal.
LINES/TUBES: None.
""",
        findings="LUNGS: 9 mm nodule in the right upper lobe.\nHEART: Normal.\nLINES/TUBES: None.",
        impression="1. Right upper lobe nodule.",
        misplaced=False,
    ),
    "organ names on lines of their own": Expected(
        text="""\
FINDINGS
LUNGS
Clear bilaterally.
HEART AND MEDIASTINUM
Within normal limits.
BONES
Old left rib fracture.
IMPRESSION
No acute disease.
""",
        findings="LUNGS: Clear bilaterally.\nHEART AND MEDIASTINUM: Within normal limits.\n"
        "BONES: Old left rib fracture.",
        impression="No acute disease.",
    ),
    "no headings at all": Expected(
        text="Heart size is normal. There is a subtle opacity at the right base. No effusion.",
        findings="Heart size is normal. There is a subtle opacity at the right base. No effusion.",
        unplaced=True,
    ),
    "no headings but a history": Expected(
        text="""\
54-year-old man with chest pain, evaluate for dissection.

The mediastinum is not widened. The lungs are clear.
""",
        indication="54-year-old man with chest pain, evaluate for dissection.",
        findings="The mediastinum is not widened. The lungs are clear.",
        unplaced=True,
    ),
    "one line": Expected(
        text="EXAM: XR CHEST PA/LAT HISTORY: Cough COMPARISON: None FINDINGS: Lungs are clear. "
        "Heart is normal. IMPRESSION: Normal chest. Electronically signed by A. Roe MD",
        indication="Cough",
        comparison="None",
        findings="Lungs are clear. Heart is normal.",
        impression="Normal chest.",
        left_out=("title", "signature"),
    ),
    "impression with recommendation in one heading": Expected(
        text="""\
CLINICAL INFO: Smoker
FINDINGS: 12 mm left upper lobe nodule.
IMPRESSION/RECOMMENDATION: Left upper lobe nodule. CT is recommended.
""",
        indication="Smoker",
        findings="12 mm left upper lobe nodule.",
        impression="Left upper lobe nodule. CT is recommended.",
    ),
    "findings and impression in one heading": Expected(
        text="INDICATION: Line placement\nFINDINGS AND IMPRESSION:\nRight PICC ends in the lower "
        "SVC. No pneumothorax.",
        indication="Line placement",
        findings="Right PICC ends in the lower SVC. No pneumothorax.",
    ),
    "impression and plan": Expected(
        text="FINDINGS: Large left effusion.\nIMPRESSION AND PLAN: Large left effusion, "
        "thoracentesis planned.",
        findings="Large left effusion.",
        impression="Large left effusion, thoracentesis planned.",
    ),
    "headings with modality and body part": Expected(
        text="""\
CHEST RADIOGRAPH FINDINGS: Mild pulmonary edema.
CHEST X-RAY IMPRESSION: Mild congestive heart failure.
""",
        findings="Mild pulmonary edema.",
        impression="Mild congestive heart failure.",
        left_out=("title",),
    ),
    "findings behind the technique": Expected(
        text="""\
TECHNIQUE: Single AP view of the chest. The heart is enlarged. There is vascular congestion.
IMPRESSION: Congestive heart failure.
""",
        findings="The heart is enlarged. There is vascular congestion.",
        impression="Congestive heart failure.",
        left_out=("technique",),
        misplaced=True,
    ),
    "findings behind the comparison": Expected(
        text="""\
COMPARISON: Radiograph of 2 March 2020.
There is a new right lower lobe opacity. Heart size is normal.
IMPRESSION: Right lower lobe pneumonia.
""",
        comparison="Radiograph of 2 March 2020.",
        findings="There is a new right lower lobe opacity. Heart size is normal.",
        impression="Right lower lobe pneumonia.",
        misplaced=True,
    ),
    "a paragraph between comparison and impression": Expected(
        text="""\
REASON FOR EXAM (entered by technologist): Trauma.

COMPARISON: CT of the same day.

Frontal view. Displaced fractures of the left 6th and 7th ribs. Small left pneumothorax.

IMPRESSION: Left rib fractures with a small pneumothorax.
""",
        indication="Trauma.",
        comparison="CT of the same day.",
        findings="Frontal view. Displaced fractures of the left 6th and 7th ribs. Small left "
        "pneumothorax.",
        impression="Left rib fractures with a small pneumothorax.",
        misplaced=True,
    ),
    "an indication of two paragraphs": Expected(
        text="""\
INDICATION: Fever and cough for three days.

Rule out pneumonia.

FINDINGS: Clear lungs.
IMPRESSION: No pneumonia.
""",
        indication="Fever and cough for three days.\nRule out pneumonia.",
        findings="Clear lungs.",
        impression="No pneumonia.",
    ),
    "numbered impression around a recommendation": Expected(
        text="""\
FINDINGS: As below.
IMPRESSION:
1. Left lower lobe collapse.
RECOMMENDATION: Repeat radiograph after physiotherapy.
2. Small left effusion.
3. Unchanged cardiomegaly.
""",
        findings="As below.",
        impression="1. Left lower lobe collapse.\n2. Small left effusion.\n3. Unchanged"
        " cardiomegaly.",
        left_out=("recommendation",),
    ),
    "a list of recommendations": Expected(
        text="IMPRESSION: 1. Nodule.\nRECOMMENDATIONS:\n1. CT of the chest.\n2. Comparison with"
        " old "
        "films.",
        impression="1. Nodule.",
        left_out=("recommendation",),
    ),
    "misspelled headings": Expected(
        text="INDICATON: Cough\nCOMPARISION: None\nFINDNGS: Clear lungs.\nIMPRESION: Normal.",
        indication="Cough",
        comparison="None",
        findings="Clear lungs.",
        impression="Normal.",
    ),
    "bold and hashed headings": Expected(
        text="## Indication\nCough\n\n**Findings:** Clear lungs.\n\n**Impression**\n- Normal"
        " chest.",
        indication="Cough",
        findings="Clear lungs.",
        impression="- Normal chest.",
    ),
    "headings before a dash or nothing": Expected(
        text="HISTORY - Dyspnea\nFINDINGS - The heart is large.\nIMPRESSION Cardiomegaly.",
        indication="Dyspnea",
        findings="The heart is large.",
        impression="Cardiomegaly.",
    ),
    "letterhead, patient data and signature": Expected(
        text="""\
ST. ELSEWHERE MEDICAL CENTER
DEPARTMENT OF RADIOLOGY
Patient Name: QUIXOTE, ZED
MRN: 31415926     DOB: 02/03/1947     Sex: M
Accession #: A-778
Ordering Physician: ROE, ANN MD
Exam Date: 01/02/2020 10:15 AM

XR CHEST PA AND LATERAL

HISTORY: Cough.
FINDINGS: Clear lungs.
IMPRESSION: Normal chest.

Dictated by: Ann Roe, MD
Electronically Signed by: John Doe, MD on 1/2/2020 11:30 AM
JD/ab
Page 1 of 1
""",
        indication="Cough.",
        findings="Clear lungs.",
        impression="Normal chest.",
        left_out=("header", "title", "signature"),
    ),
    "attestation of the attending": Expected(
        text="""\
FINDINGS: Left retrocardiac opacity.
IMPRESSION: Possible left lower lobe pneumonia.

I have personally reviewed the images and agree with the resident's interpretation.
Attending Radiologist: Jane Doe, MD
""",
        findings="Left retrocardiac opacity.",
        impression="Possible left lower lobe pneumonia.",
        left_out=("signature",),
    ),
    "initials of dictation": Expected(
        text="IMPRESSION: No acute disease.\nAR:jd\nD: 01/02/2020 10:00\nT: 01/02/2020 11:00",
        impression="No acute disease.",
        left_out=("signature",),
    ),
    "wet read before the report": Expected(
        text="""\
WET READ: ABC SUN 9:00 PM
No pneumothorax.  Low lung volumes.
______________________________________________________________________________
                                 FINAL REPORT
INDICATION: Status post line placement.

FINDINGS: Left internal jugular line ends in the SVC. Tiny left apical pneumothorax.

IMPRESSION: Tiny left pneumothorax.
""",
        indication="Status post line placement.",
        findings="Left internal jugular line ends in the SVC. Tiny left apical pneumothorax.",
        impression="Tiny left pneumothorax.",
        left_out=("header", "preliminary read"),
    ),
    "a wet read alone": Expected(
        text="WET READ: Small right effusion. No pneumothorax.",
        findings="Small right effusion. No pneumothorax.",
        notes=("a preliminary read is all there is, and was read",),
    ),
    "preliminary and final report": Expected(
        text="""\
PRELIMINARY REPORT
FINDINGS: No fracture.
IMPRESSION: No acute disease.

FINAL REPORT
FINDINGS: Nondisplaced right 5th rib fracture.
IMPRESSION: Right rib fracture.
""",
        findings="Nondisplaced right 5th rib fracture.",
        impression="Right rib fracture.",
        left_out=("preliminary read",),
    ),
    "sections without content": Expected(
        text="INDICATION: Cough\nFINDINGS: N/A\nIMPRESSION: Clear lungs.",
        indication="Cough",
        impression="Clear lungs.",
        left_out=("no content",),
    ),
    "british style": Expected(
        text="""\
Clinical Details: ?LRTI
CXR: Right basal consolidation. Heart size normal.
Comment: Appearances of infection. Follow up film in 6 weeks advised.

Dr A Roe
Consultant Radiologist
""",
        indication="?LRTI",
        findings="Right basal consolidation. Heart size normal.",
        impression="Appearances of infection. Follow up film in 6 weeks advised.",
        left_out=("title", "signature"),
    ),
    "a title with the findings behind it": Expected(
        text="CHEST 2 VIEWS: The lungs are clear. Heart size is normal.\nCONCLUSION: Normal chest.",
        findings="The lungs are clear. Heart size is normal.",
        impression="Normal chest.",
        left_out=("title",),
    ),
    "shouted words in a heading": Expected(
        text="UNDERLYING MEDICAL CONDITION: 60 M with lymphoma\nREASON FOR THIS EXAMINATION: port "
        "placement, r/o pneumothorax\n\nPORTABLE CHEST: A right port ends in the SVC. There is no "
        "pneumothorax.",
        indication="60 M with lymphoma\nport placement, r/o pneumothorax",
        findings="A right port ends in the SVC. There is no pneumothorax.",
        left_out=("title",),
    ),
    "organ lines with dashes": Expected(
        text="CXR\nHx: SOB\nLungs - clear\nHeart - normal size\nImp: NAD",
        indication="SOB",
        findings="Lungs: clear\nHeart: normal size",
        impression="NAD",
        left_out=("title",),
    ),
    "findings right under the clinical information": Expected(
        text="Clinical Info: 45F cough\nTrachea central. Lung fields clear. Heart"
        " normal.\n\nOpinion: "
        "Normal study.",
        indication="45F cough",
        findings="Trachea central. Lung fields clear. Heart normal.",
        impression="Normal study.",
        misplaced=True,
    ),
    "lines of an intensive care archive": Expected(
        text="""\
[**2118-6-3**] 4:10 AM
 CHEST (PORTABLE AP)                                    Clip # [**Clip Number (Radiology) 12**]
 Reason: line placement
 Admitting Diagnosis: SEPSIS
 ______________________________________________________________________________
 [**Hospital 2**] MEDICAL CONDITION:
  67 year old man with sepsis
 REASON FOR THIS EXAMINATION:
  line placement
 ______________________________________________________________________________
                                 FINAL REPORT
 COMPARISON:  [**2118-6-1**].

 PORTABLE AP CHEST:  Right IJ line terminates in the SVC. There is no pneumothorax.

 IMPRESSION:  Satisfactory line position.
""",
        indication="line placement\nSEPSIS\n67 year old man with sepsis\nline placement",
        comparison="[**2118-6-1**].",
        findings="Right IJ line terminates in the SVC. There is no pneumothorax.",
        impression="Satisfactory line position.",
        left_out=("header", "title"),
    ),
    "capitals in a running line, without colons": Expected(
        text="EXAM CHEST TWO VIEWS INDICATION cough COMPARISON None FINDINGS The lungs are clear. "
        "IMPRESSION No acute disease.",
        indication="cough",
        comparison="None",
        findings="The lungs are clear.",
        impression="No acute disease.",
        left_out=("title",),
    ),
    "headings in small letters on their own lines": Expected(
        text="indication\n dyspnea\nfindings\n bibasal fibrosis\nimpression\n pulmonary fibrosis",
        indication="dyspnea",
        findings="bibasal fibrosis",
        impression="pulmonary fibrosis",
    ),
    "a long line before a heading in it": Expected(
        text="Findings: The lungs are hyperinflated with flattening of both hemidiaphragms and an "
        "increased retrosternal clear space, as in emphysema. Conclusion: Emphysema.",
        findings="The lungs are hyperinflated with flattening of both hemidiaphragms and an "
        "increased retrosternal clear space, as in emphysema.",
        impression="Emphysema.",
    ),
    "a title behind the findings heading": Expected(
        text="REPORT: X-RAY CHEST PA VIEW\nBoth lung fields are clear.\nIMPRESSION: Normal study.\n"
        "DR. A. ROE\nMD RADIODIAGNOSIS",
        findings="Both lung fields are clear.",
        impression="Normal study.",
        left_out=("title", "signature"),
    ),
    "a medical record in the history": Expected(
        text="INDICATION: Additional information obtained from the medical record. History of lung "
        "cancer.\nIMPRESSION: Left upper lobe mass.",
        indication="Additional information obtained from the medical record. History of lung "
        "cancer.",
        impression="Left upper lobe mass.",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_a_report_is_read_as_a_person_reads_it(name: str) -> None:
    assert not differences(REPORTS[name])
