import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.reports.labeller import label_report, label_sentence
from indexer.reports.sections.parse import SECTIONS, parse_report
from indexer.reports.sentences import has_redaction, refers_to_prior, split_sentences
from tests.support.growth import ended_after


def sections(text: str) -> dict[str, str]:
    """The sections that are not empty."""
    report = parse_report(text)
    return {name: getattr(report, name) for name in SECTIONS if getattr(report, name)}


MIMIC = """\
                                 FINAL REPORT
 EXAMINATION:  CHEST (PA AND LAT)

 INDICATION:  ___ year old man with cough  // please
 evaluate

 TECHNIQUE:  Two views.

 COMPARISON:  ___.

 FINDINGS:

 There is a hazy opacity at the right base, and the remaining lung is
 clear.  The heart is big.

 IMPRESSION:

 1.  Opacity on the right,
 perhaps pneumonia.
 2.  Big heart.

 RECOMMENDATION(S):  Come again.
"""


def test_a_report_with_headings_is_split_and_its_wrapped_lines_are_joined() -> None:
    assert sections(MIMIC) == {
        "indication": "___ year old man with cough // please evaluate",
        "comparison": "___.",
        "findings": "There is a hazy opacity at the right base, and the remaining lung is clear. "
        "The heart is big.",
        "impression": "1. Opacity on the right, perhaps pneumonia.\n2. Big heart.",
    }


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", {}),
        ("The lungs are clear.", {"findings": "The lungs are clear."}),
        (
            "FINDINGS: Clear lungs. IMPRESSION: Normal.",
            {"findings": "Clear lungs.", "impression": "Normal."},
        ),
        (
            "Findings: Clear lungs. Conclusion: Normal.",
            {"findings": "Clear lungs.", "impression": "Normal."},
        ),
        (
            "History: cough\nFindings\nClear lungs.\nOpinion\nNormal.",
            {"indication": "cough", "findings": "Clear lungs.", "impression": "Normal."},
        ),
        (
            "REASON FOR EXAM: fall\r\nREPORT: No fracture.\r\nSUMMARY: Normal.",
            {"indication": "fall", "findings": "No fracture.", "impression": "Normal."},
        ),
        (
            "CHEST, TWO VIEWS\nCOMPARISON: None.\n\nClear lungs.\n\nIMPRESSION: Normal.",
            {"comparison": "None.", "findings": "Clear lungs.", "impression": "Normal."},
        ),
        (
            "FINDINGS: Clear.\nCOMPARISON: old film\nFINDINGS: Big heart.",
            {"comparison": "old film", "findings": "Clear.\nBig heart."},
        ),
        (
            "These findings: none worth a word.",
            {"findings": "These findings: none worth a word."},
        ),
        (
            "FINDINGS AND IMPRESSION: Clear lungs.\nLUNGS: also clear.",
            {"findings": "Clear lungs.\nLUNGS: also clear."},
        ),
    ],
)
def test_sections_are_found_by_their_headings(text: str, expected: dict[str, str]) -> None:
    assert sections(text) == expected


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("Clear lungs. No effusion.", ["Clear lungs.", "No effusion."]),
        ("Clear lungs.No effusion", ["Clear lungs.", "No effusion"]),
        (
            "the heart is big . the lungs are clear .",
            ["the heart is big .", "the lungs are clear ."],
        ),
        ("A 1.2 cm nodule at T12. No effusion.", ["A 1.2 cm nodule at T12.", "No effusion."]),
        ("A nodule of 1. 2 cm. Clear.", ["A nodule of 1. 2 cm.", "Clear."]),
        ("Told Dr. J. Roe at 3 p.m. today.", ["Told Dr. J. Roe at 3 p.m. today."]),
        ("Told her at 3 p.m. Normal.", ["Told her at 3 p.m.", "Normal."]),
        (
            "Lines, e.g. a PICC, approx. 3 cm vs. 4 cm. End.",
            ["Lines, e.g. a PICC, approx. 3 cm vs. 4 cm.", "End."],
        ),
        ("1. Effusion. 2. Big heart.\n3) Clear", ["Effusion.", "Big heart.", "Clear"]),
        ("1. Effusion 2. Big heart", ["Effusion", "Big heart"]),
        ("1.No effusion. 2.Clear.", ["No effusion.", "Clear."]),
        ("- Clear lungs\n• Big heart", ["Clear lungs", "Big heart"]),
        ("Clear lungs\nBig heart", ["Clear lungs", "Big heart"]),
        (
            "The lungs are clear and nothing else is seen in\nthem. End.",
            ["The lungs are clear and nothing else is seen in\nthem.", "End."],
        ),
        ("Neg. for pneumothorax. Clear.", ["Neg. for pneumothorax.", "Clear."]),
        ("NO EVID. OF EFFUSION. CLEAR.", ["NO EVID. OF EFFUSION.", "CLEAR."]),
        ("No signif. effusion. No def. edema.", ["No signif. effusion.", "No def. edema."]),
        ("Poss. Atelectasis. Susp. nodule.", ["Poss. Atelectasis.", "Susp. nodule."]),
        ("Chest neg. Heart normal.", ["Chest neg.", "Heart normal."]),
        ("Mod. bilat. effusions. R. base clear.", ["Mod. bilat. effusions.", "R. base clear."]),
        (
            "It ends 3 cm. above the carina. It is 3 cm. End.",
            ["It ends 3 cm. above the carina.", "It is 3 cm.", "End."],
        ),
        ("Lungs... clear. Hepatitis B. End.", ["Lungs... clear.", "Hepatitis B.", "End."]),
        ("Effusion?! Yes (small). ___. XXXX.", ["Effusion?!", "Yes (small).", "XXXX."]),
        ("Clear. ?Raised hemidiaphragm", ["Clear.", "?Raised hemidiaphragm"]),
        ("? effusion; heart (? Enlarged).", ["? effusion; heart (? Enlarged)."]),
        ("Nodule? CT advised.", ["Nodule?", "CT advised."]),
        ("Fractures? None. Effusion? Small.", ["Fractures? None.", "Effusion?", "Small."]),
        ("Nodule? No effusion.", ["Nodule?", "No effusion."]),
        (" \n 1. \n . ", []),
    ],
)
def test_sentences_end_where_a_reader_would_end_them(text: str, sentences: list[str]) -> None:
    assert split_sentences(text) == sentences


