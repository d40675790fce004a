"""Reports with addenda; all invented."""

import pytest

from indexer.reports.labeller import label_report
from indexer.reports.sections.parse import (
    CORRECTED,
    WITHDRAWN,
    add_addendum,
    parse_report,
)
from indexer.reports.sentences import split_sentences
from tests.support.reports import Expected, differences

REPORTS = {
    "denies a finding": Expected(
        text="FINDINGS: Right pneumothorax. Heart size is normal.\nIMPRESSION: Right pneumothorax."
        "\n\nADDENDUM: On review there is no pneumothorax; the line is a skin fold.",
        findings="Heart size is normal.",
        impression="On review there is no pneumothorax; the line is a skin fold.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "changes the side": Expected(
        text="FINDINGS: Small right pleural effusion. No pneumothorax.\nIMPRESSION: Right pleural "
        "effusion.\nADDENDUM: Correction: the pleural effusion is on the left.",
        findings="No pneumothorax.",
        impression="Correction: the pleural effusion is on the left.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "should read": Expected(
        text="FINDINGS: Large right pneumothorax.\nIMPRESSION: Large right pneumothorax.\n"
        'ADDENDUM: "Large right pneumothorax" should read "Large left pneumothorax".',
        impression="Large left pneumothorax.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "the impression should read": Expected(
        text="FINDINGS: Lungs are clear.\nIMPRESSION: Left lower lobe pneumonia.\n\nADDENDUM:\n"
        "The impression should read: No pneumonia.",
        findings="Lungs are clear.",
        impression="No pneumonia.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "adds a finding": Expected(
        text="FINDINGS: Right pleural effusion.\nIMPRESSION: Right pleural effusion.\nADDENDUM:"
        " There "
        "is also a small left pleural effusion.",
        findings="Right pleural effusion.",
        impression="Right pleural effusion.\nThere is also a small left pleural effusion.",
    ),
    "adds what was denied": Expected(
        text="FINDINGS: No fracture. Lungs are clear.\nIMPRESSION: Normal chest.\n\n"
        "*** ADDENDUM ***\nOn second look there is a fracture of the left sixth rib.",
        findings="Lungs are clear.",
        impression="On second look there is a fracture of the left sixth rib.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "an error is named": Expected(
        text="FINDINGS: 8 mm right upper lobe nodule. Heart is normal.\nIMPRESSION: Right upper"
        " lobe "
        "nodule.\nADDENDUM: The nodule was reported in error.",
        findings="Heart is normal.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "withdraws everything": Expected(
        text="FINDINGS: Large right effusion.\nIMPRESSION: Large right effusion.\nADDENDUM: Please "
        "disregard the above report, it was dictated on the wrong patient.",
        left_out=("withdrawn",),
        notes=(WITHDRAWN,),
    ),
    "start and end lines, before the report": Expected(
        text="ADDENDUM START\nThere is no effusion.\nADDENDUM END\n\nFINDINGS: Left effusion."
        " Clear right "
        "lung.\nIMPRESSION: Left effusion.",
        findings="Clear right lung.",
        impression="There is no effusion.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "before the report, without an end": Expected(
        text="ADDENDUM #1: Comparison is now made to the outside radiograph.\n\nEXAM: XR CHEST\n"
        "FINDINGS: Left effusion.\nIMPRESSION: Left effusion.",
        findings="Left effusion.",
        impression="Left effusion.\nComparison is now made to the outside radiograph.",
        left_out=("title",),
    ),
    "with sections of its own": Expected(
        text="FINDINGS: Lungs are clear.\nIMPRESSION: No pneumonia.\nSigned by: A. Roe, MD\n\n"
        "ADDENDUM:\nFINDINGS: There is a left lower lobe pneumonia.\nIMPRESSION: Left lower lobe "
        "pneumonia.\nSigned by: A. Roe, MD",
        findings="Lungs are clear.\nThere is a left lower lobe pneumonia.",
        impression="Left lower lobe pneumonia.",
        left_out=("signature", "withdrawn"),
        notes=(CORRECTED,),
    ),
    "the second takes back the first": Expected(
        text="FINDINGS: Clear lungs.\nIMPRESSION: No nodule.\nADDENDUM 1: There is a nodule at the "
        "right base.\nADDENDUM 2: On review of CT there is no nodule.",
        findings="Clear lungs.",
        impression="On review of CT there is no nodule.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "instead of": Expected(
        text="FINDINGS: Endotracheal tube in good position. Right chest tube.\nIMPRESSION: Right"
        " chest "
        "tube.\nADDENDUM: The chest tube is on the left instead of the right.",
        findings="Endotracheal tube in good position.",
        impression="The chest tube is on the left",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "numbered items leave with their numbers": Expected(
        text="IMPRESSION:\n1. Left effusion.\n2. Right pneumothorax.\n3."
        " Cardiomegaly.\n\nADDENDUM: "
        "No pneumothorax on review.",
        impression="1. Left effusion.\n3. Cardiomegaly.\nNo pneumothorax on review.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "a corrected report above the original one": Expected(
        text="CORRECTED REPORT\nFINDINGS: Left rib fracture.\nIMPRESSION: Left rib fracture.\n\n"
        "ORIGINAL REPORT\nFINDINGS: Right rib fracture.\nIMPRESSION: Right rib fracture.",
        findings="Left rib fracture.",
        impression="Left rib fracture.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "announces the wrong side": Expected(
        text="FINDINGS: Left-sided pacemaker. Small left effusion.\nIMPRESSION: Small left"
        " effusion."
        "\nADDENDUM: Laterality error. The effusion is right-sided.",
        findings="Left-sided pacemaker.",
        impression="Laterality error.\nThe effusion is right-sided.",
        left_out=("withdrawn",),
        notes=(CORRECTED,),
    ),
    "speaks of a tube that was withdrawn": Expected(
        text="FINDINGS: The ETT is in the right main bronchus.\nADDENDUM: ETT since withdrawn.",
        findings="The ETT is in the right main bronchus.",
        impression="ETT since withdrawn.",
    ),
    "quotes what is incorrect, with a time in its heading": Expected(
        text="FINDINGS: Clear lungs. No rib fracture.\nIMPRESSION: No acute cardiopulmonary"
        " disease."
        '\nAddendum 03/09 14:20: The statement "no rib fracture" is incorrect. There is a'
        " fracture of "
        "the left 7th rib.",
        findings="Clear lungs.",
        impression="No acute cardiopulmonary disease.\nThere is a fracture of the left 7th rib.",
        left_out=("title", "withdrawn"),
        notes=(CORRECTED,),
    ),
    "says who was told": Expected(
        text="IMPRESSION: Left effusion.\nADDENDUM: Findings were discussed with the ward at"
        " 10:15.",
        impression="Left effusion.\nFindings were discussed with the ward at 10:15.",
    ),
}

KEPT = [
    ("Right effusion and left lower lobe nodule.", "No effusion.", "Left lower lobe nodule."),
    ("No effusion or pneumothorax.", "There is a small effusion.", "No pneumothorax."),
    (
        "Effusion and atelectasis at the right base.",
        "There is no atelectasis.",
        "Effusion at the right base.",
    ),
    (
        "No consolidation, effusion or pneumothorax is seen.",
        "There is a left effusion.",
        "No consolidation or pneumothorax is seen.",
    ),
    (
        "Cardiomegaly, right effusion, and left nodule.",
        "Correction: the effusion is on the left.",
        "Cardiomegaly and left nodule.",
    ),
    ("Right basal opacity consistent with pneumonia.", "No pneumonia.", "Right basal opacity."),
    (
        "The heart is enlarged and there is a right pneumothorax.",
        "The pneumothorax was reported in error.",
        "The heart is enlarged.",
    ),
    ("Right rib fracture and left effusion.", '"Right" should read "left".', "Left effusion."),
    ("Heart and lungs are normal.", "There is cardiomegaly.", "Lungs are normal."),
    ("Lungs and heart are normal.", "There is cardiomegaly.", "Lungs are normal."),
    ("1. Left effusion; granuloma.\n2. Nodule.", "No effusion.", "1. Granuloma.\n2. Nodule."),
    ("Right hydropneumothorax.", "There is no effusion.", ""),
    ("Normal chest.", "There is a left rib fracture.", ""),
]
"""Findings, an addendum and what of the findings stays; a word that says two things goes whole."""


@pytest.mark.parametrize(("findings", "addendum", "kept"), KEPT)
def test_a_correction_withdraws_only_the_finding_that_it_names(
    findings: str, addendum: str, kept: str
) -> None:
    report = parse_report(f"FINDINGS:\n{findings}\n\nADDENDUM: {addendum}")
    assert report.findings == kept
    assert CORRECTED in report.notes
    told = " ".join((report.findings, *(one.text for one in report.left_out))).lower()
    words = "".join(char if char.isalnum() else " " for char in findings.lower()).split()
    assert all(word in told for word in words)


def test_an_addendum_kept_apart_is_applied_like_one_below_the_report() -> None:
    whole = parse_report("FINDINGS: Right effusion.\nADDENDUM: There is no effusion.\nA. Roe, MD")
    apart = add_addendum(
        parse_report("FINDINGS: Right effusion."), "There is no effusion.\nA. Roe, MD"
    )
    assert apart == whole
    assert (apart.findings, apart.impression) == ("", "There is no effusion.")
    assert add_addendum(apart, "") == apart


@pytest.mark.parametrize("name", REPORTS)
def test_an_addendum_corrects_the_report(name: str) -> None:
    assert not differences(REPORTS[name])


def test_a_corrected_report_is_labelled_by_its_addendum() -> None:
    report = parse_report(REPORTS["denies a finding"].text)
    sentences = [*split_sentences(report.findings), *split_sentences(report.impression)]
    assert label_report(sentences)["Pneumothorax"] == "negative"
