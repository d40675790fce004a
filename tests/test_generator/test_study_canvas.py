"""All views of a study on one image."""

import numpy as np
import pytest
from PIL import Image

from db.errors import UserError
from generator.study_canvas import MAX_VIEWS, frontal_first, study_canvas
from indexer.images.radiograph import Radiograph
from tests.support.radiographs import draw_radiograph


def grey(value: int, height: int, width: int) -> np.ndarray:
    return np.full((height, width), value, np.uint8)


def test_images_stand_side_by_side_in_their_order_in_colour() -> None:
    image = study_canvas([grey(50, 40, 40), grey(200, 40, 40)], 16)
    assert (image.size, image.mode) == ((32, 16), "RGB")
    pixels = np.asarray(image)
    assert (pixels[:, :16] == 50).all()
    assert (pixels[:, 16:] == 200).all()


@pytest.mark.parametrize(("height", "width"), [(100, 50), (50, 100), (64, 64)])
def test_an_image_keeps_its_aspect_on_black_in_the_middle(height: int, width: int) -> None:
    pixels = np.asarray(study_canvas([grey(255, height, width)], 32))[:, :, 0]
    rows, columns = np.nonzero(pixels)
    tall, wide = np.ptp(rows) + 1, np.ptp(columns) + 1
    assert tall / wide == height / width
    assert max(tall, wide) == 32
    assert abs(rows.mean() - 15.5) <= 0.5
    assert abs(columns.mean() - 15.5) <= 0.5


def test_a_canvas_looks_as_it_did() -> None:
    image = draw_radiograph(3, size=(256, 256))
    small = np.asarray(study_canvas([image], 64).convert("L"), np.float32)
    whole = Image.fromarray(image).resize((64, 64), Image.Resampling.BOX)
    assert np.corrcoef(small.ravel(), np.asarray(whole, np.float32).ravel())[0, 1] > 0.99


def test_a_line_of_an_image_is_at_least_a_pixel_wide() -> None:
    assert np.asarray(study_canvas([grey(255, 2000, 1)], 16)).any()


def test_a_fifth_image_is_left_out_and_no_image_is_refused() -> None:
    assert study_canvas([grey(1, 8, 8)] * 6, 8).size == (8 * MAX_VIEWS, 8)
    with pytest.raises(UserError, match="no image given"):
        study_canvas([], 8)


def test_frontal_views_come_first_otherwise_the_order_stays() -> None:
    views = ["LATERAL", "PA", None, "LATERAL", "AP"]
    images = [
        Radiograph(pixels=grey(n, 4, 4), view_position=view, notes=())  # type: ignore[arg-type]
        for n, view in enumerate(views)
    ]
    assert [int(image.pixels[0, 0]) for image in frontal_first(images)] == [1, 2, 4, 0, 3]
