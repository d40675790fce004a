"""Three opinions on an observation, as one probability."""

import json
import math
from pathlib import Path

import pytest

from db.errors import MismatchError, UserError
from generator.assessment.calibration import CALIBRATION, Calibration, log_odds
from indexer.build import build
from indexer.index import Index
from indexer.sources.jsonl import JsonLines
from tests.support.fakes import ThumbnailEncoder, write_studies


def test_by_default_the_mean_of_the_log_odds() -> None:
    calibration = Calibration()
    assert calibration.probability(
        "Edema", language_model=0.2, knn=0.2, label_head=0.2
    ) == pytest.approx(0.2)
    assert calibration.probability(
        "Edema", language_model=0.9, knn=0.1, label_head=0.9
    ) == pytest.approx(0.5)


def test_without_a_fit_the_language_model_has_no_weight() -> None:
    sure, doubtful = (
        Calibration().probability("Edema", language_model=one, knn=0.2, label_head=0.4)
        for one in (0.99, 0.01)
    )
    assert sure == doubtful


def test_an_image_without_scores_leaves_its_weight_to_the_others() -> None:
    calibration = Calibration(language_model=0.2, knn=0.2, label_head=0.6)
    assert calibration.probability(
        "Edema", language_model=0.3, knn=0.3, label_head=None
    ) == pytest.approx(0.3)
    only = Calibration(language_model=0.0, knn=0.0, label_head=1.0, offsets={"Edema": -1.0})
    alone = only.probability("Edema", language_model=0.9, knn=0.9, label_head=None)
    assert alone == pytest.approx(1 / (1 + math.e))


def test_weights_and_the_offset_of_an_observation_count() -> None:
    calibration = Calibration(language_model=1.0, knn=0.0, label_head=0.5, offsets={"Edema": 2.0})
    odds = log_odds(0.3) + 0.5 * log_odds(0.8)
    others = calibration.probability("Fracture", language_model=0.3, knn=0.99, label_head=0.8)
    assert log_odds(others) == pytest.approx(odds)
    edema = calibration.probability("Edema", language_model=0.3, knn=0.99, label_head=0.8)
    assert log_odds(edema) == pytest.approx(odds + 2)


@pytest.mark.parametrize("certain", [0.0, 1.0])
def test_certain_opinions_give_a_probability_still(certain: float) -> None:
    strong = Calibration(
        language_model=100.0, knn=100.0, label_head=100.0, offsets={"Edema": 100.0}
    )
    found = strong.probability("Edema", language_model=certain, knn=certain, label_head=certain)
    assert found == pytest.approx(certain)
    assert 0 <= found <= 1


def test_a_file_gives_back_what_was_written(tmp_path: Path) -> None:
    path = tmp_path / "calibration.json"
    written = Calibration(
        language_model=0.5, knn=0.1, label_head=0.9, offsets={"Edema": -0.3}, fitted_on="val"
    )
    written.write(path)
    assert Calibration.read(path) == written
    assert [one.name for one in tmp_path.iterdir()] == ["calibration.json"]


def test_without_a_file_the_mean_is_taken(tmp_path: Path) -> None:
    assert Calibration.read(tmp_path / "nothing.json") == Calibration()
    assert Calibration().fitted_on == "nothing"


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[1]",
        "{",
        "\xff",
        json.dumps({"temperature": 2}),
        json.dumps({"model": "much"}),
        json.dumps({"model": None}),
        json.dumps({"offsets": [1]}),
        json.dumps({"offsets": {"Edema": "x"}}),
        '{"model": NaN}',
        '{"knn": Infinity}',
        '{"film": 1e9}',
    ],
)
def test_a_file_that_is_no_calibration_is_refused_with_the_cure(tmp_path: Path, text: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UserError, match="calibrate the adapter again"):
        Calibration.read(path)


@pytest.mark.parametrize("label_head", ["film", "image"])
def test_the_former_names_of_the_sources_are_read(tmp_path: Path, label_head: str) -> None:
    path = tmp_path / "calibration.json"
    path.write_text(json.dumps({"model": 0.5, "vote": 0.1, label_head: 0.9}))
    assert Calibration.read(path) == Calibration(language_model=0.5, knn=0.1, label_head=0.9)


def an_index(tmp_path: Path) -> Index:
    built = tmp_path / "index"
    build(JsonLines(write_studies(tmp_path / "studies", 3)), ThumbnailEncoder(), built)
    return Index.open(built)


def test_the_calibration_of_an_index_goes_before_that_of_an_adapter(tmp_path: Path) -> None:
    index = an_index(tmp_path)
    adapter = tmp_path / "adapter"
    adapter.mkdir()
    assert Calibration.find(index, adapter) == Calibration()
    Calibration(fitted_on="the adapter").write(adapter / CALIBRATION)
    assert Calibration.find(index, adapter).name == "the adapter"
    Calibration(fitted_on="the index").write(tmp_path / "index" / CALIBRATION)
    assert Calibration.find(index, adapter).name == "the index"
    assert Calibration.find(Index.open(tmp_path / "index")).name == "the index"


def test_a_calibration_of_another_encoder_is_refused_with_the_cure(tmp_path: Path) -> None:
    index = an_index(tmp_path)
    path = tmp_path / "index" / CALIBRATION
    Calibration(encoder_sha256="7" * 64).write(path)
    with pytest.raises(MismatchError, match="evaluation calibrate"):
        Calibration.find(index)
    Calibration(encoder_sha256=index.manifest.encoder.weights_sha256).write(path)
    assert Calibration.find(index).encoder_sha256 == index.manifest.encoder.weights_sha256


@pytest.mark.parametrize(
    "points",
    [
        {},
        {"high": 0.1, "balanced": 0.2},
        {"high": 0.3, "balanced": 0.2, "specific": 0.5},
        {"high": 0.0, "balanced": 0.2, "specific": 0.5},
        {"high": 0.1, "balanced": 0.2, "specific": 1},
    ],
)
def test_operating_points_that_do_not_rise_between_0_and_1_are_refused(
    tmp_path: Path, points: dict[str, float]
) -> None:
    path = tmp_path / CALIBRATION
    path.write_text(json.dumps({"operating_points": points}))
    with pytest.raises(UserError, match="calibrate the adapter again"):
        Calibration.read(path)
