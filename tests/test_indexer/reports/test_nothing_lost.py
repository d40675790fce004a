"""No line of a report is lost: it is in a section, or told of with its kind."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from indexer.reports.sections.parse import SECTIONS, parse_report
from tests.support.growth import ended_after

HEADINGS = (
    *(
        "FINDINGS:",
        "IMPRESSION:",
        "INDICATION:",
        "COMPARISON:",
        "TECHNIQUE:",
        "HISTORY",
        "WET READ:",
    ),
    *("IMPRESSION/RECOMMENDATION:", "RECOMMENDATION:", "ADDENDUM:", "FINAL REPORT", "LUNGS:"),
    *("EXAM: CHEST 2 VIEWS", "EXAM: ABDOMEN", "ABDOMEN:", "LEFT KNEE:", "Befund:", "Conclusion :"),
    *(
        "Findings",
        "NOTIFICATION:",
        "Patient:",
        "Dictated by:",
        "PRELIMINARY REPORT",
        "Zebra:",
        "Note:",
    ),
    *("ORIGINAL REPORT:", "COMMENT:", "HEART", "CHEST:", "XR WRIST", "<p>", "## Impression"),
)
LINES = (
    *(
        "The lungs are clear.",
        "No pneumothorax.",
        "Left effusion",
        "THE HEART IS LARGE.",
        "1. Nodule.",
    ),
    *(
        "2. Small effusion.",
        "3) Edema",
        "- Clear lungs",
        "65 year old man with cough.",
        "Rule out CHF?",
    ),
    *("PA and lateral views were obtained.", "CT of 2019.", "None.", "Kein Erguss.", "Repeat CT."),
    *(
        "Electronically signed by A. Roe, MD",
        "MRN: 31415926",
        "ROE, JANE",
        "01/02/2020",
        "Zebra zone",
    ),
    *(
        "Dr. Roe was told at 3 pm.",
        "There is no effusion on review.",
        "and is otherwise unchanged",
        "N/A",
    ),
    *(
        "Please disregard the report.",
        "The effusion should read: left effusion.",
        "CHEST, TWO VIEWS",
    ),
    "A line of more than a hundred letters goes on and on about the lungs and the heart, and is"
    " normal",
    *(
        "Findings: clear. Impression: normal.",
        "Page 1 of 2",
        "quite ordinary words",
        "<PERSON> & co",
    ),
)


def words_of(text: str) -> list[str]:
    """Words without their marks; numbers of list items are marks."""
    words = (part.strip("-*#:<>/.,;?()\"'") for part in text.split())
    return [word for word in words if word and not (word.isdigit() and len(word) < 3)]


def lost(text: str) -> list[str]:
    """The words of lines that are found nowhere in what was read, headings left aside."""
    report = parse_report(text)
    told = " ".join(
        [*(getattr(report, name) for name in SECTIONS), *(one.text for one in report.left_out)]
    )
    there = set(words_of(told))
    headings = {word for heading in HEADINGS for word in words_of(heading)}
    headings |= {"Findings", "Impression", "p", "MRN"}
    return [word for word in words_of(text) if word not in there | headings]


@settings(deadline=None, max_examples=400)
@given(st.lists(st.sampled_from((*HEADINGS, *LINES, "")), max_size=14))
def test_every_line_goes_to_a_section_or_is_told_of(lines: list[str]) -> None:
    text = "\n".join(lines)
    assert lost(text) == []


@settings(deadline=None, max_examples=300)
@given(st.lists(st.sampled_from((*HEADINGS, *LINES)), max_size=12))
def test_no_word_of_a_running_text_is_lost(pieces: list[str]) -> None:
    assert lost(" ".join(pieces)) == []


@settings(deadline=None, max_examples=200)
@given(
    st.lists(st.tuples(st.sampled_from(HEADINGS), st.sampled_from(LINES), st.sampled_from(LINES)))
)
def test_no_line_behind_a_heading_is_lost(parts: list[tuple[str, str, str]]) -> None:
    text = "\n\n".join(f"{heading} {line}\n{further}" for heading, line, further in parts)
    assert lost(text) == []


def test_a_bare_number_in_an_addendum_is_kept() -> None:
    text = "FINDINGS: Clear lungs.\nA. Roe, MD\n\nADDENDUM: Cough.\n\nHISTORY: 31415926\nFall."
    assert lost(text) == []
    assert "31415926" in parse_report(text).indication


def test_a_report_of_thousands_of_lines_is_read_in_time() -> None:
    choice = random.Random(7)
    with ended_after():
        parse_report("\n".join(choice.choice((*HEADINGS, *LINES, "")) for _ in range(20_000)))
