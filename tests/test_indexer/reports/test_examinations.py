"""Reports of several examinations: those of the chest count; all invented."""

import pytest

from indexer.reports.sections.parse import NO_CHEST, OTHERS
from tests.support.reports import Expected, differences

REPORTS = {
    "chest, then abdomen": Expected(
        text="""\
EXAM: CHEST 2 VIEWS
INDICATION: Pain
FINDINGS: Clear lungs. Normal heart.
IMPRESSION: Normal chest.

EXAM: ABDOMEN 1 VIEW
FINDINGS: Dilated loops of small bowel.
IMPRESSION: Small bowel obstruction.
""",
        indication="Pain",
        findings="Clear lungs. Normal heart.",
        impression="Normal chest.",
        left_out=("title", "other examination"),
        notes=(OTHERS,),
    ),
    "knee, then chest": Expected(
        text="""\
XR LEFT KNEE 3 VIEWS
FINDINGS: Joint effusion. No fracture.
IMPRESSION: Joint effusion.

XR CHEST PA AND LATERAL
FINDINGS: Clear lungs.
IMPRESSION: No acute disease.
""",
        findings="Clear lungs.",
        impression="No acute disease.",
        left_out=("title", "other examination"),
        notes=(OTHERS,),
    ),
    "one impression for both": Expected(
        text="""\
EXAM: XR CHEST
FINDINGS: Right lower lobe opacity.
EXAM: XR RIGHT WRIST
FINDINGS: Fracture of the distal radius.
IMPRESSION:
1. Right lower lobe pneumonia.
2. Distal radius fracture.
""",
        findings="Right lower lobe opacity.",
        impression="1. Right lower lobe pneumonia.",
        left_out=("title", "other examination"),
        notes=(OTHERS,),
    ),
    "sub-headings for body parts": Expected(
        text="""\
EXAM: XR CHEST AND ABDOMEN
FINDINGS:
CHEST: Left effusion. Normal heart.
ABDOMEN: No obstruction. Stool in the colon.
IMPRESSION: Left effusion.
""",
        findings="CHEST: Left effusion. Normal heart.",
        impression="Left effusion.",
        left_out=("title", "other examination"),
        notes=(OTHERS,),
    ),
    "findings of the abdomen under a heading of their own": Expected(
        text="CHEST FINDINGS: Clear lungs.\nABDOMEN FINDINGS: Free air under the diaphragm is not "
        "seen.\nCHEST IMPRESSION: Normal.",
        findings="Clear lungs.",
        impression="Normal.",
        left_out=("title", "other examination"),
        notes=(OTHERS,),
    ),
    "upper abdomen in a chest report": Expected(
        text="EXAM: CHEST PA/LATERAL\nLUNGS: Clear.\nABDOMEN: No free air.\nIMPRESSION: Normal.",
        findings="LUNGS: Clear.\nABDOMEN: No free air.",
        impression="Normal.",
        left_out=("title",),
    ),
    "radiograph and CT": Expected(
        text="""\
CT CHEST WITH CONTRAST
FINDINGS: Segmental pulmonary embolism.
IMPRESSION: Pulmonary embolism.

CHEST RADIOGRAPH, PORTABLE
FINDINGS: Low lung volumes.
IMPRESSION: No consolidation.
""",
        findings="Low lung volumes.",
        impression="No consolidation.",
        left_out=("title", "other examination"),
        notes=(OTHERS,),
    ),
    "no examination of the chest": Expected(
        text="EXAM: ABDOMEN 1 VIEW\nFINDINGS: Nasogastric tube in the stomach. Clear lung bases.",
        findings="Nasogastric tube in the stomach. Clear lung bases.",
        left_out=("title",),
        notes=(NO_CHEST,),
    ),
    "titles without labels, texts without headings": Expected(
        text="""\
CHEST, TWO VIEWS
The lungs are clear. Heart size is normal.

LUMBAR SPINE, THREE VIEWS
Disc space narrowing at L4-L5.
""",
        findings="The lungs are clear. Heart size is normal.",
        left_out=("title", "other examination"),
        unplaced=True,
        notes=(OTHERS,),
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_only_the_chest_counts(name: str) -> None:
    assert not differences(REPORTS[name])
