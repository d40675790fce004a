"""Support of a statement by a report: each finding with its own side, place, degree and doubt."""

import random
from functools import partial

import pytest

from generator.grounding.support.evidence import support
from tests.support.growth import ended_after, steps

HOLDS = {
    "side": (
        ("Pleural effusion.", "Small left pleural effusion."),
        ("Effusion on the left.", "L pleural effusion."),
        ("RUL nodule.", "Right upper lobe nodule."),
        ("Rt base atelectasis.", "Atelectasis at the right lung base."),
        ("Left effusion.", "Bilateral pleural effusions."),
        ("Bilateral effusions.", "Right effusion. There is also a left effusion."),
        ("Basal atelectasis on both sides.", "Bibasilar atelectasis."),
        ("Large right effusion.", "Large right and small left effusions."),
        ("Left upper lobe opacity.", "Right lower lobe and left upper lobe opacities."),
        ("Dextroscoliosis.", "Thoracic scoliosis convex to the right."),
        ("Right hilar fullness.", "Prominence of the right hilum."),
        ("Nodule in the lingula.", "7 mm lingular nodule."),
        ("Effusions, larger on the left.", "Bilateral effusions, left greater than right."),
        ("Rightward tracheal shift.", "Trachea deviated to the right by a left neck mass."),
        ("Tracheal displacement.", "Leftward deviation of the trachea."),
        ("Right-convex scoliosis.", "The thoracic spine is convex to the right."),
    ),
    "place": (
        ("Left basal atelectasis.", "Atelectasis of the left lower lobe."),
        ("Right upper lobe scarring.", "Right apical scarring."),
        ("Compression fracture of a thoracic vertebra.", "T8 compression fracture."),
        ("Healed fracture of the left sixth rib.", "Old left 6th rib fracture."),
        ("Pneumonia at the left base.", "Left base opacity compatible with pneumonia."),
    ),
    "general name": (
        ("There is a lung lesion.", "There is an 8 mm nodule at the left base."),
        ("Pulmonary lesion at the left base.", "Cavity at the left base."),
        ("There is a lung opacity.", "Mild interstitial opacities."),
        ("There is a lung opacity.", "Right lower lobe infiltrate."),
    ),
    "together": (
        ("LUL mass with cavitation.", "LUL mass. LUL cavity."),
        ("LUL mass with cavitation.", "There is a LUL mass containing a cavity."),
        ("Left effusion with atelectasis.", "Left effusion and left basal atelectasis."),
        ("RUL opacity with volume loss.", "Right upper lobe opacity and volume loss."),
        ("Cardiomegaly with edema.", "Pulmonary edema. The heart is large."),
    ),
    "term": (
        ("Left effusion and pneumatocele.", "Left effusion. Left pneumatoceles."),
        ("Right opacity with cystic change.", "Right opacity with cysts."),
        ("Opacity at the right lung base, suspicious in shape.", "RLL opacity."),
    ),
    "degree": (
        ("Enlarged heart.", "The heart is markedly enlarged."),
        ("Mild cardiac enlargement.", "The heart is slightly enlarged."),
        ("Massive left effusion.", "Large left pleural effusion."),
        ("Small left effusion.", "Tiny left effusion."),
    ),
    "size": (
        ("1 cm nodule in the left lower lobe.", "LLL nodule measuring 10 mm."),
        ("A mass of 4 x 3 cm in the right lower lobe.", "There is a 40 x 30 mm mass in the RLL."),
        ("Nodule in the right upper lobe.", "RUL nodule, 6 mm."),
        ("3 cm nodule in the right lower lobe.", "8 mm RUL and 3 cm RLL nodules."),
    ),
    "device": (
        ("Nasogastric tube in the stomach.", "Enteric tube with its tip in the gastric fundus."),
        ("The tube passes below the diaphragm, nasogastric.", "NG tube tip in the stomach."),
        ("Endotracheal tube in place.", "ETT tip 3 cm above the carina."),
        ("Right jugular line.", "Right IJ catheter, tip in the SVC."),
        ("Support devices in place.", "Right PICC in the SVC."),
    ),
    "certainty": (
        ("Possible pneumonia.", "Pneumonia is suspected."),
        ("Pneumonia.", "Findings consistent with pneumonia."),
        ("Probable small left effusion.", "There is likely a small left effusion."),
    ),
    "time": (
        ("Right effusion.", "Right effusion has increased since yesterday."),
        ("No pneumothorax.", "The pneumothorax has resolved."),
        ("Left upper lobe nodule.", "Unchanged nodule of the left upper lobe."),
    ),
    "denial": (
        ("No left effusion.", "No effusion."),
        ("No large effusion.", "There is no pleural effusion."),
        ("No acute rib fracture.", "No fracture."),
        ("No consolidation.", "The lungs are clear."),
        ("Heart size is normal.", "No cardiomegaly."),
        ("The lungs are clear.", "The left lung is clear. The right lung is clear."),
        ("No focal airspace disease.", "No focal airspace disease. Nodule in the left lung."),
        ("The left lung is clear.", "The left lung is clear. Right opacity, likely pneumonia."),
        ("No effusion or pneumothorax.", "No pneumothorax. The heart is large. No effusion."),
        ("No hiatal hernia.", "Hiatal hernia: none."),
    ),
    "organ": (
        ("The ribs are intact.", "Osseous structures are unremarkable."),
        ("No acute bony abnormality.", "The bony thorax is intact."),
        ("Heart size and vascularity are normal.", "Heart and pulmonary vasculature are normal."),
        ("No acute disease.", "Normal chest."),
    ),
    "words": (
        ("The stomach is distended with gas.", "Stomach distended with gas."),
        ("Right effusion; the stomach is distended.", "Right effusion. The stomach is distended."),
        ("Atherosclerotic aorta.", "Aortic calcifications."),
        ("Degenerative spine.", "Thoracic spondylosis."),
    ),
}

