"""Reports as systems wrap them; all invented."""

import pytest

from indexer.reports.sections.markup import plain_text
from tests.support.reports import Expected, differences

WHOLE = {"indication": "Cough", "findings": "Heart & lungs normal.", "impression": "Normal <3 mm."}
REPORTS = {
    "html": Expected(
        text="<html><head><style>p {color: red}</style></head><body><p><b>HISTORY:</b> Cough</p>"
        "<p><b>FINDINGS:</b><br/>Heart &amp; lungs normal.</p><div>IMPRESSION:<br>Normal &lt;3 mm."
        "</div></body></html>",
        **WHOLE,
    ),
    "html lists": Expected(
        text="<h3>Findings</h3><ul><li>Left effusion.</li><li>Big heart.</li></ul>"
        "<h3>Impression</h3><ol><li>Left effusion.</li></ol>",
        findings="Left effusion.\nBig heart.",
        impression="Left effusion.",
    ),
    "html that was escaped once more": Expected(
        text="&lt;p&gt;FINDINGS: Clear lungs.&lt;/p&gt;&lt;p&gt;IMPRESSION: Normal.&lt;/p&gt;",
        findings="Clear lungs.",
        impression="Normal.",
    ),
    "rtf": Expected(
        text=r"{\rtf1\ansi\deff0{\fonttbl{\f0 Arial;}}\f0\fs20\b HISTORY:\b0  Cough\par "
        r"\b FINDINGS:\b0\par Heart & lungs normal.\par\b IMPRESSION:\b0\par Normal <3 mm.\par}",
        **WHOLE,
    ),
    "hl7 escapes": Expected(
        text=r"HISTORY: Cough\.br\FINDINGS: Heart \T\ lungs normal.\.br\\H\IMPRESSION:\N\ Normal"
        r" <3 mm.",
        **WHOLE,
    ),
    "an hl7 message": Expected(
        text="MSH|^~\\&|RIS|SITE|||202001021015||ORU^R01|1|P|2.3\rPID|1||31415926||QUIXOTE^ZED\r"
        "OBR|1||A-1|71020^XR CHEST\rOBX|1|TX|71020&GDT^XR CHEST||HISTORY: Cough\r"
        "OBX|2|TX|71020&GDT^XR CHEST||FINDINGS:~Heart \\T\\ lungs normal.\r"
        "OBX|3|TX|71020&IMP^XR CHEST||Normal <3 mm.",
        left_out=("header",),
        **WHOLE,
    ),
    "escaped line breaks": Expected(
        text="HISTORY: Cough\\nFINDINGS: Heart & lungs normal.\\n\\nIMPRESSION: Normal <3 mm.",
        **WHOLE,
    ),
    "carriage returns of a spreadsheet": Expected(
        text="HISTORY: Cough_x000D_\nFINDINGS: Heart & lungs normal._x000D_\nIMPRESSION: Normal"
        " <3 mm.",
        **WHOLE,
    ),
    "a clinical document": Expected(
        text="<text><paragraph><caption>History:</caption> Cough</paragraph><paragraph>Findings:"
        " Heart "
        "&amp; lungs normal.</paragraph><paragraph>Impression: Normal &lt;3 mm.</paragraph></text>",
        **WHOLE,
    ),
    "marks of de-identifiers are no tags": Expected(
        text="<p>FINDINGS: Told <PERSON> on <DATE_TIME>. A nodule of <3 mm.</p>",
        findings="Told <PERSON> on <DATE_TIME>. A nodule of <3 mm.",
    ),
    "letters of a typesetter": Expected(
        text="FINDINGS: A \ufb01ne \u201creticular\u201d pattern, 2\u20133\u00a0mm"
        "; the patient\u2019s "
        "e\u00adffusion.",
        findings='A fine "reticular" pattern, 2-3 mm; the patient\'s effusion.',
    ),
    "words cut by line ends": Expected(
        text="FINDINGS: There is a small left-\nsided pneumo-\nthorax and cardio-\nmegaly.",
        findings="There is a small left-sided pneumothorax and cardiomegaly.",
    ),
}


@pytest.mark.parametrize("name", REPORTS)
def test_what_a_report_is_wrapped_in_is_no_part_of_it(name: str) -> None:
    assert not differences(REPORTS[name])


def test_signs_that_look_like_markup_stay() -> None:
    for text in ("A nodule of <3 mm & another > 5 mm.", "a < b", "x &c y"):
        assert plain_text(text) == text
