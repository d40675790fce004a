"""Images like the indexed ones are in distribution, all others are flagged, by the index alone."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import safetensors.numpy
from PIL import Image, ImageDraw, ImageFilter

from db.app.generation import OodCheck
from db.errors import NotFoundError, UserError
from indexer.build import build
from indexer.images.radiograph import Grey, Radiograph
from indexer.index import Index
from indexer.manifest import Manifest
from indexer.sources.jsonl import JsonLines
from indexer.typicality.profile import PROFILE, TypicalityProfile, fit_profile, outlines_of
from indexer.vectors.exact import ExactVectors
from indexer.vectors.stored import StoredVectors
from retriever.ood import check_ood, measure_images
from retriever.query import image_queries, read_images
from retriever.search import Retriever
from tests.support.fakes import ThumbnailEncoder, write_studies
from tests.support.radiographs import draw_radiograph

COUNT = 130


@pytest.fixture(scope="module")
def retriever(tmp_path_factory: pytest.TempPathFactory) -> Retriever:
    directory = tmp_path_factory.mktemp("ood")
    build(JsonLines(write_studies(directory, COUNT)), ThumbnailEncoder(), directory / "index")
    return Retriever.open(directory / "index", ThumbnailEncoder())


def ood(retriever: Retriever, *pixels: Grey) -> OodCheck:
    images = [
        Radiograph(pixels=np.ascontiguousarray(one), view_position=None, notes=()) for one in pixels
    ]
    found = retriever.search(images).ood
    assert found is not None
    return found


def test_new_images_like_the_indexed_ones_are_in_distribution(retriever: Retriever) -> None:
    ood_checks = [ood(retriever, draw_radiograph(1000 + seed, size=(96, 80))) for seed in range(25)]
    assert sum(one.in_distribution for one in ood_checks) >= 24
    assert {one.threshold for one in ood_checks} == {ood_checks[0].threshold}
    assert all(one.in_distribution == (one.score >= one.threshold) for one in ood_checks)


@pytest.mark.parametrize(
    "name",
    ["noise", "gradient", "nearly blank", "upside down", "on its side", "inverted", "quarter"],
)
def test_images_that_are_not_upright_and_whole_are_flagged(retriever: Retriever, name: str) -> None:
    image = draw_radiograph(1000, size=(192, 160))
    rng = np.random.default_rng(0)
    strange = {
        "noise": rng.integers(0, 256, (90, 80)).astype(np.uint8),
        "gradient": np.tile(np.arange(200, dtype=np.uint8), (100, 1)),
        "nearly blank": rng.integers(100, 104, (90, 80)).astype(np.uint8),
        "upside down": image[::-1, ::-1],
        "on its side": np.rot90(image),
        "inverted": 255 - image,
        "quarter": image[:96, :80],
    }[name]
    found = ood(retriever, strange)
    assert not found.in_distribution
    assert found.reason.startswith("the image may not be an upright, whole chest image: ")


def coloured(name: str) -> Image.Image:
    y, x = np.mgrid[0:300, 0:240] / np.array([299, 239])[:, None, None]
    channels = {
        "corner to corner": (x, y, 0.5 + 0 * x),
        "rainbow": (np.abs(6 * x - 3) - 1, 2 - np.abs(6 * x - 2), 2 - np.abs(6 * x - 4)),
        "two colours": (x, 1 - x, y),
        "one colour": (y, 0.5 * y, 1 - y),
        "towards the centre": (1 - 2 * np.hypot(x - 0.5, y - 0.5),) * 3,
        "down": (y, y, y),
        "bright column": (1 - np.abs(2 * x - 1),) * 3,
    }[name]
    return Image.fromarray((np.clip(np.stack(channels, axis=2), 0, 1) * 255).astype(np.uint8))


@pytest.mark.parametrize(
    "name",
    [
        "corner to corner",
        "rainbow",
        "two colours",
        "one colour",
        "towards the centre",
        "down",
        "bright column",
    ],
)
def test_gradients_of_any_colour_are_flagged_with_and_without_a_profile(
    retriever: Retriever, name: str
) -> None:
    found = retriever.search(coloured(name)).ood
    assert found is not None and not found.in_distribution and found.score < found.threshold
    (query,) = image_queries(retriever.encoder, [read_images(coloured(name))])
    alone = check_ood(query, retriever.index, None)
    assert alone is not None and not alone.in_distribution


def test_a_tinted_image_and_a_coloured_marker_are_no_reason_to_flag(retriever: Retriever) -> None:
    image = draw_radiograph(1000, size=(192, 160)).astype(np.float64)
    blue = np.stack([image * 0.75, image * 0.85, np.minimum(image + 20, 255)], axis=2)
    marked = np.stack([image] * 3, axis=2)
    marked[5:25, 5:35] = (255, 0, 0)
    for pixels in (blue, marked):
        found = retriever.search(pixels.astype(np.uint8))
        assert "colour turned to grey" in found.notes
        assert found.ood is not None and "colours" not in found.ood.reason


def draw_abdomen(seed: int) -> Grey:
    """A scout of the abdomen: spine, pelvis and bowel gas, no lungs."""
    rng = np.random.default_rng(seed)
    image = Image.new("L", (420, 512), 5)
    draw = ImageDraw.Draw(image)
    draw.rounded_rectangle((40, -40, 380, 552), 120, fill=150)
    for top in range(0, 432, 36):
        draw.rectangle((192, top, 233, top + 26), fill=225)
    for left in (80, 225):
        draw.ellipse((left, 317, left + 120, 461), fill=215)
        draw.ellipse((left + 18, 338, left + 103, 440), fill=165)
    for _ in range(14):
        x, y, radius = rng.integers(90, 330), rng.integers(60, 330), rng.integers(8, 28)
        draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=95)
    blurred = np.asarray(image.filter(ImageFilter.GaussianBlur(5)), np.float64)
    return np.clip(blurred + rng.normal(0, 4, blurred.shape), 0, 255).astype(np.uint8)


def test_an_upright_image_of_another_part_of_the_body_is_flagged(retriever: Retriever) -> None:
    checks = [ood(retriever, draw_abdomen(seed)) for seed in range(10)]
    assert [one.in_distribution for one in checks] == [False] * 10


def test_an_image_unusual_by_vector_and_outline_is_flagged_though_upright(
    retriever: Retriever,
) -> None:
    profile = retriever._profile
    assert profile is not None
    image = draw_radiograph(1001, size=(96, 80))
    (query,) = image_queries(retriever.encoder, [read_images(image)])
    similarity, outline, _ = measure_images(query, retriever.index, profile)[0]
    assert ood(retriever, image).in_distribution
    quantiles = {name: dict(levels) for name, levels in profile.quantiles.items()}
    quantiles["similarity"]["0.005"] = similarity + 0.001
    for level, flagged in ((outline + 0.001, True), (outline - 0.001, False)):
        quantiles["outline"]["0.25"] = level
        found = check_ood(query, retriever.index, replace(profile, quantiles=quantiles))
        assert found is not None and found.in_distribution != flagged


def test_the_reason_names_a_rotated_image(retriever: Retriever) -> None:
    found = ood(retriever, draw_radiograph(1003, size=(96, 80))[::-1, ::-1])
    assert "rotated or inverted" in found.reason
    noise = np.random.default_rng(0).integers(0, 256, (90, 80)).astype(np.uint8)
    assert "turned" not in ood(retriever, noise).reason


def test_one_unusual_image_flags_the_study(retriever: Retriever) -> None:
    image = draw_radiograph(1000, size=(96, 80))
    found = ood(retriever, image, 255 - image)
    assert not found.in_distribution and found.reason.startswith("image 2 may not be")
    assert ood(retriever, image).in_distribution


def test_the_quantiles_in_the_manifest_leave_out_each_study(retriever: Retriever) -> None:
    quantiles = retriever.index.manifest.image_quantiles
    assert quantiles is not None
    assert set(quantiles) == {"similarity", "outline", "upright", "typicality"}
    for levels in quantiles.values():
        values = [levels[level] for level in sorted(levels, key=float)]
        assert values == sorted(values)
    _, vectors = retriever.index.vectors.all()
    scores = vectors @ vectors.T
    np.fill_diagonal(scores, -1)
    nearest = np.sort(scores, axis=1)[:, -10:].mean(axis=1)
    assert quantiles["similarity"]["0.05"] == pytest.approx(np.quantile(nearest, 0.05), abs=1e-3)


def test_similarity_leaves_out_the_study_itself() -> None:
    """Every study's two images are equal: with their own study they would look perfectly usual."""
    rng = np.random.default_rng(0)
    vectors = np.repeat(np.eye(60, dtype=np.float32), 2, axis=0)
    images = [rng.integers(0, 256, (16, 16)).astype(np.uint8) for _ in range(60)]
    outlines = np.repeat(outlines_of(images), 2, axis=0)
    profile = fit_profile(
        vectors,
        outlines,
        np.repeat(np.arange(60), 2),
        ExactVectors.of(np.arange(60), np.eye(60, dtype=np.float32)),
    )
    assert profile is not None
    assert profile.quantiles["similarity"]["0.75"] == 0
    assert profile.quantiles["outline"]["0.75"] < 0.25
    own = outlines[:, 0] @ profile.prototypes.T
    assert np.quantile(own.max(axis=1), 0.75) > 0.25


