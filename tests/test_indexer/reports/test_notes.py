"""What a build tells of the reading of reports: languages, headings, what was left out."""

import json
from pathlib import Path

import pytest
from PIL import Image

from indexer.__main__ import main
from indexer.audit.result import audit_lines
from indexer.audit.run import audit
from indexer.build import BuildResult, build
from indexer.cli.output import built_lines, info_lines
from indexer.index import Index
from indexer.reports.sections.parse import LEFT_OUT, UNPLACED
from indexer.sources.jsonl import JsonLines
from tests.support.fakes import ThumbnailEncoder
from tests.support.radiographs import draw_radiograph

TEXTS = {
    "german": "Befund: Das Herz ist normal groß. Kein Pneumothorax. Kein Pleuraerguss.",
    "english": "FINDINGS: No pneumothorax.\nIMPRESSION: Normal.\nDictated by: A. Roe, MD",
    "plain": "There is a small left pleural effusion.",
    "empty": "FINDINGS: N/A\nIMPRESSION: nan",
}


@pytest.fixture
def studies(tmp_path: Path) -> Path:
    Image.fromarray(draw_radiograph(1, size=(96, 80))).save(tmp_path / "a.png")
    lines = (
        json.dumps({"study_id": name, "image": "a.png", "text": text})
        for name, text in TEXTS.items()
    )
    path = tmp_path / "studies.jsonl"
    path.write_text("\n".join(lines))
    return path


def built(studies: Path, *, any_language: bool = False) -> tuple[BuildResult, Index]:
    out = studies.parent / "index"
    result = build(JsonLines(studies), ThumbnailEncoder(), out, any_language=any_language)
    return result, Index.open(out)


def test_a_report_in_another_language_is_named_and_gets_no_labels(studies: Path) -> None:
    result, index = built(studies)
    assert result.notes["report in German: indexed without labels"] == ("german",)
    cases = {case.study_id: case for case in index.cases}
    assert cases["german"].labels == {}
    assert [dict(one.labels) for one in cases["german"].sentences] == [{}, {}, {}]
    assert cases["german"].findings.startswith("Das Herz")
    assert cases["english"].labels["Pneumothorax"] == "negative"


def test_any_language_is_labelled_where_that_is_asked_for(studies: Path) -> None:
    result, index = built(studies, any_language=True)
    assert result.notes["report in German: labelled as if it were English"] == ("german",)
    assert next(case for case in index.cases if case.study_id == "english").labels


def test_text_without_heading_and_text_left_out_are_counted(studies: Path) -> None:
    result, _ = built(studies)
    assert result.notes[UNPLACED] == ("plain",)
    assert result.notes[f"{LEFT_OUT}signature"] == ("english",)
    lines = list(built_lines(result, Path("out")))
    assert f"  1 study: {UNPLACED}" in lines
    assert "    plain" in lines
    assert "  left out of reports, in so many studies: signature 1" in lines


def test_the_manifest_counts_the_notes_and_info_lists_them(studies: Path) -> None:
    result, index = built(studies)
    assert index.manifest.notes == {note: len(ids) for note, ids in result.notes.items()}
    assert index.manifest.notes[UNPLACED] == 1
    lines = list(info_lines(index.manifest, index.path, []))
    assert f"noted        1 study: {UNPLACED}" in lines
    assert "noted        1 study: report in German: indexed without labels" in lines


def test_the_manifest_counts_replaced_identifiers(studies: Path) -> None:
    text = "FINDINGS: Clear lungs. Patient: Jane Roe, born 03/04/1950."
    studies.write_text(json.dumps({"study_id": "a", "image": "a.png", "text": text}))
    result, index = built(studies)
    assert result.identifiers and dict(index.manifest.identifiers) == dict(result.identifiers)
    assert any(line.startswith("replaced     ") for line in info_lines(index.manifest, Path(), []))


def test_an_audit_lists_the_notes_by_kind(studies: Path) -> None:
    found = audit(JsonLines(studies))
    german = found.count("reading of reports", "report in German")
    assert (german.count, german.of, german.examples) == (1, 3, ("german",))
    assert found.count("reading of reports", UNPLACED).examples == ("plain",)
    assert found.count("reading of reports", f"{LEFT_OUT}signature").examples == ("english",)
    assert any("report in German" in line for line in audit_lines(found, Path("out")))


def test_a_report_that_says_nothing_is_skipped(studies: Path) -> None:
    result, _ = built(studies)
    assert [(one.study_id, one.reason) for one in result.skipped] == [
        ("empty", "report without findings or impression")
    ]


def test_the_command_takes_the_language(studies: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["build", "--source", "jsonl", "--data-dir", str(studies), "--language", "any"]
    assert main([*arguments, "--out", str(studies.parent / "other"), "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["notes"]["report in German: labelled as if it were English"] == ["german"]
