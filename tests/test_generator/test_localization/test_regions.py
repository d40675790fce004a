"""What a score rests on: maps of the image, their outlines and pictures."""

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import numpy as np
import pytest
from PIL import Image

from db.app.generation import (
    Citation,
    Generation,
    IndexReference,
    ScoreRegion,
    Statement,
)
from db.app.observations import Observation
from db.errors import MismatchError, NotFoundError
from db.labels import OBSERVATIONS
from generator.localization.files import write_maps
from generator.localization.maps import image_map
from generator.localization.overlay import COLOUR, draw_map, draw_overlay
from generator.localization.regions import find_regions, outlines, regions_in
from indexer.encoder.spec import ClassMaps, ImageEmbeddings
from indexer.images.reader import encode_png, read_pixels, read_radiograph
from retriever.query import image_query
from tests.support.dicoms import write_dicom
from tests.support.fakes import ReportEncoder, ThumbnailEncoder
from tests.support.radiographs import draw_radiograph
from tests.support.service.services import a_case

EFFUSION = OBSERVATIONS.index("Pleural Effusion")


class BrightEncoder(ReportEncoder):
    """The score of every observation rests on what is bright."""

    def embed_images(self, images: Sequence[np.ndarray]) -> ImageEmbeddings:
        maps = []
        for image in images:
            small = np.asarray(Image.fromarray(image).resize((8, 8), Image.Resampling.BOX))
            parts = np.tile(small.astype(np.float32) - 100, (len(OBSERVATIONS), 1, 1))
            maps.append(ClassMaps(parts=parts, box=(0, 0, 1, 1)))
        found = super().embed_images(images)
        return ImageEmbeddings(
            vectors=found.vectors, label_scores=found.label_scores, class_maps=tuple(maps)
        )


def bright_at(x: int, y: int, *, width: int = 200, height: int = 240) -> np.ndarray:
    """A dark image with one bright square of 50 pixels, its corner at (x, y)."""
    pixels = np.random.default_rng(0).integers(20, 60, (height, width)).astype(np.uint8)
    pixels[y : y + 50, x : x + 50] = 250
    return pixels


def centre(region: ScoreRegion) -> tuple[float, float]:
    """Of the largest outline, in parts of the image's sides."""
    x, y = np.mean(region.polygons[0], axis=0)
    return x / region.width, y / region.height


def maps(*lit: tuple[int, int], box: tuple[float, float, float, float] = (0, 0, 1, 1)) -> ClassMaps:
    """Cells (row, column) of 8 x 8 that raise the score of an effusion; the others lower it."""
    parts = np.full((len(OBSERVATIONS), 8, 8), -2.0, np.float32)
    for row, column in lit:
        parts[EFFUSION, row, column] = 3.0
    return ClassMaps(parts=parts, box=box)


def test_a_map_is_highest_where_the_score_is_raised_and_zero_where_it_is_lowered() -> None:
    found = image_map(maps((6, 1)), "Pleural Effusion", rows=16, columns=16)
    assert found.max() == 1 and found.min() == 0
    assert found[12:14, 2:4].min() > 0.9 and found[:10].max() == 0 and found[:, 6:].max() == 0
    assert not image_map(maps((6, 1)), "Edema", rows=16, columns=16).any()


def test_the_border_that_the_encoder_was_shown_is_no_part_of_the_map() -> None:
    box = (0.25, 0.0, 0.75, 1.0)  # an upright image
    found = image_map(maps((2, 0), (6, 3), box=box), "Pleural Effusion", rows=16, columns=8)
    assert found.argmax() // 8 in (12, 13) and found.argmax() % 8 in (2, 3)
    assert found[:8].max() < 0.05, "what lies in the border is left out"


def test_an_outline_surrounds_what_is_above_half_and_leaves_out_holes_and_crumbs() -> None:
    found = np.zeros((8, 10), np.float32)
    found[1:6, 1:6] = 1
    found[3, 3] = 0  # a hole
    found[7, 9] = 0.6  # a crumb
    (polygon,) = outlines(found, 1000, 800)
    x, y = np.array(polygon).T
    assert (x.min(), x.max(), y.min(), y.max()) == (100, 600, 100, 600)
    found[0, 6:10] = found[1, 6:10] = 1
    sizes = [np.ptp(np.array(one), axis=0) for one in outlines(found, 1000, 800)]
    assert len(sizes) == 1 and sizes[0][0] == 900, "an outline ends at the edge of the image"
    assert outlines(np.zeros((8, 8), np.float32), 80, 80) == ()