def test_noise_on_a_blank_image_gives_a_short_outline() -> None:
    rng = np.random.default_rng(0)
    blank = outlines_of([rng.integers(100, 104, (16, 16)).astype(np.uint8)])
    image = outlines_of([draw_radiograph(1, size=(96, 80))])
    assert np.linalg.norm(blank[0, 0]) < 0.3
    assert np.linalg.norm(image[0, 0]) == pytest.approx(1)


def test_a_small_index_has_no_profile(tmp_path: Path) -> None:
    build(JsonLines(write_studies(tmp_path, 20)), ThumbnailEncoder(), tmp_path / "index")
    index = Index.open(tmp_path / "index")
    assert index.manifest.image_quantiles is None and not (index.path / PROFILE).exists()
    retriever = Retriever(index, ThumbnailEncoder())
    assert retriever.search([tmp_path / "3.png"]).ood is None


def test_no_average_thumbnail_is_a_single_image(retriever: Retriever) -> None:
    profile = retriever.index.read_profile()
    assert profile is not None
    images = [case.images[0].path for case in retriever.index.cases]
    outlines = outlines_of([np.asarray(Image.open(str(path))) for path in images])[:, 0]
    assert (outlines @ profile.prototypes.T).max() < 0.999


def test_stored_vectors_include_the_profile(retriever: Retriever, tmp_path: Path) -> None:
    StoredVectors.write(tmp_path / "stored", retriever.index)
    stored = StoredVectors.read(tmp_path / "stored")
    profile = stored.image_profile
    assert profile is not None and profile.quantiles == retriever.index.manifest.image_quantiles
    own = retriever.index.read_profile()
    assert own is not None and np.array_equal(own.prototypes, profile.prototypes)


