"""Search: who is found, who must never be, and what is said of those left out."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import MismatchError, UserError
from indexer.build import build
from indexer.images import read_film
from indexer.sources.jsonl import JsonLines
from retriever.search import Retriever
from tests.fakes import ThumbnailEncoder, write_studies
from tests.films import draw_film

COUNT = 30


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_studies(tmp_path_factory.mktemp("studies"), COUNT, per_patient=3)


@pytest.fixture(scope="module")
def retriever(studies: Path) -> Retriever:
    index_dir = studies.parent / "index"
    build(JsonLines(studies), ThumbnailEncoder(), index_dir)
    return Retriever.open(index_dir, ThumbnailEncoder())


@pytest.fixture
def film(studies: Path) -> Callable[[int], Path]:
    return lambda number: studies.parent / f"{number}.png"


def ids(retrieval: object) -> list[str]:
    return [hit.case.study_id for hit in retrieval.hits]  # type: ignore[attr-defined]


def test_hits_come_best_first_with_rank_from_one(
    retriever: Retriever, film: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([film(4)], k=7)
    scores = [hit.score for hit in retrieval.hits]
    assert [hit.rank for hit in retrieval.hits] == [1, 2, 3, 4, 5, 6, 7]
    assert scores == sorted(scores, reverse=True)


def test_a_film_does_not_find_itself(retriever: Retriever, film: Callable[[int], Path]) -> None:
    retrieval = retriever.search([film(4)], k=COUNT)
    assert "s4" not in ids(retrieval)
    assert [(left.study_id, left.reason) for left in retrieval.left_out] == [
        ("s4", "the same film")
    ]
    kept = retriever.search([film(4)], k=1, exclude_near_copies=False)
    assert ids(kept) == ["s4"] and kept.hits[0].score == pytest.approx(1, abs=1e-5)


def test_a_near_copy_is_left_out_also_in_another_format(
    retriever: Retriever, film: Callable[[int], Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.jpg"
    Image.open(film(4)).resize((160, 192)).save(copy, quality=60)
    retrieval = retriever.search([copy], k=3)
    assert [(left.study_id, left.reason) for left in retrieval.left_out] == [
        ("s4", "a near-copy of the film")
    ]


def test_another_patient_with_a_like_film_is_not_taken_for_a_copy(retriever: Retriever) -> None:
    film = draw_film(999, size=(96, 80))
    retrieval = retriever.search([read_film(_png(film))], k=COUNT)
    assert not retrieval.left_out and len(retrieval.hits) == COUNT


def test_no_study_of_an_excluded_patient_appears(
    retriever: Retriever, film: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([film(4)], k=COUNT, exclude_patient_ids=["p1"])
    assert not {"s3", "s4", "s5"} & set(ids(retrieval))
    assert len(retrieval.hits) == COUNT - 3
    only_study = retriever.search([film(4)], k=COUNT, exclude_study_ids=["s3"])
    assert "s3" not in ids(only_study) and "s5" in ids(only_study)


def test_distinct_reports_list_each_text_once(
    retriever: Retriever, film: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([film(4)], k=COUNT, distinct_reports=True)
    texts = [hit.case.report for hit in retrieval.hits]
    assert len(texts) == len(set(texts)) == 4
    assert all(
        left.reason.startswith(("the same", "same report as")) for left in retrieval.left_out
    )


def test_a_label_filter_keeps_only_cases_that_name_it(
    retriever: Retriever, film: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([film(1)], k=COUNT, labels=["Pleural Effusion"])
    assert retrieval.hits
    assert {hit.case.labels["Pleural Effusion"] for hit in retrieval.hits} == {"positive"}
    with pytest.raises(UserError, match="unknown observation 'Effusion'"):
        retriever.search([film(1)], labels=["Effusion"])


def test_a_minimum_score_cuts_the_list(retriever: Retriever, film: Callable[[int], Path]) -> None:
    everything = retriever.search([film(4)], k=COUNT)
    cut = everything.hits[5].score
    retrieval = retriever.search([film(4)], k=COUNT, min_score=cut)
    assert [hit.score for hit in retrieval.hits] == [
        hit.score for hit in everything.hits if hit.score >= cut
    ]


def test_two_views_are_one_query(retriever: Retriever, film: Callable[[int], Path]) -> None:
    both = retriever.search([film(4), film(9)], k=COUNT)
    assert len(both.films_sha256) == 2
    assert {left.study_id for left in both.left_out} == {"s4", "s9"}
    assert ids(both) != ids(retriever.search([film(4)], k=COUNT))


@pytest.mark.parametrize("k", [0, -1])
def test_an_impossible_k_is_refused(
    retriever: Retriever, film: Callable[[int], Path], k: int
) -> None:
    with pytest.raises(UserError, match="k must be at least 1"):
        retriever.search([film(1)], k=k)


def test_no_image_is_refused(retriever: Retriever) -> None:
    with pytest.raises(UserError, match="no image given"):
        retriever.search([])


def test_a_query_with_another_encoder_is_refused(retriever: Retriever) -> None:
    with pytest.raises(MismatchError, match="thumbnail"):
        Retriever(retriever.index, ThumbnailEncoder("other", "1" * 64))


def test_the_command_line_gives_json_and_one_sentence_for_bad_input(
    studies: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from retriever.__main__ import main

    (tmp_path / "text.png").write_text("no image")
    assert main(["search", str(tmp_path / "nowhere"), str(tmp_path / "text.png")]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_a_retrieval_is_json(retriever: Retriever, film: Callable[[int], Path]) -> None:
    from dataclasses import asdict

    values = json.loads(json.dumps(asdict(retriever.search([film(4)], k=2))))
    assert values["hits"][0]["case"]["study_id"] == ids(retriever.search([film(4)], k=1))[0]


def _png(pixels: np.ndarray) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()
