"""Search: who is found, who must never be, and what is said of those left out."""

import json
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from db.errors import MismatchError, UserError
from db.labels import named
from indexer.build import build
from indexer.images.reader import read_radiograph
from indexer.sources.jsonl import JsonLines
from retriever.knn_votes import vote
from retriever.options import SearchOptions
from retriever.query import read_query
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder, ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph

COUNT = 30


@pytest.fixture(scope="module")
def studies(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_studies(tmp_path_factory.mktemp("studies"), COUNT, per_patient=3)


@pytest.fixture(scope="module")
def retriever(studies: Path) -> Retriever:
    index_dir = studies.parent / "index"
    build(JsonLines(studies), ThumbnailEncoder(), index_dir)
    return Retriever.open(index_dir, ThumbnailEncoder())


@pytest.fixture(scope="module")
def reports_index(studies: Path) -> Path:
    index_dir = studies.parent / "reports_index"
    build(JsonLines(studies), ReportEncoder(), index_dir)
    return index_dir


@pytest.fixture
def image(studies: Path) -> Callable[[int], Path]:
    return lambda number: studies.parent / f"{number}.png"


def ids(retrieval: object) -> list[str]:
    return [hit.case.study_id for hit in retrieval.hits]  # type: ignore[attr-defined]


def test_one_image_of_any_kind_gives_the_hits_of_its_file(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    path = image(4)
    expected = retriever.search([path], k=3)
    with Image.open(path) as opened:
        pixels = np.asarray(opened.convert("L"))
        others = [retriever.search(opened, k=3)]
    for one in (path, str(path), path.read_bytes(), pixels, np.stack([pixels] * 3, axis=2)):
        others.append(retriever.search(one, k=3))
    for found in others:
        assert ids(found) == ids(expected)
        assert found.images_sha256 == expected.images_sha256
        assert found.excluded_cases == expected.excluded_cases


@pytest.mark.parametrize("scale", [257, 257.0])
def test_16_bit_arrays_are_read_like_16_bit_files(
    retriever: Retriever, image: Callable[[int], Path], scale: float, tmp_path: Path
) -> None:
    deep = np.asarray(Image.open(image(4)).convert("L")).astype(np.uint16) * np.uint16(257)
    Image.fromarray(deep).save(tmp_path / "deep.png")
    expected = retriever.search(tmp_path / "deep.png")
    found = retriever.search(deep if isinstance(scale, int) else deep.astype(np.float64))
    assert ids(found) == ids(expected)
    assert found.images_sha256 == expected.images_sha256


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.zeros((2, 40, 40, 3), np.uint8), r"shape \(2, 40, 40, 3\)"),
        (np.zeros(40), "shape"),
        (np.full((40, 40), np.nan), "not finite"),
        (np.zeros((40, 40, 3)), "float64"),
        (np.zeros((40, 40), np.uint8), "blank"),
        (np.eye(8), "8 x 8"),
    ],
)
def test_an_array_that_is_not_a_radiograph_is_refused(
    retriever: Retriever, pixels: np.ndarray, message: str
) -> None:
    with pytest.raises(UserError, match=message):
        retriever.search(pixels)


