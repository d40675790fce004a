"""What identifies a person in a report is replaced; signs, devices and measurements are not."""

import json
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from db.index.store import CaseStore
from indexer.__main__ import main
from indexer.build import build
from indexer.index import CASES
from indexer.reports.identifiers.replace import mark, replace_identifiers
from indexer.reports.sentences import has_redaction, split_sentences
from indexer.sources.jsonl import JsonLines
from indexer.versions import Versions
from tests.support.fakes import ThumbnailEncoder, write_studies

DATA = Path(__file__).parents[2] / "data"
_TOKEN = re.compile(r"[^\W_]{2,}")
_LABELS = frozenset(
    """
    dr Dr Mr Mrs Prof Nurse Frau Sig ra Mme Dra Dott MUDr NHS Ward Room Bed Station Flat Apt The bay
    am of de la and years year old yo aged Jahre años med ул
    """.split()
)
"""Words beside an identifier that may stay."""


def lines(name: str) -> list[str]:
    text = (DATA / name).read_text(encoding="utf-8")
    return [line for line in text.splitlines() if line and not line.startswith("#")]


REPORTS = [
    json.loads(line)
    for line in (DATA / "identifiers.jsonl").read_text(encoding="utf-8").splitlines()
]


def left(report: str, planted: str, replaced: str) -> list[str]:
    """Return the words of an identifier that are in the text as often as before."""
    before, after = Counter(_TOKEN.findall(report)), Counter(_TOKEN.findall(replaced))
    words = [word for word in _TOKEN.findall(planted) if word not in _LABELS and before[word]]
    return [word for word in words if after[word] >= before[word]]


PLANTED = [line.split(" || ") for line in lines("planted_identifiers.txt")]


@pytest.mark.parametrize("planted", PLANTED, ids=lambda planted: planted[0][:40])
def test_an_identifier_is_replaced(planted: list[str]) -> None:
    text, *identifiers = planted
    replaced = replace_identifiers(text)
    assert [one for one in identifiers if one in replaced.text] == []
    assert sum(replaced.counts.values()) == replaced.text.count("[**")


def test_identifiers_in_reports_of_many_countries_are_replaced() -> None:
    missed = [
        (one, report["report"])
        for report in REPORTS
        for one in report["planted"]
        if left(report["report"], one, replace_identifiers(report["report"]).text)
    ]
    planted = sum(len(report["planted"]) for report in REPORTS)
    assert planted > 500
    assert len(missed) <= 0.02 * planted, missed


def held_back(name: str) -> list[dict[str, Any]]:
    path = DATA / "reading" / "held_back" / "identifiers" / f"{name}.jsonl"
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_identifiers_of_the_set_that_was_held_back_are_replaced() -> None:
    rows = held_back("planted")
    missed = [
        (one, row["text"])
        for row in rows
        for one in row["identifiers"]
        if left(row["text"], one, replace_identifiers(row["text"]).text)
    ]
    assert sum(len(row["identifiers"]) for row in rows) == 110
    assert missed == []


def test_harmless_spans_of_the_set_that_was_held_back_stay() -> None:
    hurt = [
        row["text"]
        for row in held_back("harmless")
        if row["text"].count(row["keep"])
        != replace_identifiers(row["text"]).text.count(row["keep"])
    ]
    assert hurt == []


