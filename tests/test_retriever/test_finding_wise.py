"""The strategy ``findings``: every finding that is likely is named by some of the hits."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from db.errors import UserError
from db.labels import FINDINGS, OBSERVATIONS, named
from indexer.build import build
from indexer.encoder.spec import ImageEmbeddings
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.query import read_query
from retriever.ranking.finding_wise import (
    LEAST_LIKELIHOOD,
    QUOTA,
    FindingRanking,
    finding_likelihoods,
    ranking_score,
)
from retriever.results import Retrieval
from retriever.search import Retriever
from tests.support.fakes import ReportEncoder
from tests.support.radiographs import draw_radiograph

NORMAL = "The lungs are clear. Heart size is normal."
NAMING = {
    "Fracture": "There is a rib fracture.",
    "Pneumothorax": "There is a pneumothorax.",
    "Cardiomegaly": "The heart is enlarged.",
}


class Seeing(ReportEncoder):
    """Sees a fracture and a pneumothorax on every image, and embeds the image of a seed near that
    seed."""

    def __init__(self) -> None:
        super().__init__({"Fracture": 0.9, "Pneumothorax": 0.6})

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        found = super().embed_images(images)
        angles = [float(image[0, 0]) / 255 for image in images]
        vectors = np.zeros((len(images), 64), np.float32)
        vectors[:, 0], vectors[:, 1] = np.cos(angles), np.sin(angles)
        return ImageEmbeddings(vectors=vectors, label_scores=found.label_scores)


def an_image(path: Path, place: int) -> Path:
    """An image that `Seeing` embeds the farther away the larger ``place`` is."""
    pixels = draw_radiograph(place, size=(96, 80))
    pixels[0, 0] = 3 * place
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    """Normal cases first, then cases that name findings, the same report twice."""
    folder = tmp_path_factory.mktemp("cases")
    texts = [
        *(f"{NORMAL} Sign {number}." for number in range(20)),
        *(f"{text} Sign {number}." for number in range(4) for text in NAMING.values()),
        *[NAMING["Fracture"]] * 2,
    ]
    lines = [
        json.dumps(
            {
                "study_id": f"s{number}",
                "patient_id": f"p{number // 2}",
                "image": an_image(folder / f"{number}.png", number + 1).name,
                "findings": text,
            }
        )
        for number, text in enumerate(texts)
    ]
    (folder / "studies.jsonl").write_text("\n".join(lines))
    build(JsonLines(folder / "studies.jsonl"), Seeing(), folder / "index")
    return Retriever.open(folder / "index", Seeing())


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return an_image(tmp_path_factory.mktemp("query") / "query.png", 0)


def naming(retrieval: Retrieval, finding: str) -> int:
    return sum(finding in named(hit.case.labels) for hit in retrieval.hits)


def test_each_likely_finding_is_named_though_the_nearest_cases_are_normal(
    retriever: Retriever, image: Path
) -> None:
    nearest = retriever.search(image, k=8)
    assert not any(named(hit.case.labels) for hit in nearest.hits)
    assert nearest.strategy == "similar" and nearest.finding_likelihoods is None
    found = retriever.search(image, k=8, strategy="findings")
    assert len(found.hits) == 8 and found.strategy == "findings"
    assert set(found.wanted_findings) == {"Fracture", "Pneumothorax"}
    assert naming(found, "Fracture") >= QUOTA and naming(found, "Pneumothorax") >= QUOTA
    assert naming(found, "Cardiomegaly") == 0
    assert any(not named(hit.case.labels) for hit in found.hits), "the best ranked are there too"
    assert [hit.rank for hit in found.hits] == list(range(1, 9))


def test_hits_come_in_the_order_of_the_ranking_and_keep_their_cosine(
    retriever: Retriever, image: Path
) -> None:
    found = retriever.search(image, k=8, strategy="findings")
    likelihoods = found.finding_likelihoods
    assert likelihoods is not None
    values = [ranking_score(hit.score, hit.case.labels, likelihoods) for hit in found.hits]
    assert values == sorted(values, reverse=True)
    query = read_query(retriever.encoder, [image])
    for hit in found.hits:
        vector = retriever.index.vectors.vector(hit.case.case_id)
        assert hit.score == pytest.approx(float(vector @ query.vector), abs=1e-3)


def test_every_rule_of_a_search_still_holds(retriever: Retriever, image: Path) -> None:
    first = retriever.search(image, k=8, strategy="findings")
    fracture = next(hit.case for hit in first.hits if "Fracture" in named(hit.case.labels))
    without = retriever.search(
        image, k=8, strategy="findings", exclude_patient_ids=[fracture.patient_id]
    )
    assert fracture.patient_id not in {hit.case.patient_id for hit in without.hits}
    assert naming(without, "Fracture") >= QUOTA, "others take their places"
    only = retriever.search(image, k=3, strategy="findings", labels=["Cardiomegaly"])
    assert all("Cardiomegaly" in named(hit.case.labels) for hit in only.hits) and only.hits
    high = retriever.search(image, k=8, strategy="findings", min_score=0.99)
    assert high.hits and all(hit.score >= 0.99 for hit in high.hits)
    assert not retriever.search(image, k=8, strategy="findings", min_score=1.0).hits


def test_repeated_reports_and_the_image_itself_are_left_out_and_listed(
    retriever: Retriever, tmp_path: Path
) -> None:
    itself = an_image(tmp_path / "itself.png", 33)  # that of study s32, whose report s33 repeats
    found = retriever.search(itself, k=34, strategy="findings", distinct_reports=True)
    reasons = {one.study_id: one.reason for one in found.excluded_cases}
    assert reasons["s32"] == "the same image"
    assert not any(reason.startswith("same report") for reason in reasons.values())
    other = an_image(tmp_path / "other.png", 80)
    found = retriever.search(other, k=34, strategy="findings", distinct_reports=True)
    assert [one.reason[:20] for one in found.excluded_cases] == ["same report as study"]
    assert len(found.hits) == 33


def test_the_strategy_takes_neither_a_text_nor_diversity(retriever: Retriever, image: Path) -> None:
    with pytest.raises(UserError, match="leave out the text or the strategy"):
        retriever.search(image, text="7", strategy="findings")
    with pytest.raises(UserError, match="leave diversity out"):
        SearchOptions(strategy="findings", diversity=0.5)
    with pytest.raises(UserError, match="unknown strategy 'nearest'"):
        SearchOptions(strategy="nearest")  # type: ignore[arg-type]


def a_ranking(**likelihoods: float) -> FindingRanking:
    low = dict.fromkeys(FINDINGS, 0.01)
    given = {name.replace("_", " "): value for name, value in likelihoods.items()}
    return FindingRanking({**low, **given}, np.full(len(FINDINGS), 0.1))


def test_findings_are_wanted_from_a_probability_on_the_most_unusual_first() -> None:
    ranking = a_ranking(Edema=LEAST_LIKELIHOOD, Fracture=0.4, Atelectasis=0.09)
    assert ranking.wanted == ("Fracture", "Edema")
    prevalence = np.where(np.array(FINDINGS) == "Fracture", 0.0, 0.1)
    assert FindingRanking(ranking.likelihoods, prevalence).wanted == ("Edema",)


def test_the_table_and_the_single_case_are_scored_alike() -> None:
    ranking = a_ranking(Edema=0.7, Lung_Opacity=0.2)
    labels = [{}, {"Edema": "positive"}, {"Edema": "negative", "Lung Opacity": "uncertain"}]
    have = np.array([[name in named(one) for name in FINDINGS] for one in labels])
    cosines = np.array([0.5, 0.1, 0.3])
    for score, cosine, one in zip(ranking.scores(cosines, have), cosines, labels, strict=True):
        assert score == pytest.approx(ranking_score(float(cosine), one, ranking.likelihoods))
    normal, edema, opacity = ranking.scores(np.zeros(3), have)
    assert edema > normal > opacity


def test_likelihoods_lie_between_those_of_votes_and_label_head(
    retriever: Retriever, image: Path
) -> None:
    votes = retriever.vote(read_query(retriever.encoder, [image]))
    alone = finding_likelihoods(votes, None)
    for name in FINDINGS:
        kept = min(max(votes[name].probability, 1e-3), 1 - 1e-3)
        assert alone[name] == pytest.approx(kept)
    both = finding_likelihoods(votes, dict.fromkeys(OBSERVATIONS, 0.9))
    assert all(alone[name] < both[name] < 0.9 for name in FINDINGS)