FAILS = {
    "side": (
        ("Left pleural effusion.", "Right effusion and left lower lobe atelectasis.", "right"),
        ("LUL nodule.", "RUL nodule.", "right, not left"),
        ("R pleural effusion.", "L pleural effusion.", "left, not right"),
        ("Rt. base atelectasis.", "Lt base atelectasis.", "left, not right"),
        ("Bilateral effusions.", "Right effusion. The left lung is clear.", "right, not left"),
        ("Bibasilar atelectasis.", "Atelectasis at the left base.", "left, not right"),
        ("Left lower lobe opacity.", "RLL and LUL opacities.", "right, not left"),
        ("Right-sided pneumothorax.", "Pneumothorax.", "gives no side"),
        ("Levoscoliosis.", "Dextroscoliosis.", "says dextro, not levo"),
        ("Left PICC.", "Right PICC, left chest tube.", "right, not left"),
        ("Effusions, larger on the left.", "Effusions, right larger than left.", "mainly left"),
        ("Tracheal shift to the left.", "Trachea deviated to the right by a left mass.", "right"),
    ),
    "place": (
        ("Right lower lobe nodule.", "Right upper lobe nodule. RLL scar.", "upper lobe"),
        ("Apical scarring.", "Basal scarring.", "says base, not apex"),
        ("Left hilar mass.", "Left lung mass.", "gives no place"),
        ("T8 compression fracture.", "Compression fracture of T12.", "says t12, not t8"),
        ("Left clavicle fracture.", "Left humerus fracture.", "humerus, not clavicle"),
        ("Pneumonia at the right base.", "Left base opacity, likely pneumonia.", "in doubt"),
        ("Diffuse opacities.", "Left lower lobe opacity.", "not diffuse"),
    ),
    "together": (
        ("LUL mass with cavitation.", "LUL mass. RUL cavity.", "right, not left (cavity)"),
        ("Mass with cavitation.", "LUL mass. RUL cavity.", "mass and cavity in different places"),
        ("Effusion with atelectasis.", "Left effusion. Right atelectasis.", "different places"),
        (
            "Opacity with effusion.",
            "Right opacity. Left effusion. Left interstitial markings.",
            "different places",
        ),
        ("Left effusion with atelectasis.", "Left effusion. Atelectasis.", "gives no side"),
    ),
    "term": (
        ("Left effusion and pneumatocele.", "Left effusion.", "does not mention pneumatocele"),
        ("Right base opacity, abscess.", "Right base opacity.", "does not mention abscess"),
        ("No effusion or abscess.", "No effusion.", "does not mention abscess"),
        ("Opacity from sarcoidosis.", "Opacity.", "does not mention sarcoidosis"),
        ("Clear lungs, hepatomegaly.", "Clear lungs.", "does not mention hepatomegaly"),
    ),
    "degree": (
        ("Large left effusion.", "Small left effusion.", "says mild or small, not severe or large"),
        ("Small right effusion.", "Large right and small left effusions.", "severe or large"),
        ("Severe emphysema.", "Emphysema. Severe kyphosis.", "gives no degree"),
        ("Minimal atelectasis.", "Mild atelectasis.", "mild or small"),
    ),
    "size": (
        ("3 cm nodule in the right upper lobe.", "RUL nodule of 8 mm.", "says 8 mm, not 3 cm"),
        ("3 cm nodule in the right upper lobe.", "8 mm RUL and 3 cm RLL nodules.", "8 mm"),
        ("4 mm nodule.", "A nodule. A 4 mm granuloma.", "gives no size"),
        ("Endotracheal tube 2 cm above the carina.", "ETT 4 cm above the carina.", "4 cm"),
    ),
    "device": (
        ("Endotracheal tube in place.", "Nasogastric tube in place.", "not mention endotracheal"),
        ("Tracheostomy tube.", "Endotracheal tube.", "does not mention tracheostomy"),
        ("PICC tip in the right atrium.", "PICC tip in the SVC.", "says tip at svc"),
        ("Central line tip in the SVC.", "Central venous catheter.", "gives no tip"),
        ("Biventricular pacemaker.", "Single lead pacemaker.", ""),
        ("Dual-lead pacemaker.", "Pacemaker (single-lead device).", "single lead, not dual"),
        ("Mitral valve prosthesis.", "Aortic valve prosthesis.", "says aortic, not mitral"),
        ("Left subclavian catheter.", "Left internal jugular catheter.", "subclavian"),
        ("Spinal hardware.", "Shoulder hardware.", ""),
    ),
    "certainty": (
        ("Right pneumonia.", "Possible right pneumonia.", "is in doubt about it"),
        ("Possible hernia.", "Hiatal hernia. Possible effusion.", "in no doubt"),
        ("No pneumothorax.", "Questionable left pneumothorax.", "possible pneumothorax"),
        ("Cardiomegaly.", "The heart is borderline in size.", "is in doubt about it"),
    ),
    "time": (
        ("The right effusion is larger.", "Right effusion, larger.", "how this image has changed"),
        ("Unchanged cardiomegaly.", "Cardiomegaly.", "how this image has changed"),
        ("Removal of the endotracheal tube.", "The ETT was removed.", "has changed"),
        ("Residual pneumothorax.", "Pneumothorax.", "has changed"),
        ("The lungs are better aerated.", "The lungs are better aerated.", "has changed"),
    ),
    "general name": (
        ("There is a lung mass.", "There is a nodule.", "does not mention mass"),
        ("There is a left lung lesion.", "There is a nodule at the right base.", "right, not left"),
        ("No lung lesion is seen.", "There is a nodule.", "reports nodule"),
        ("There is a lung opacity.", "Prominent interstitial markings.", "does not mention"),
        ("There is a lung opacity.", "Mild scarring.", "does not mention"),
    ),
    "denial": (
        ("No effusion.", "No left effusion.", "denies it only for left"),
        ("No effusion.", "No large effusion.", "denies it only if severe or large"),
        ("No fracture.", "No acute fracture.", "denies it only if acute"),
        ("No fracture.", "No acute fracture. Old rib fractures.", "reports rib fracture"),
        ("The lungs are clear.", "The lungs are clear. Right base consolidation.", "consolidation"),
        ("The lungs are clear.", "The left lung is clear.", "only for left"),
        ("The lungs are clear.", "The lungs are otherwise clear.", ""),
        ("Scoliosis.", "Scoliosis is not seen.", "denies it"),
        ("Right pneumothorax.", "Right rib fractures. No pneumothorax.", "denies it"),
    ),
    "organ": (
        ("Heart size and vascularity are normal.", "Heart size is normal.", "vessels normal"),
        ("The bones are intact.", "No acute bony abnormality.", "bones normal"),
        ("Normal chest.", "No acute cardiopulmonary disease.", "image normal"),
        ("No acute disease.", "No acute disease. Right pneumothorax.", "reports pneumothorax"),
    ),
    "words": (
        ("The stomach is distended.", "The stomach is not distended.", "these words"),
        ("Right effusion; the stomach is distended.", "Right effusion.", "stomach is distended"),
        ("Multiple masses.", "Solitary mass.", ""),
        ("Displaced rib fracture.", "Nondisplaced rib fracture.", "displaced"),
        ("Cardiomegaly with pericardial effusion.", "Cardiomegaly.", "pericardial"),
        ("Elevated right diaphragm after lobectomy.", "Elevated right diaphragm.", "surgery"),
        ("Bibasilar opacities, left greater than right.", "Bibasilar opacities.", "mainly left"),
        ("Degenerative spine.", "Degenerative changes of both shoulders.", ""),
        ("Clips in the left axilla.", "Surgical clips on the left.", "axillary"),
    ),
}


