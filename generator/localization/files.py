"""Write the maps of a generation as pictures into a folder.

    write_maps(folder, generation, images, cases=hits_by_number, encoder=encoder)

``image-1-pleural-effusion.png`` is a map over an image of the study, for every observation that a
sentence states or the assessment finds present or possible. ``case-3-image-1-pleural-effusion.png``
is the same observation in an image of a case that such a sentence cites, where that image is on
this machine.
"""

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

from PIL import Image

from db.app.generation import Generation, ScoreRegion
from db.errors import MismatchError, UserError
from db.files import write_bytes
from db.index.case import Case
from db.labels import NO_FINDING, OBSERVATIONS, named
from generator.localization.overlay import draw_overlay
from generator.localization.regions import regions_in
from indexer.encoder.spec import Encoder
from indexer.images.radiograph import Radiograph, restore_size
from indexer.images.reader import read_radiograph


def write_maps(
    folder: Path,
    generation: Generation,
    images: Sequence[Radiograph],
    *,
    cases: Mapping[int, Case],
    encoder: Encoder,
) -> list[Path]:
    """Write the pictures and return their paths.

    Args:
        folder: Created if it is missing; files of the same names are replaced.
        generation: Of these images.
        images: In the order of the generation.
        cases: The hits by number.
        encoder: Of the index.

    Raises:
        MismatchError: The encoder has no label head that reads a feature map.
    """
    if not generation.regions:
        raise MismatchError(
            f"the encoder '{encoder.spec.name}' cannot say what its scores rest on: use an index "
            "of an encoder with a label head, such as pretrained/encoder"
        )
    shown = shown_observations(generation)
    written = [
        _write(folder / f"image-{one.image}-{_stem(one.observation)}.png", one, images)
        for one in generation.regions
        if one.observation in shown
    ]
    for number, observations in cited_observations(generation).items():
        for place, image in case_images(cases[number]).items():
            for one in regions_in(encoder, image, observations):
                name = f"case-{number}-image-{place}-{_stem(one.observation)}.png"
                written.append(_write(folder / name, one, [image]))
    return written


def shown_observations(generation: Generation) -> frozenset[str]:
    """The observations that a sentence states, or that are present or possible."""
    stated = [named(statement.labels) for statement in generation.statements]
    assessed = [
        one.name
        for one in generation.observations or ()
        if one.state in ("present", "possible") and one.name != NO_FINDING
    ]
    return frozenset(assessed).union(*stated)


def cited_observations(generation: Generation) -> dict[int, frozenset[str]]:
    """Number of a cited case to the observations that the sentences citing it state."""
    found: dict[int, frozenset[str]] = {}
    for statement in generation.statements:
        for citation in statement.citations if named(statement.labels) else ():
            before = found.get(citation.number, frozenset())
            found[citation.number] = before | named(statement.labels)
    return found


def case_images(case: Case) -> dict[int, Radiograph]:
    """Read the images of a case that are on this machine and unharmed, as they were indexed.

    Number of the image, from 1, to what was read.
    """
    found = {}
    for number, image in enumerate(case.images, start=1):
        if image.path is None or not Path(image.path).is_file():
            continue
        try:
            read = read_radiograph(image.path)
        except UserError:  # changed since; the others stand without it
            continue
        pixels = restore_size(read.pixels, image.width, image.height)
        found[number] = Radiograph(
            pixels=pixels, view_position=image.view_position, notes=read.notes
        )
    return found


def as_png(image: Image.Image) -> bytes:
    """Encode a picture."""
    out = io.BytesIO()
    image.save(out, "PNG", optimize=True)
    return out.getvalue()


def _write(path: Path, region: ScoreRegion, images: Sequence[Radiograph]) -> Path:
    write_bytes(path, as_png(draw_overlay(region, images[region.image - 1].pixels)))
    return path


def _stem(observation: str) -> str:
    assert observation in OBSERVATIONS
    return observation.lower().replace(" ", "-")