def test_every_observation_of_every_image_has_a_region_made_without_any_text() -> None:
    images = [read_pixels(bright_at(20, 150)), read_pixels(bright_at(140, 20))]
    found = find_regions(image_query(BrightEncoder({"Edema": 0.8}), images).views)
    assert [(one.image, one.observation) for one in found] == [
        (number, name) for number in (1, 2) for name in OBSERVATIONS
    ]
    first, second = (one for one in found if one.observation == "Edema")
    assert centre(first) == pytest.approx((0.22, 0.73), abs=0.06)
    assert centre(second) == pytest.approx((0.82, 0.19), abs=0.06)
    assert (first.width, first.height, first.score) == (200, 240, 0.8)
    assert len(first.map) == 16 and len(first.map[0]) == 13
    assert max(max(row) for row in first.map) == 100


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        ("L\\F", lambda pixels: pixels),
        ("R\\F", lambda pixels: pixels[:, ::-1]),
        ("R\\H", lambda pixels: np.rot90(pixels, 2)),
        ("F\\R", lambda pixels: np.rot90(pixels, 1)),
    ],
)
def test_the_patients_left_is_at_the_right_however_a_dicom_file_stores_it(
    orientation: str, turn: object, tmp_path: Path
) -> None:
    upright = bright_at(140, 150)  # at the patient's left
    stored = np.ascontiguousarray(turn(upright))  # type: ignore[operator]
    path = write_dicom(
        tmp_path / "image.dcm", stored, PatientOrientation=orientation, ViewPosition="PA"
    )
    image = read_radiograph(path)
    (found,) = regions_in(BrightEncoder(), image, ["Pleural Effusion"])
    assert (found.width, found.height) == (200, 240)
    assert centre(found) == pytest.approx((0.82, 0.73), abs=0.06)


def test_an_encoder_without_class_maps_gives_no_regions() -> None:
    image = read_pixels(bright_at(20, 20))
    assert find_regions(image_query(ThumbnailEncoder(), [image]).views) == ()
    with pytest.raises(MismatchError, match="cannot say what its scores rest on"):
        regions_in(ThumbnailEncoder(), image, ["Edema"])


def test_a_picture_is_coloured_where_the_map_is_and_says_what_it_shows() -> None:
    image = read_pixels(bright_at(140, 150))
    (region,) = regions_in(BrightEncoder({"Edema": 0.8}), image, ["Edema"])
    alone = np.asarray(draw_map(region))
    assert alone.shape == (240, 200, 4) and tuple(alone[0, 0, :3]) == COLOUR
    assert alone[175, 165, 3] > 120 and alone[:100, :, 3].max() == 0
    over = np.asarray(draw_overlay(region, image.pixels)).astype(int)
    assert over.shape[1] == 200 and over.shape[0] > 240, "a caption stands below the image"
    assert (over[:100] == image.pixels[:100, :, None]).all()
    assert over[175, 165, 0] - over[175, 165, 2] > 100
    assert over[241:].max() > 200
    with pytest.raises(MismatchError, match="of an image of 200 x 240 pixels, not of 50 x 60"):
        draw_overlay(region, image.pixels[:60, :50])


def test_maps_are_written_for_what_is_stated_or_found_and_for_cited_images(tmp_path: Path) -> None:
    image = read_pixels(bright_at(140, 150))
    case_image = tmp_path / "case.png"
    case_image.write_bytes(encode_png(draw_radiograph(3, size=(512, 420))))
    encoder = BrightEncoder()
    citation = Citation(
        number=2, source="drawn", study_id="s2", index_fingerprint="", quote="Wet.", score=0.5
    )
    generation = Generation(
        id=uuid4(),
        created_at=datetime(2026, 1, 2, tzinfo=UTC),
        task="report",
        text="Wet.",
        generator="drawn",
        index=IndexReference(fingerprint="", source="drawn"),
        images_sha256=(image.sha256,),
        options={},
        statements=(
            Statement(
                section="findings",
                text="Wet.",
                labels={"Edema": "positive", "Pneumothorax": "negative"},
                citations=(citation,),
            ),
        ),
        observations=tuple(
            Observation(
                name=name,
                probability=0.5,
                state="possible" if name == "Fracture" else "absent",
                language_model=None,
                knn=0.5,
                knn_low=0.0,
                knn_high=1.0,
                label_head=0.5,
            )
            for name in OBSERVATIONS
        ),
        regions=find_regions(image_query(encoder, [image]).views),
    )
    cases = {2: a_case(2, images=[None, case_image])}
    out = tmp_path / "maps"
    written = write_maps(out, generation, [image], cases=cases, encoder=encoder)
    names = ["image-1-edema.png", "image-1-fracture.png", "case-2-image-2-edema.png"]
    assert [path.name for path in written] == names
    with Image.open(out / "case-2-image-2-edema.png") as picture:
        assert picture.width == 420
    assert generation.region(1, "Fracture").observation == "Fracture"
    with pytest.raises(NotFoundError, match="no map of 'Edema' in image 2"):
        generation.region(2, "Edema")