@pytest.mark.parametrize(
    ("statement", "report"), [pair for kind in HOLDS.values() for pair in kind]
)
def test_a_statement_that_says_no_more_than_the_report_holds(statement: str, report: str) -> None:
    found = support(statement, report)
    assert found.holds, found.reason
    assert found.reason == ""
    assert found.sentences


@pytest.mark.parametrize(
    ("statement", "report", "reason"), [row for kind in FAILS.values() for row in kind]
)
def test_a_statement_that_differs_fails_and_the_reason_names_what_differs(
    statement: str, report: str, reason: str
) -> None:
    found = support(statement, report)
    assert not found.holds
    assert found.reason
    assert reason in found.reason


@pytest.mark.parametrize("statement", [one for kind in HOLDS.values() for one, _ in kind])
def test_what_a_report_says_holds_of_itself(statement: str) -> None:
    assert support(statement, statement).holds


def test_all_sentences_that_a_statement_needs_are_named() -> None:
    report = "The heart is enlarged. The lungs are clear. No effusion. Cardiomegaly, no effusion."
    assert support("Cardiomegaly without effusion.", report).sentences == (3,)
    first = "The heart is enlarged. The lungs are clear. No effusion."
    assert set(support("Cardiomegaly without effusion.", first).sentences) == {0, 2}