LINES = st.lists(st.from_regex(r"[a-g][a-g,;()0-9]{0,11}", fullmatch=True), min_size=1, max_size=5)
PARAGRAPHS = st.lists(
    LINES.map(lambda words: " ".join(words).capitalize() + "."), min_size=1, max_size=3
).map("\n".join)


@given(st.fixed_dictionaries({}, optional=dict.fromkeys(SECTIONS, PARAGRAPHS)), st.booleans())
def test_sections_come_back_from_a_report_that_was_put_together(
    parts: dict[str, str], own_line: bool
) -> None:
    between = ":\n\n" if own_line else ": "
    text = "\n\n".join(f"{name.upper()}{between}{part}" for name, part in parts.items())
    assert sections(f"FINAL REPORT\n{text}" if parts else "") == parts


@pytest.mark.parametrize(
    "text",
    [
        "Rt. Hemidiaphragm is high.|Lt. Lung is clear.",
        "Small Lt. Pleural effusion.|No nodule.",
        "Clear Rt. Lung.|Opacity Lt. Lower lobe.",
        "Effusion on the rt.|The heart is normal.",
        "PICC on the Lt.|Pleural spaces are clear.",
        "Bilat. Effusions.|Lat. View is normal.",
        "A nodule of approx. Two centimeters.|No mass.",
        "See Fig. A for details.|Normal.",
        "Left vs. Right asymmetry.|Normal.",
        "Catheter No. 12 is seen.|Normal.",
        "Is there effusion? No.|The lungs are clear.",
        "Dr. Roe was told.|Normal.",
        "Pat. st. p. Sternotomie.|Herz normal.",
        "Z. n. Pneumonie.|Kein Erguss.",
        "Herz o. B.|Lunge frei.",
        "Made at 5 p. m. on the ward.|Normal.",
    ],
)
def test_an_abbreviation_ends_no_sentence(text: str) -> None:
    sentences = text.split("|")
    assert split_sentences(" ".join(sentences)) == sentences


@pytest.mark.parametrize("line", ["Cc.", "Pc."])
def test_an_abbreviation_in_lower_case_is_no_heading_of_its_own(line: str) -> None:
    assert sections(f"FINDINGS: A.\n{line}") == {"findings": f"A.\n{line}"}