def test_single_options_override_those_of_search_options(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    options = SearchOptions(k=4, exclude_study_ids=["s3"])
    assert ids(retriever.search(image(4), options)) == ids(
        retriever.search(image(4), k=4, exclude_study_ids=["s3"])
    )
    assert len(retriever.search(image(4), options, k=2).hits) == 2
    with pytest.raises(TypeError, match="no_such_option"):
        retriever.search(image(4), no_such_option=1)


def test_retriever_retrieval_and_hit_print_on_one_line(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    found = retriever.search(image(4), k=2)
    for one in (retriever, found, found.hits[0]):
        assert len(repr(one)) < 100 and "\n" not in repr(one)
    assert found.hits[0].case.study_id in repr(found.hits[0])


def test_hits_come_best_first_with_rank_from_one(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([image(4)], k=7)
    scores = [hit.score for hit in retrieval.hits]
    assert [hit.rank for hit in retrieval.hits] == [1, 2, 3, 4, 5, 6, 7]
    assert scores == sorted(scores, reverse=True)


def test_an_image_does_not_find_itself(retriever: Retriever, image: Callable[[int], Path]) -> None:
    retrieval = retriever.search([image(4)], k=COUNT)
    assert "s4" not in ids(retrieval)
    assert [(left.study_id, left.reason) for left in retrieval.excluded_cases] == [
        ("s4", "the same image")
    ]
    kept = retriever.search([image(4)], k=1, exclude_near_duplicates=False)
    assert ids(kept) == ["s4"] and kept.hits[0].score == pytest.approx(1, abs=1e-5)


def test_a_near_duplicate_in_another_format_is_left_out(
    retriever: Retriever, image: Callable[[int], Path], tmp_path: Path
) -> None:
    copy = tmp_path / "copy.jpg"
    Image.open(image(4)).resize((160, 192)).save(copy, quality=60)
    retrieval = retriever.search([copy], k=3)
    assert [(left.study_id, left.reason) for left in retrieval.excluded_cases] == [
        ("s4", "a near duplicate of the image")
    ]


def test_a_similar_image_of_another_patient_is_not_a_near_duplicate(retriever: Retriever) -> None:
    image = draw_radiograph(999, size=(96, 80))
    retrieval = retriever.search([read_radiograph(_png(image))], k=COUNT)
    assert not retrieval.excluded_cases and len(retrieval.hits) == COUNT


def test_no_study_of_an_excluded_patient_appears(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([image(4)], k=COUNT, exclude_patient_ids=["p1"])
    assert not {"s3", "s4", "s5"} & set(ids(retrieval))
    assert len(retrieval.hits) == COUNT - 3
    only_study = retriever.search([image(4)], k=COUNT, exclude_study_ids=["s3"])
    assert "s3" not in ids(only_study) and "s5" in ids(only_study)


def test_with_distinct_reports_each_text_occurs_once(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([image(4)], k=COUNT, distinct_reports=True)
    texts = [hit.case.report for hit in retrieval.hits]
    assert len(texts) == len(set(texts)) == 4
    assert all(
        left.reason.startswith(("the same", "same report as")) for left in retrieval.excluded_cases
    )


def test_a_label_filter_keeps_only_cases_that_name_it(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    retrieval = retriever.search([image(1)], k=COUNT, labels=["Pleural Effusion"])
    assert retrieval.hits
    assert {hit.case.labels["Pleural Effusion"] for hit in retrieval.hits} == {"positive"}
    with pytest.raises(UserError, match="unknown observation 'Effusion'"):
        retriever.search([image(1)], labels=["Effusion"])


def test_a_minimum_score_cuts_the_list(retriever: Retriever, image: Callable[[int], Path]) -> None:
    everything = retriever.search([image(4)], k=COUNT)
    cut = everything.hits[5].score
    retrieval = retriever.search([image(4)], k=COUNT, min_score=cut)
    assert [hit.score for hit in retrieval.hits] == [
        hit.score for hit in everything.hits if hit.score >= cut
    ]


def test_two_views_make_one_query(retriever: Retriever, image: Callable[[int], Path]) -> None:
    both = retriever.search([image(4), image(9)], k=COUNT)
    assert len(both.images_sha256) == 2
    assert {left.study_id for left in both.excluded_cases} == {"s4", "s9"}
    assert ids(both) != ids(retriever.search([image(4)], k=COUNT))


@pytest.mark.parametrize("k", [0, -1])
def test_k_below_1_is_refused(retriever: Retriever, image: Callable[[int], Path], k: int) -> None:
    with pytest.raises(UserError, match="k must be at least 1"):
        retriever.search([image(1)], k=k)


def test_a_search_without_image_or_text_is_refused(retriever: Retriever) -> None:
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


def test_a_retrieval_is_json(retriever: Retriever, image: Callable[[int], Path]) -> None:
    from dataclasses import asdict

    values = json.loads(json.dumps(asdict(retriever.search([image(4)], k=2))))
    assert values["hits"][0]["case"]["study_id"] == ids(retriever.search([image(4)], k=1))[0]


def test_a_text_finds_the_cases_nearest_to_it(reports_index: Path) -> None:
    retriever = Retriever.open(reports_index, ReportEncoder())
    retrieval = retriever.search(text="7", k=3)
    assert ids(retrieval)[0] == "s7" and retrieval.hits[0].score == pytest.approx(1, abs=1e-5)
    assert retrieval.images_sha256 == () and retrieval.label_scores is None
    assert retrieval.ood is None


def test_text_and_images_are_weighted(reports_index: Path, image: Callable[[int], Path]) -> None:
    retriever = Retriever.open(reports_index, ReportEncoder())

    def scores(text_weight: float) -> dict[str, float]:
        retrieval = retriever.search(
            [image(4)], text="7", text_weight=text_weight, k=COUNT, exclude_near_duplicates=False
        )
        return {hit.case.study_id: hit.score for hit in retrieval.hits}

    alone, both, words = scores(0.0), scores(0.5), scores(1.0)
    assert alone["s4"] == pytest.approx(1, abs=1e-5) and words["s7"] == pytest.approx(1, abs=1e-5)
    assert both["s4"] == pytest.approx(both["s7"], abs=1e-4)
    assert alone["s7"] < both["s7"] < 1 and set(list(both)[:2]) == {"s4", "s7"}


def test_a_text_query_needs_a_text_tower(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    with pytest.raises(UserError, match="'thumbnail' has no text tower"):
        retriever.search([image(1)], text="effusion")
    with pytest.raises(UserError, match="text query is empty"):
        retriever.search(text="  ")
    assert ids(retriever.search([image(1)]))


def test_too_long_a_text_is_refused(reports_index: Path) -> None:
    with pytest.raises(UserError, match=r"4,000 characters, not 5,000"):
        Retriever.open(reports_index, ReportEncoder()).search(text="7" * 5000)


def test_min_ratio_limits_hits_relative_to_the_best_score(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    everything = retriever.search([image(4)], k=COUNT)
    best = everything.hits[0].score
    ratio = everything.hits[6].score / best
    kept = retriever.search([image(4)], k=COUNT, min_ratio=ratio - 1e-6)
    assert ids(kept) == ids(everything)[:7]
    assert ids(retriever.search([image(4)], k=3, min_ratio=ratio - 1e-6)) == ids(everything)[:3]
    assert ids(retriever.search([image(4)], k=COUNT, min_ratio=1.0)) == ids(everything)[:1]


def test_the_label_filter_uses_the_label_head(
    reports_index: Path, image: Callable[[int], Path]
) -> None:
    def found(label_filter: str, **seen: float) -> set[frozenset[str]]:
        scores = {name.replace("_", " "): score for name, score in seen.items()}
        retriever = Retriever.open(reports_index, ReportEncoder(scores))
        retrieval = retriever.search([image(4)], k=COUNT, label_filter=label_filter)  # type: ignore[arg-type]
        return {named(hit.case.labels) for hit in retrieval.hits}

    effusion, pneumonia = frozenset({"Pleural Effusion"}), {"Pneumonia", "Lung Opacity"}
    everything = found("none", Pleural_Effusion=0.9)
    assert everything >= {frozenset(), effusion, frozenset(pneumonia)}
    assert found("exact", Pleural_Effusion=0.9) == {effusion}
    assert found("exact", Pleural_Effusion=0.9, Edema=0.9) == set()
    assert found("partial", Pleural_Effusion=0.9, Edema=0.9) == {effusion}
    assert found("partial", Pleural_Effusion=0.9, Pneumonia=0.5) == {
        effusion,
        frozenset(pneumonia),
    }
    assert found("exact") == found("partial") == {frozenset()}


def test_a_label_filter_without_matches_adds_a_note(
    reports_index: Path, image: Callable[[int], Path]
) -> None:
    retriever = Retriever.open(reports_index, ReportEncoder({"Edema": 0.9}))
    retrieval = retriever.search([image(4)], label_filter="exact")
    assert not retrieval.hits
    assert retrieval.notes == ("no case passes the label filter 'exact'",)


def test_the_label_filter_uses_the_thresholds_of_the_encoder(
    reports_index: Path, image: Callable[[int], Path]
) -> None:
    encoder = ReportEncoder({"Pleural Effusion": 0.2})
    encoder.label_thresholds = {"Pleural Effusion": 0.15}  # type: ignore[attr-defined]
    retrieval = Retriever.open(reports_index, encoder).search([image(4)], label_filter="exact")
    assert {named(hit.case.labels) for hit in retrieval.hits} == {frozenset({"Pleural Effusion"})}


def test_a_label_filter_needs_an_image_and_a_label_head(
    retriever: Retriever, reports_index: Path, image: Callable[[int], Path]
) -> None:
    with pytest.raises(UserError, match="'thumbnail' has no label head"):
        retriever.search([image(4)], label_filter="exact")
    with pytest.raises(UserError, match="a label filter needs an image"):
        Retriever.open(reports_index, ReportEncoder()).search(text="7", label_filter="exact")


def test_diversity_chooses_dissimilar_hits(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    def similarity(diversity: float) -> float:
        hits = retriever.search([image(4)], k=5, diversity=diversity).hits
        scores = [hit.score for hit in hits]
        assert len(hits) == 5 and scores == sorted(scores, reverse=True)
        vectors = np.stack([retriever.index.vectors.vector(hit.case.case_id) for hit in hits])
        return float((vectors @ vectors.T).mean())

    assert similarity(0.7) < similarity(0.0)
    best = ids(retriever.search([image(4)], k=1))
    assert ids(retriever.search([image(4)], k=5, diversity=1.0))[:1] == best


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_ratio": 1.5}, "min_ratio must be between 0 and 1, not 1.5"),
        ({"diversity": -0.1}, "diversity must be between 0 and 1"),
        ({"text_weight": 2}, "text_weight must be between 0 and 1"),
        ({"min_score": 3}, "min_score must be between -1 and 1"),
        ({"label_filter": "some"}, "unknown label filter 'some'"),
        ({"min_ratio": float("nan")}, "min_ratio must be between 0 and 1"),
    ],
)
def test_an_option_out_of_range_is_refused(
    retriever: Retriever, image: Callable[[int], Path], options: dict[str, Any], message: str
) -> None:
    with pytest.raises(UserError, match=message):
        retriever.search([image(1)], **options)


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"text": "5"},
        {"exclude_near_duplicates": False},
        {"distinct_reports": True},
        {"labels": ["Pleural Effusion"]},
        {"label_filter": "exact"},
        {"label_filter": "partial"},
        {"min_ratio": 0.2},
        {"min_score": -1.0},
        {"diversity": 0.5},
        {"text": "4", "text_weight": 1.0, "diversity": 1.0, "distinct_reports": True},
    ],
)
def test_a_left_out_patient_never_appears_whatever_the_options(
    reports_index: Path, image: Callable[[int], Path], options: dict[str, Any]
) -> None:
    retriever = Retriever.open(reports_index, ReportEncoder({"Pleural Effusion": 0.9}))
    for number in range(3, 6):  # the three studies of patient p1
        retrieval = retriever.search(
            [image(number)], k=COUNT, exclude_patient_ids=["p1"], **options
        )
        mentioned = set(ids(retrieval)) | {left.study_id for left in retrieval.excluded_cases}
        assert retrieval.hits and not {"s3", "s4", "s5"} & mentioned


def test_the_command_line_has_every_option(
    reports_index: Path, image: Callable[[int], Path], capsys: pytest.CaptureFixture[str]
) -> None:
    from retriever.__main__ import parser

    command = (
        f"search {reports_index} {image(4)} --text 7 --text-weight 0.25 -k 9 --min-ratio 0.5 "
        "--label-filter partial --diversity 0.5 --distinct-reports --label Edema"
    )
    arguments = parser().parse_args(command.split())
    assert (arguments.text, arguments.text_weight, arguments.k) == ("7", 0.25, 9)
    assert (arguments.min_ratio, arguments.label_filter) == (0.5, "partial")
    assert (arguments.diversity, arguments.distinct_reports) == (0.5, True)
    arguments = parser().parse_args(["search", str(reports_index), "--text", "effusion"])
    assert arguments.images == [] and arguments.text == "effusion"


def test_voting_without_reading_cases_gives_the_votes_of_the_hits(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    query = read_query(retriever.encoder, [image(4)])
    hits = retriever.search([image(4)], k=12, exclude_near_duplicates=False).hits
    keeping = SearchOptions(exclude_near_duplicates=False)
    voted, expected = retriever.vote(query, keeping, k=12), vote(hits)
    for name, one in expected.items():
        assert voted[name].probability == pytest.approx(one.probability, abs=1e-5)
        assert voted[name].supporting_ranks == one.supporting_ranks
    options = SearchOptions(k=COUNT, exclude_patient_ids=["p1"], exclude_study_ids=["s9"])
    alone = retriever.vote(query, options, k=COUNT)
    others = retriever.search([image(4)], options)
    assert alone["No Finding"].probability == pytest.approx(
        vote(others.hits)["No Finding"].probability, abs=1e-5
    )


def test_the_report_of_an_indexed_study_does_not_vote_on_itself(
    retriever: Retriever, image: Callable[[int], Path]
) -> None:
    query = read_query(retriever.encoder, [image(4)])
    itself = retriever.search([image(4)], k=1, exclude_near_duplicates=False).hits[0]
    own = SearchOptions(exclude_study_ids=[itself.case.study_id])
    assert retriever.vote(query) == retriever.vote(query, own)
    assert retriever.vote(query) != retriever.vote(
        query, SearchOptions(exclude_near_duplicates=False)
    )


def _png(pixels: np.ndarray) -> bytes:
    from io import BytesIO

    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "PNG")
    return stream.getvalue()


def test_a_near_duplicate_is_found_when_vectors_include_reports(
    studies: Path, image: Callable[[int], Path], tmp_path: Path
) -> None:
    class WithReports(ThumbnailEncoder):
        def __init__(self) -> None:
            super().__init__("with-reports")
            self.spec = replace(self.spec, report_weight=3.0)

        def embed_text(self, texts: Sequence[str]) -> np.ndarray:
            rows = [np.random.default_rng(len(text)).normal(size=64) for text in texts]
            return np.array([row / np.linalg.norm(row) for row in rows], dtype=np.float32)

    build(JsonLines(studies), WithReports(), tmp_path / "index")
    retriever = Retriever.open(tmp_path / "index", WithReports())
    copy = tmp_path / "copy.jpg"
    Image.open(image(4)).resize((160, 192)).save(copy, quality=60)
    retrieval = retriever.search([copy], k=COUNT)
    assert [(left.study_id, left.reason) for left in retrieval.excluded_cases] == [
        ("s4", "a near duplicate of the image")
    ]
    assert retrieval.excluded_cases[0].score < 0.9
