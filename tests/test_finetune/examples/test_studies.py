"""Studies to train on, searched for as if the index did not hold them."""

from pathlib import Path

import pytest

from db.errors import UserError
from finetune.examples.studies import gather, gather_split
from indexer.build import build
from indexer.sources.jsonl import JsonLines
from retriever.case_filter import normalise_report
from retriever.overlap import Overlap
from retriever.ranking import finding_wise
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, write_studies


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("training")
    build(
        JsonLines(write_studies(directory, 8, per_patient=2)),
        ReportEncoder(),
        directory / "index",
    )
    return directory


def test_own_study_patient_and_report_are_never_hits(folder: Path) -> None:
    retriever = Retriever.open(folder / "index", ReportEncoder())
    for study in gather(retriever, ["s0", "s3"], side=16):
        assert study.canvas[:2] == b"\xff\xd8"
        hits = study.retrieval.hits
        assert [hit.rank for hit in hits] == list(range(1, len(hits) + 1))
        assert hits
        for hit in hits:
            assert hit.case.study_id != study.case.study_id
            assert hit.case.patient_id != study.case.patient_id
            assert normalise_report(hit.case.report) != normalise_report(study.case.report)


def test_hidden_studies_are_in_no_context(folder: Path) -> None:
    retriever = Retriever.open(folder / "index", ReportEncoder())
    (before,) = gather(retriever, ["s0"], side=16)
    shown = {hit.case.study_id for hit in before.retrieval.hits}
    (after,) = gather(retriever, ["s0"], side=16, hidden=["s5"])
    assert "s5" in shown
    assert {hit.case.study_id for hit in after.retrieval.hits} == shown - {"s5"}


def test_a_split_is_searched_for_in_the_index(folder: Path, tmp_path: Path) -> None:
    retriever = Retriever.open(folder / "index", ReportEncoder())
    source = JsonLines(write_studies(tmp_path, 9))
    studies = list(gather_split(retriever, source, side=16, overlap=Overlap([])))
    assert [study.case.study_id for study in studies] == [f"s{n}" for n in range(9)]
    assert all(s.case.study_id not in {h.case.study_id for h in s.retrieval.hits} for s in studies)


def test_a_missing_study_or_a_changed_image_is_refused(folder: Path, tmp_path: Path) -> None:
    retriever = Retriever.open(folder / "index", ReportEncoder())
    with pytest.raises(UserError, match="study s99 is not in"):
        list(gather(retriever, ["s99"], side=16))
    image, other = folder / "6.png", folder / "7.png"
    image.write_bytes(other.read_bytes())
    with pytest.raises(UserError, match="differs from the indexed image of study s6"):
        list(gather(retriever, ["s6"], side=16))
    image.unlink()
    with pytest.raises(UserError, match="is missing: rebuild the index"):
        list(gather(retriever, ["s6"], side=16))


def test_cases_are_chosen_by_the_strategy_that_the_examples_name(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(finding_wise, "LEAST_LIKELIHOOD", 0.1)
    retriever = Retriever.open(folder / "index", ReportEncoder())
    (plain,) = gather(retriever, ["s0"], side=16)
    assert plain.retrieval.strategy == "similar"
    (study,) = gather(retriever, ["s0"], side=16, strategy="findings")
    assert study.retrieval.strategy == "findings" and study.retrieval.wanted_findings
    assert "s0" not in {hit.case.study_id for hit in study.retrieval.hits}