PIECES = (
    "left right bilateral small large 3 cm 8 mm no possible effusion nodule pneumonia the lungs "
    "are clear ETT tip SVC RUL and or , ; . [1] ( ) ? \n - x \u00e9 \u2264 T8 unchanged is"
).split(" ")


def test_any_text_is_judged() -> None:
    draw = random.Random(0)
    for _ in range(300):
        statement = " ".join(draw.choices(PIECES, k=draw.randrange(12)))
        report = " ".join(draw.choices(PIECES, k=draw.randrange(30)))
        found = support(statement, report)
        assert found.holds == (not found.reason) == bool(found.sentences)


@pytest.mark.parametrize("text", ["", " ", ".", "\n\n", "\u00e4" * 50, "7"])
def test_a_text_that_says_nothing_supports_and_claims_nothing(text: str) -> None:
    assert not support(text, "Left effusion.").holds
    assert not support("Left effusion.", text).holds


def test_a_sentence_too_long_to_be_read_whole_never_holds() -> None:
    long = f"Left effusion, {'which is seen in the usual place, ' * 40} and right pneumothorax."
    assert not support(long, "Left effusion.").holds
    assert not support(long, long).holds


def test_a_side_said_of_a_long_report_is_still_its_own() -> None:
    filler = " ".join(f"Granuloma number {n} in the right lung." for n in range(40))
    assert support("Left effusion.", f"{filler} Left effusion. {filler}").holds
    assert not support("Right effusion.", f"{filler} Left effusion. {filler}").holds


@pytest.mark.parametrize("unit", ["left effusion, ", "no ", "and ", "3 cm ", "RUL ", "; the "])
def test_work_is_bounded_whatever_the_length(unit: str) -> None:
    short = steps(partial(support, unit * 40, unit * 40))
    assert short > 0
    with ended_after():
        support(unit * 20_000, unit * 20_000)
