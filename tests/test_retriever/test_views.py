"""What a query says of its single images."""

from pathlib import Path

import numpy as np
import pytest

from db.labels import OBSERVATIONS
from indexer.build import build
from indexer.encoder.spec import ImageEmbeddings
from indexer.images.contrast import brightness
from indexer.images.radiograph import Radiograph
from indexer.sources.jsonl import JsonLines
from retriever.options import SearchOptions
from retriever.query import Query, image_query
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph


class ViewEncoder(ThumbnailEncoder):
    """The first image is frontal by its view head, the second lateral."""

    def embed_images(self, images: list[np.ndarray]) -> ImageEmbeddings:  # type: ignore[override]
        scores = np.full((len(images), 14), 0.1, np.float32)
        scores[:, 5] = np.linspace(0.9, 0.2, len(images))
        return ImageEmbeddings(
            vectors=super().embed_images(images).vectors,
            label_scores=scores,
            frontal=np.array([0.9, 0.1], np.float32)[: len(images)],
        )


def image(seed: int, position: str | None = None) -> Radiograph:
    return Radiograph(
        pixels=draw_radiograph(seed, size=(96, 80)),
        view_position=position,  # type: ignore[arg-type]
        notes=(),
    )


def test_the_view_head_says_what_is_frontal_where_the_header_does_not() -> None:
    query = image_query(ViewEncoder(), [image(1), image(2)])
    assert [view.is_frontal for view in query.views] == [True, False]


@pytest.mark.parametrize(("position", "frontal"), [("PA", True), ("AP", True), ("LATERAL", False)])
def test_the_header_decides_over_the_view_head(position: str, frontal: bool) -> None:
    assert image_query(ViewEncoder(), [image(1, position)]).views[0].is_frontal is frontal


def test_each_view_has_its_own_label_scores() -> None:
    first, second = image_query(ViewEncoder(), [image(1), image(2)]).views
    name = OBSERVATIONS[5]
    assert first.label_scores is not None
    assert second.label_scores is not None
    assert first.label_scores[name] == pytest.approx(0.9)
    assert second.label_scores[name] == pytest.approx(0.2)


def test_a_view_tells_its_header_size_and_brightness() -> None:
    dark = Radiograph(pixels=image(1).pixels // 4, view_position=None, notes=())
    first, second = image_query(ViewEncoder(), [image(1, "AP"), dark]).views
    assert (first.position, second.position) == ("AP", None)
    assert first.size == (80, 96)
    assert second.brightness == "dark"


@pytest.mark.parametrize(("grey", "told"), [(60, "dark"), (165, "usual"), (230, "bright")])
def test_brightness_is_that_of_the_median_pixel(grey: int, told: str) -> None:
    pixels = np.full((700, 900), grey, np.uint8)
    pixels[:200] = 0
    pixels[:100] = 255
    assert brightness(pixels) == told


def test_without_heads_nothing_is_known_of_a_view() -> None:
    (view,) = image_query(ThumbnailEncoder(), [image(1)]).views
    assert view.is_frontal is None
    assert view.label_scores is None


def test_images_are_compared_with_the_index_once_however_many_searches_follow(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder = ThumbnailEncoder()
    build(JsonLines(write_studies(tmp_path / "studies", 4)), encoder, tmp_path / "index")
    retriever = Retriever.open(tmp_path / "index", encoder)
    checked: list[Query] = []

    def check(query: Query, *index: object) -> None:
        checked.append(query)

    monkeypatch.setattr("retriever.search.check_ood", check)
    first, second = (image_query(encoder, [image(seed)]) for seed in (1, 2))
    for query in (first, second, first):
        retriever.find(query, SearchOptions(k=2))
        retriever.vote(query)
    assert checked == [first, second]
    alike = retriever.find(first, SearchOptions(k=2)).excluded_cases
    assert [one.study_id for one in alike] == ["s1"]
    kept = retriever.find(first, SearchOptions(k=2, exclude_near_duplicates=False))
    assert kept.excluded_cases == ()
