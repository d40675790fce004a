"""The header of a preview that says how large its pixels are, and which windows its file has."""

import json

from litestar.datastructures import ResponseHeader

from indexer.images.radiograph import PngRadiograph

DISPLAY_HEADER = ResponseHeader(
    name="Image-Display",
    documentation_only=True,
    description="JSON, of a DICOM image alone: `pixel_mm`, the side of a pixel of the PNG in mm or "
    "null; `plane`, where that holds, `patient` or `detector`; `windows`, each with `name`, "
    "`centre` and `width`.",
)


def display_headers(image: PngRadiograph) -> dict[str, str]:
    """Return the header of an image; none for one that is not of a DICOM file."""
    display = image.display
    if display is None:
        return {}
    windows = [
        {"name": one.name, "centre": one.centre, "width": one.width} for one in display.windows
    ]
    stated = {"pixel_mm": display.pixel_mm, "plane": display.plane, "windows": windows}
    return {DISPLAY_HEADER.name: json.dumps(stated)}
