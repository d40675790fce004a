"""How often maps lie where they should, beside random maps and maps of something else."""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import numpy.typing as npt
from PIL import Image

from bench.score_maps.places import SCALE, Place
from db.labels import FINDINGS, OBSERVATIONS
from evaluation.tables import Cell, Share, Table, minus, tabulate
from generator.localization.maps import FloatMap, image_map
from indexer.encoder.spec import ClassMaps

MAP, RANDOM, OTHER_FINDINGS, OTHER_IMAGES = "map", "random maps", "other findings", "other images"
SEED = 0
_RANDOM_MAPS = 50
"""Drawn for each finding; their mirror images count too."""

Hit = Callable[[FloatMap, npt.NDArray[np.bool_]], float]


def on_side(found: FloatMap, wanted: npt.NDArray[np.bool_]) -> float:
    """1 where more of the mass is in the wanted half, 0.5 where there is none at all."""
    there, elsewhere = float(found[wanted].sum()), float(found[~wanted].sum())
    return 0.5 if there == elsewhere else float(there > elsewhere)


def points_into(found: FloatMap, wanted: npt.NDArray[np.bool_]) -> float:
    """1 where the highest place is wanted; a map of zeros points nowhere."""
    return float(found.any() and wanted.flat[int(found.argmax())])


def table(
    title: str, places: Sequence[Place], maps: Sequence[ClassMaps], hit: Hit, *, resamples: int
) -> Table:
    """The share of hits by observation, of the map and of every control."""
    rng = np.random.default_rng(SEED)
    drawn = [
        {name: image_map(one, name, rows=SCALE, columns=SCALE) for name in OBSERVATIONS}
        for one in maps
    ]
    names = (MAP, RANDOM, OTHER_FINDINGS, OTHER_IMAGES)
    rows: dict[str, list[float]] = {name: [] for name in names}
    for place in places:
        own = drawn[place.image]
        noises = [noise(rng, maps[place.image]) for _ in range(_RANDOM_MAPS)]
        compared = {
            MAP: [own[place.observation]],
            RANDOM: noises + [one[:, ::-1] for one in noises],  # neither side is likelier
            OTHER_FINDINGS: [own[name] for name in FINDINGS if name != place.observation],
            OTHER_IMAGES: [one[place.observation] for one in drawn if one is not own],
        }
        for name, alike in compared.items():
            rows[name].append(float(np.mean([hit(one, place.wanted) for one in alike])))
    observations = np.array([place.observation for place in places])
    groups = {"all": np.ones(len(places), np.bool_)} | {
        name: observations == name for name in OBSERVATIONS if (observations == name).any()
    }
    cells: dict[str, Mapping[str, Cell]] = {}
    for group, chosen in groups.items():
        shares = {n: Share(hits=np.array(r) * chosen, of=chosen * 1.0) for n, r in rows.items()}
        cells[f"{group} ({int(chosen.sum())})"] = shares
        if group == "all":
            cells["all: map minus"] = {
                name: minus(shares[MAP], share) for name, share in shares.items() if name != MAP
            }
    patients = [place.patient for place in places]
    images = len({place.image for place in places})
    return tabulate(
        title,
        cells,
        patients=patients,
        notes=(f"{len(places)} findings in {images} images of {len(set(patients))} patients",),
        resamples=resamples,
    )


def noise(rng: np.random.Generator, like: ClassMaps) -> FloatMap:
    """A map of normal noise at as many places as the encoder has, resampled in the same way."""
    parts = rng.normal(size=like.parts.shape[1:]).astype(np.float32)
    drawn = Image.fromarray(parts).resize((SCALE, SCALE), Image.Resampling.BICUBIC)
    return np.maximum(np.asarray(drawn), 0)