@settings(deadline=None)
@given(st.text() | st.text(alphabet="1.2) \n-Aa:X_,FINDGS"))
def test_every_sentence_is_a_substring_and_they_come_in_order(text: str) -> None:
    at = 0
    for sentence in split_sentences(text):
        assert sentence
        assert sentence == sentence.strip()
        at = text.index(sentence, at) + len(sentence)


@settings(deadline=None)
@given(st.text() | st.text(alphabet="FINDGS IMPRESSION:\n\r\t a1.-"))
def test_no_text_breaks_the_readers(text: str) -> None:
    report = parse_report(text)
    for body in (text, report.findings, report.impression):
        refers_to_prior(body)
        has_redaction(body)
        label_sentence(body)
        label_report(split_sentences(body))


@pytest.mark.parametrize(
    "sentence",
    [
        "The effusion is unchanged.",
        "Stable cardiomegaly.",
        "Compared to the prior film the nodule has grown.",
        "Interval removal of the tube.",
        "The previously described nodule is gone.",
        "New since the last study is an effusion.",
        "The opacity is no longer seen.",
        "Calcifications are again noted.",
        "The effusion has decreased.",
        "No significant change.",
        "Worsening edema.",
        "A PICC has been placed.",
        "Similar to the previous examination, a scar is seen.",
        "Prior granulomatous disease, unchanged since XXXX.",
        "The effusion is worse on the right than before.",
        "Edema, now worse on the right.",
    ],
)
def test_comparison_with_an_earlier_image_is_marked(sentence: str) -> None:
    assert refers_to_prior(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "The heart is normal in size.",
        "Sequelae of prior granulomatous disease.",
        "Status post prior CABG.",
        "Clips from previous surgery.",
        "Previous median sternotomy.",
        "Prior right upper lobe lobectomy.",
        "Old rib fractures from prior trauma.",
        "The patient is hemodynamically stable.",
        "The left lung is lucent compared to the right.",
        "Degenerative changes of the spine.",
        "Increased interstitial markings.",
        "Bilateral effusions, left larger than right.",
        "Interstitial markings, worse at the bases.",
        "Opacities are more extensive on the left.",
    ],
)
def test_history_and_description_are_no_reference_to_a_prior_image(sentence: str) -> None:
    assert not refers_to_prior(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        *("Heart size XXXX normal.", "compared to xxxx", "Compared to ___, no change."),
        *("Seen by [**Name**].", "<PERSON> was told.", "{{NAME}} was told.", "*** effusion."),
        *(
            "PERSON_NAME was told.",
            "#### effusion.",
            "Told [REDACTED].",
            "Told [NAME].",
            "<<Date>>",
        ),
        *(
            "On (date removed).",
            "On **DATE[Jan 5].",
            "Told $NAME$.",
            "Told \u2588\u2588\u2588.",
            "@@@ mm",
        ),
    ],
)
def test_the_marks_of_de_identifiers_are_seen(sentence: str) -> None:
    assert has_redaction(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        *("An x-ray of level T12_L1, xx.", "A nodule of <3 mm.", "The upright (AP) view [PA]."),
        *("Effusion (time course unknown).", "Nodule (age indeterminate).", "C5/C6 & more."),
        *("** Critical **", "Fracture #2, 5 % of it.", "Grade [II] change {mild}."),
    ],
)
def test_signs_and_brackets_are_no_redaction(sentence: str) -> None:
    assert not has_redaction(sentence)


HOSTILE = (
    " |\n|a|A|1. |\n \n|no |prior |FINDINGS:|x.|Dr. |- |_|(1)|no effusion, |normal a/|heart and "
    "|may be or |; no |\t1)\n|no longer not |pleural or |lungs, "
).split("|")


@pytest.mark.parametrize("unit", HOSTILE)
def test_work_on_a_hostile_text_grows_with_its_length_alone(unit: str) -> None:
    text = unit * (100_000 // len(unit))
    with ended_after(15):
        parse_report(text)
        split_sentences(text)
        has_redaction(text)
    for prefix in ("", "normal ", "prior ", "no "):
        with ended_after(15):
            refers_to_prior(prefix + text)
            label_sentence(prefix + text)