def test_an_older_manifest_without_quantiles_is_read(retriever: Retriever, tmp_path: Path) -> None:
    manifest = replace(retriever.index.manifest, image_quantiles=None)
    manifest.write(tmp_path)
    values = json.loads((tmp_path / "manifest.json").read_text())
    del values["image_quantiles"]
    (tmp_path / "manifest.json").write_text(json.dumps(values))
    assert Manifest.read(tmp_path).image_quantiles is None


@pytest.mark.parametrize("content", [b"", b"no array", safetensors.numpy.save({"x": np.zeros(3)})])
def test_a_damaged_profile_is_refused(retriever: Retriever, tmp_path: Path, content: bytes) -> None:
    quantiles = retriever.index.manifest.image_quantiles
    with pytest.raises(NotFoundError, match="is missing"):
        TypicalityProfile.read(tmp_path / PROFILE, quantiles)
    (tmp_path / PROFILE).write_bytes(content)
    with pytest.raises(UserError, match="is damaged"):
        TypicalityProfile.read(tmp_path / PROFILE, quantiles)
    (tmp_path / PROFILE).write_bytes(safetensors.numpy.save({"prototypes": np.zeros((3, 4))}))
    with pytest.raises(UserError, match="holds shape"):
        TypicalityProfile.read(tmp_path / PROFILE, quantiles)