def planted_in(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def missed_in(rows: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [
        (one, row["text"])
        for row in rows
        for one in row["identifiers"]
        if left(row["text"], one, replace_identifiers(row["text"]).text)
    ]


def test_identifiers_of_the_sets_that_were_held_back_last_are_replaced() -> None:
    assert missed_in(held_back("last_planted")) == []
    # not used for a change of the rules: 121 of 132 at first sight
    assert len(missed_in(held_back("newest_planted"))) <= 11


@pytest.mark.parametrize("name", ["last_harmless", "newest_harmless"])
def test_harmless_spans_of_the_sets_that_were_held_back_last_stay(name: str) -> None:
    hurt = [
        row["text"]
        for row in held_back(name)
        if row["text"].count(row["keep"])
        != replace_identifiers(row["text"]).text.count(row["keep"])
    ]
    assert hurt == []


def test_identifiers_in_every_part_of_a_report_are_replaced() -> None:
    rows = planted_in(DATA / "identifiers_planted.jsonl")
    planted = sum(len(row["identifiers"]) for row in rows)
    missed = missed_in(rows)
    assert planted > 450
    assert len(missed) <= 0.04 * planted, missed


def test_sentences_that_look_as_if_they_named_someone_stay() -> None:
    assert [
        text for text in lines("identifiers_harmless.txt") if replace_identifiers(text).text != text
    ] == []


def test_the_words_around_identifiers_stay() -> None:
    lost: Counter[str] = Counter()
    for report in REPORTS:
        planted = Counter(word for one in report["planted"] for word in _TOKEN.findall(one))
        before = Counter(_TOKEN.findall(report["report"]))
        after = Counter(_TOKEN.findall(replace_identifiers(report["report"]).text))
        lost.update(
            {word: count for word, count in before.items() if count - after[word] > planted[word]}
        )
    assert sum(lost.values()) <= len(REPORTS) * 0.2


@pytest.mark.parametrize(
    "form",
    [str, str.upper, "The patient has {} today.".format],
    ids=["alone", "capitals", "inside"],
)
def test_nothing_of_a_harmless_span_is_replaced(form: Callable[[str], str]) -> None:
    spans = [
        form(one) for one in (*lines("reading/harmless_spans.txt"), *lines("not_identifiers.txt"))
    ]
    assert [one for one in spans if replace_identifiers(one).counts] == []


@pytest.mark.parametrize("text", lines("not_identifiers.txt"))
def test_signs_devices_measurements_and_phrases_stay(text: str) -> None:
    assert replace_identifiers(text).text == text


def test_capitals_change_little() -> None:
    missed = [
        text
        for text, *identifiers in PLANTED
        if any(one.upper() in replace_identifiers(text.upper()).text for one in identifiers)
    ]
    assert len(missed) <= len(PLANTED) * 0.25
    kept = [
        text for text in lines("not_identifiers.txt") if replace_identifiers(text.upper()).counts
    ]
    assert kept == []


def test_what_is_around_an_identifier_stays_and_kinds_are_counted() -> None:
    replaced = replace_identifiers(
        "Small left effusion, discussed with Dr. Jane Roe and nurse Tom Poe. MRN: 4471023."
    )
    assert replaced.text == (
        "Small left effusion, discussed with Dr. [**name**] and nurse [**name**]. "
        "MRN: [**number**]."
    )
    assert replaced.counts == {"name": 2, "number": 1}


def test_the_marks_of_others_are_not_read_into() -> None:
    text = "Seen by [**Last Name (STitle) 12**] on [**2019-3-4**], MRN 4471023."
    assert replace_identifiers(text).text == text.replace("4471023", mark("number"))


def test_written_ages_over_89_are_replaced_and_others_stay() -> None:
    text = replace_identifiers("A 97-year-old man and a ninety-four year old woman.").text
    assert text == f"A {mark('age')}-year-old man and a {mark('age')} year old woman."
    for kept in ("An 89-year-old man", "Day 92", "90 pack-year history", "97% saturation"):
        assert replace_identifiers(kept).text == kept


def test_a_mark_is_read_as_a_redaction_and_ends_no_sentence() -> None:
    text = replace_identifiers("Discussed with Dr. Roe at 3 pm. Lungs are clear.").text
    first, second = split_sentences(text)
    assert has_redaction(first) and not has_redaction(second)
    assert has_redaction(mark("date of birth"))


def test_marks_and_redactions_of_others_are_left_alone() -> None:
    for text in (
        "Dr. XXXX XXXX was notified.",
        "Discussed with Dr. ___ at ___.",
        "[**Name (MD) 2**] was paged at [**Telephone/Fax (1) 3**].",
        "Called to <PERSON> by ***.",
    ):
        assert replace_identifiers(text).text == text
        once = replace_identifiers("Dr. Roe, MRN 4471023").text
        assert replace_identifiers(once).text == once


@pytest.mark.parametrize(
    "text",
    ["A" * 50_000, "Dr. " * 20_000, "Aa, " * 20_000, "1." * 30_000, "discussed with " * 5_000,
     "Dr. Aa-Aa " * 5_000, "0" * 50_000, "1 Aa " * 10_000, "A-" * 45_000, "患者：" * 20_000,
     "12 Aa " * 15_000, "PID|" * 20_000, "x^" * 40_000, "St. " * 20_000,
     "a: " * 30_000, "Aa Ba\n" * 10_000, ". - Aa" * 10_000, "by " * 30_000,
     "on 1/2 " * 10_000, "Clinique aa " * 8_000, "(Aa [**date**]" * 6_000],
)  # fmt: skip
def test_text_of_one_pattern_is_read_to_its_end(text: str) -> None:
    assert replace_identifiers(text).text[-1] == text[-1] or replace_identifiers(text).counts


def studies_of(folder: Path) -> Path:
    path = write_studies(folder, 3)
    first, *others = path.read_text(encoding="utf-8").splitlines()
    values = json.loads(first) | {
        "indication": "Cough, Mr. Pettigrew.",
        "findings": "Small left effusion, discussed with Dr. Jane Roe. Lungs are otherwise clear.",
        "impression": "Effusion in the man born 02/03/1947, MRN 4471023.",
    }
    path.write_text("\n".join([json.dumps(values), *others]), encoding="utf-8")
    return path


def test_a_build_replaces_identifiers_and_counts_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    studies = studies_of(tmp_path)
    built = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "index")
    assert built.identifiers == {"name": 2, "number": 1, "date of birth": 1}
    current = Versions(tmp_path / "index").current()
    assert current is not None
    text = " ".join(f"{case.indication} {case.report}" for case in CaseStore.open(current / CASES))
    for planted in ("Pettigrew", "Roe", "4471023", "02/03/1947"):
        assert planted not in text
    assert "Small left effusion" in text
    again = build(JsonLines(studies), ThumbnailEncoder(), tmp_path / "kept", keep_identifiers=True)
    assert again.identifiers == {}
    kept = Versions(tmp_path / "kept").current()
    assert kept is not None and "Pettigrew" in (kept / CASES).read_bytes().decode("latin-1")


def test_an_audit_counts_what_a_build_would_replace(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["audit", "--source", "jsonl", "--data-dir", str(studies_of(tmp_path))]
    assert main([*arguments, "--encoder", "none", "--out", str(tmp_path / "audit")]) == 0
    told = capsys.readouterr().out
    assert "2  name that a build replaces by a mark" in told
    assert "Pettigrew" not in told
