"""Draw what a score rests on, alone or over its image.

    draw_map(region)                            # RGBA, transparent where nothing speaks for it
    draw_overlay(region, radiograph.pixels)     # RGB, with a caption below the image

A caption says what the picture is: what the score rests on, which is no outline of a lesion.
"""

import textwrap

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from db.app.generation import NOTICE, ScoreRegion
from db.errors import MismatchError
from indexer.images.radiograph import Grey

COLOUR = (255, 140, 0)
OPACITY = 0.55
"""Where a map is highest."""
DRAWN_SIDE = 1024
"""Longest side of a picture in pixels; a larger image is reduced to it."""
_LINES = 2.5
"""Width of an outline, in thousandths of the longest side."""


def caption(region: ScoreRegion) -> str:
    """Say in one sentence what a map shows."""
    if not region.polygons:
        return f"Nothing in this image raises the score for {region.observation} ({_score(region)})"
    return (
        f"What the score for {region.observation} rests on ({_score(region)}), not the outline of "
        "a lesion"
    )


def draw_map(region: ScoreRegion) -> Image.Image:
    """Draw a map on a transparent ground, as large as its image but for `DRAWN_SIDE`."""
    size = _size(region)
    heat = Image.fromarray(np.asarray(region.map, np.float32) / 100)
    strength = np.asarray(heat.resize(size, Image.Resampling.BICUBIC)).clip(0, 1)
    drawn = np.zeros((*strength.shape, 4), np.uint8)
    drawn[..., :3] = COLOUR
    drawn[..., 3] = np.rint(255 * OPACITY * strength)
    image = Image.fromarray(drawn)
    pen = ImageDraw.Draw(image)
    scale = size[0] / region.width
    for polygon in region.polygons:
        corners = [(scale * x, scale * y) for x, y in polygon]
        width = max(1, round(_LINES * max(size) / 1000))
        pen.line([*corners, corners[0]], fill=(*COLOUR, 255), width=width, joint="curve")
    return image


def draw_overlay(region: ScoreRegion, pixels: Grey) -> Image.Image:
    """Draw a map over its image (height, width), with its caption and the notice below.

    Raises MismatchError for an image of another size.
    """
    if pixels.shape != (region.height, region.width):
        raise MismatchError(
            f"the map is of an image of {region.width} x {region.height} pixels, not of "
            f"{pixels.shape[1]} x {pixels.shape[0]}: give the image that it was made from"
        )
    heat = draw_map(region)
    image = Image.fromarray(pixels).resize(heat.size, Image.Resampling.LANCZOS).convert("RGBA")
    image.alpha_composite(heat)
    size = max(10.0, heat.width / 40)
    font = ImageFont.load_default(size=size)
    letters = max(16, int(heat.width / font.getlength("e")))
    said = textwrap.wrap(f"{caption(region)}. {NOTICE}", letters)
    line = round(size * 1.35)
    whole = Image.new("RGB", (heat.width, heat.height + line * len(said) + line // 2))
    whole.paste(image.convert("RGB"))
    pen = ImageDraw.Draw(whole)
    for number, text in enumerate(said):
        pen.text((line // 2, heat.height + line * number), text, fill=(255, 255, 255), font=font)
    return whole


def _score(region: ScoreRegion) -> str:
    return f"encoder score {region.score:.2f}"


def _size(region: ScoreRegion) -> tuple[int, int]:
    """Width and height of a picture."""
    scale = min(1.0, DRAWN_SIDE / max(region.width, region.height))
    return max(1, round(scale * region.width)), max(1, round(scale * region.height))
