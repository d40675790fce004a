"""Coverage, precision and over-reliance that can be counted by hand."""

import json
import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from db.index.store import Case, Sentence
from db.labels import Labels
from evaluation.grounding.citations import (
    CheckedReport,
    check_reports,
    derangement,
    grounding_table,
    write_sentences,
)
from evaluation.grounding.over_reliance import COPIED, SHARED, SURVIVED, UNSEEN, over_reliance_table
from evaluation.outputs.names import WITH_RETRIEVAL
from evaluation.outputs.rows import Outputs, ReportRow, StudyRow
from evaluation.reports.references import References
from evaluation.retrieval.studies import EvaluationStudy
from evaluation.tables import Table
from indexer.reports.labeller import label_report, label_sentence
from retriever.results import Retrieval
from tests.support.evaluations import ABOUT

CASES = {
    "big": "The heart is enlarged.",
    "clear": "The lungs are clear.",
    "fluid": "There is a small left pleural effusion.",
    "broken": "There is a healed rib fracture.",
}


def a_case(number: int, study_id: str, text: str) -> Case:
    sentence = Sentence(section="findings", text=text, labels=label_sentence(text))
    return Case(
        case_id=number,
        source="local",
        study_id=study_id,
        patient_id=None,
        indication="",
        findings=text,
        impression="",
        labels=label_report([text]),
        sentences=(sentence,),
        images=(),
    )


def checked(
    tmp_path: Path, reports: Mapping[str, tuple[str, Sequence[str]]]
) -> list[CheckedReport]:
    """Study to a text and the cases it was shown."""
    outputs = Outputs.open(tmp_path / "outputs.jsonl", ABOUT)
    rows = [
        ReportRow(
            system=WITH_RETRIEVAL,
            study_id=study_id,
            text=text,
            context=tuple(f"local/{name}" for name in names),
        )
        for study_id, (text, names) in reports.items()
    ]
    images = [
        StudyRow(study_id=one, label_scores=None, label_thresholds=None, votes={}, hits=())
        for one in reports
    ]
    outputs.append([*images, *rows])
    cases = {f"local/{n}": a_case(i, n, text) for i, (n, text) in enumerate(CASES.items())}
    references = References(
        studies=tuple(a_study(one) for one in reports), cases={}, indexed=cases, without=0, left=0
    )
    return check_reports(rows, outputs, references)


def a_study(study_id: str) -> EvaluationStudy:
    return EvaluationStudy(
        study_id=study_id,
        patient_id=None,
        images=(),
        findings="",
        report="",
        labels={},
        in_index=False,
    )


def counts(table: Table, row: str) -> tuple[int, int] | None:
    return table.rows[row][WITH_RETRIEVAL].count


@pytest.fixture
def table(tmp_path: Path) -> Table:
    reports = checked(
        tmp_path,
        {
            "1": (
                "Findings: The heart is enlarged. [1][2] The lungs are clear. [2] "
                "No pneumothorax. Impression: Cardiomegaly. [9]",
                ["big", "clear"],
            ),
            "2": (
                "Findings: There is a small left pleural effusion. [1] Unchanged since the "
                "earlier film. [2]",
                ["fluid", "broken"],
            ),
        },
    )
    return grounding_table({WITH_RETRIEVAL: reports}, resamples=50)


def test_coverage_counts_sentences_that_state_an_observation(table: Table) -> None:
    # stated: enlarged, clear, no pneumothorax, cardiomegaly, effusion; [9] names no case
    assert counts(table, "coverage, as written") == (3, 5)
    assert counts(table, "coverage of findings, as written") == (2, 3)


def test_precision_counts_the_numbers_as_they_were_written(table: Table) -> None:
    # [1] of enlarged, [2] of clear and [1] of effusion stand; [2], [9] and the [2] on change do not
    assert counts(table, "precision, as written") == (3, 6)
    assert counts(table, "precision of findings, as written") == (2, 4)


def test_exchanged_numbers_and_hits_of_another_image_hold_less_often(table: Table) -> None:
    # of two hits each number becomes the other one: only the second of enlarged is right then
    assert counts(table, "precision of findings, numbers exchanged") == (1, 4)
    assert counts(table, "precision of findings, another image's hits") == (0, 4)
    fall = table.rows["precision of findings, fall with another image's"][WITH_RETRIEVAL].interval
    assert fall.value == 0.5


def test_after_the_repair_every_citation_stands(table: Table) -> None:
    covered, stated = counts(table, "coverage, after repair") or (0, 0)
    assert stated == 5 and covered >= 4  # cardiomegaly is given the case of the enlarged heart
    standing, cited = counts(table, "precision, after repair") or (0, 0)
    assert standing == cited > 0
    assert counts(table, "sentences whose support was found afterwards") == (1, 5)
    assert counts(table, "sentences left out, on change") == (1, 6)


def test_sentences_are_written_for_anyone_to_look_at(tmp_path: Path) -> None:
    reports = checked(tmp_path, {"1": ("The heart is enlarged. [1][2]", ["big", "clear"])})
    write_sentences({WITH_RETRIEVAL: reports}, tmp_path / "sentences.jsonl")
    [line] = (tmp_path / "sentences.jsonl").read_text().splitlines()
    row = json.loads(line)
    assert (row["study_id"], row["numbers"], row["standing"]) == ("1", [1, 2], [1])
    assert row["labels"] == {"Cardiomegaly": "positive"}


def test_one_hit_has_nothing_to_be_exchanged_for(tmp_path: Path) -> None:
    [report] = checked(tmp_path, {"1": ("The heart is enlarged. [1]", ["big"])})
    [sentence] = report.sentences
    assert sentence.standing("written") == 1
    assert sentence.standing("exchanged") == sentence.standing("elsewhere") == 0


@pytest.mark.parametrize("count", [2, 3, 9])
def test_a_derangement_leaves_nothing_in_its_place(count: int) -> None:
    moved = derangement(count, random.Random(0))
    assert sorted(moved) == list(range(count))
    assert all(place != to for place, to in enumerate(moved))


def test_over_reliance_counts_pairs_of_study_and_finding() -> None:
    def retrieval(**scores: float) -> Retrieval:
        named = {name.replace("_", " "): score for name, score in scores.items()}
        every = dict.fromkeys(label_names(), 0.0)
        return Retrieval(
            hits=(),
            index_fingerprint="",
            source="local",
            images_sha256=(),
            label_scores={**every, **named},
        )

    edema: Labels = {"Edema": "positive"}
    fracture: Labels = {"Fracture": "uncertain"}
    nothing: Labels = {"No Finding": "positive"}
    table = over_reliance_table(
        {"ours": [edema, fracture, edema], "other": [nothing, nothing, nothing]},
        references=[nothing, {**fracture, **edema}, {"Pneumonia": "positive"}],
        retrievals=[
            retrieval(),
            retrieval(Fracture=0.9, Edema=0.9),
            retrieval(Edema=0.9),
        ],
        contexts=[[edema, nothing], [edema], [edema]],
        resamples=20,
    )
    found = {row: [cell.count for cell in cells.values()] for row, cells in table.rows.items()}
    assert found == {
        COPIED: [(1, 1), (0, 1)],  # the edema of the first; that of the third the encoder sees
        SURVIVED: [(1, 1), (0, 1)],  # the fracture of the second
        UNSEEN: [(1, 2), (0, 2)],  # and the pneumonia of the third, which nothing shows
        SHARED: [(0, 1), (0, 1)],  # the edema of the second
    }


def label_names() -> list[str]:
    from db.labels import FINDINGS

    return list(FINDINGS)
