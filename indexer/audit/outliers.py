"""Find outlying images by a few simple measures.

An image is an outlier by a measure if it is at least 3 times as far from the median as the most
extreme 5 % of images on that side. The most extreme images of each measure are shown even if none
of them is an outlier.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from indexer.audit.collect import file_name
from indexer.audit.images import thumbnail_jpeg
from indexer.audit.result import Count, OutlierImage, SampleImage
from indexer.audit.scratch import ScratchDatabase
from indexer.images.radiograph import Limits
from indexer.images.reader import read_radiograph, restore_size

FAR = 3.0
_TAIL = 0.05
_SHOWN = 6
_SAMPLES = 24


@dataclass(frozen=True, kw_only=True)
class _Measure:
    reason: str
    value: str
    """SQL expression."""
    high: bool
    """Whether high values are unusual, rather than low ones."""
    note: str


_MEASURES = (
    _Measure(reason="very dark", value="mean", high=False, note="mean grey level of 255"),
    _Measure(reason="very bright", value="mean", high=True, note="mean grey level of 255"),
    _Measure(reason="low contrast", value="contrast", high=False, note="grey levels"),
    _Measure(reason="mostly black", value="black", high=True, note="share of pixels at 0"),
    _Measure(reason="mostly white", value="white", high=True, note="share of pixels at 255"),
    _Measure(
        reason="very narrow", value="1.0 * width / height", high=False, note="width by height"
    ),
    _Measure(reason="very wide", value="1.0 * width / height", high=True, note="width by height"),
    _Measure(
        reason="very small", value="max(width, height)", high=False, note="longer side, pixels"
    ),
    _Measure(
        reason="unusual outline",
        value="outline",
        high=False,
        note="highest correlation with a thumbnail of another study",
    ),
    _Measure(
        reason="unusual to the encoder",
        value="similarity",
        high=False,
        note="mean cosine to the ten nearest images of other studies",
    ),
)
_OTHER_VIEW = "view differs from the stated one"
_CERTAIN = 0.95


def count_outliers(scratch: ScratchDatabase) -> list[Count]:
    """Count the outliers by each measure that was taken."""
    counts = []
    for measure in _MEASURES:
        found = list(_outliers(scratch, measure, FAR))
        if found or _is_known(scratch, measure.value):
            median = f"median {found[0][3]:.3g}" if found else ""
            counts.append(
                Count(
                    name=measure.reason,
                    count=len(found),
                    note="; ".join(filter(None, (measure.note, median))),
                    examples=tuple(f"{study}: {file_name(path)}" for study, path, *_ in found[:20]),
                )
            )
    if _is_known(scratch, "frontality"):
        other = list(_other_view(scratch))
        counts.append(
            Count(
                name=_OTHER_VIEW,
                count=len(other),
                note=f"by the encoder's view head, with a probability of at least {_CERTAIN}",
                examples=tuple(f"{study}: {file_name(path)}" for study, path, *_ in other[:20]),
            )
        )
    return counts


def extreme_images(scratch: ScratchDatabase, limits: Limits) -> list[OutlierImage]:
    """Return the six most extreme images of each measure, with thumbnails."""
    images = []
    for measure in _MEASURES:
        for study, path, value, median, width, height in list(_outliers(scratch, measure, 1.0))[
            :_SHOWN
        ]:
            pixels = restore_size(read_radiograph(path, limits=limits).pixels, width, height)
            images.append(
                OutlierImage(
                    study_id=study,
                    path=path,
                    reason=measure.reason,
                    value=value,
                    median=median,
                    thumbnail=thumbnail_jpeg(pixels),
                )
            )
    for study, path, value, width, height in list(_other_view(scratch))[:_SHOWN]:
        pixels = restore_size(read_radiograph(path, limits=limits).pixels, width, height)
        images.append(
            OutlierImage(
                study_id=study,
                path=path,
                reason=_OTHER_VIEW,
                value=value,
                median=0.5,
                thumbnail=thumbnail_jpeg(pixels),
            )
        )
    return images


def sample_images(scratch: ScratchDatabase, limits: Limits) -> list[SampleImage]:
    """Return up to 24 images taken evenly from all, with thumbnails."""
    rows = list(
        scratch.rows(
            "SELECT s.study, f.path, f.width, f.height FROM images f"
            " JOIN studies s ON s.id = f.study WHERE f.side = 'audited' AND f.file NOT NULL"
            " ORDER BY f.id"
        )
    )
    step = max(1, -(-len(rows) // _SAMPLES))
    images = []
    for study, path, width, height in rows[::step]:
        pixels = restore_size(read_radiograph(path, limits=limits).pixels, width, height)
        images.append(SampleImage(study_id=study, path=path, thumbnail=thumbnail_jpeg(pixels)))
    return images


def _is_known(scratch: ScratchDatabase, value: str) -> bool:
    query = f"SELECT count({value}) FROM images WHERE side = 'audited'"
    return scratch.number(query) > 0


def _outliers(
    scratch: ScratchDatabase, measure: _Measure, far: float
) -> Iterator[tuple[str, str, float, float, int, int]]:
    """Yield study, path, value, median, width and height, the most extreme image first."""
    values = np.fromiter(
        (
            row[0]
            for row in scratch.rows(
                f"SELECT {measure.value} FROM images WHERE side = 'audited'"
                f" AND {measure.value} IS NOT NULL"
            )
        ),
        dtype=np.float64,
    )
    if not len(values):
        return
    median = float(np.median(values))
    edge = float(np.quantile(values, 1 - _TAIL if measure.high else _TAIL))
    usual = abs(edge - median) or float(values.std())
    if usual == 0:
        return
    edge = median + far * usual if measure.high else median - far * usual
    sign, order = (">=", "DESC") if measure.high else ("<=", "ASC")
    for study, path, value, width, height in scratch.rows(
        f"SELECT s.study, f.path, {measure.value}, f.width, f.height FROM images f"
        f" JOIN studies s ON s.id = f.study WHERE f.side = 'audited' AND {measure.value} {sign} ?"
        f" ORDER BY {measure.value} {order}, f.id",
        edge,
    ):
        yield study, path, float(value), median, width, height


def _other_view(scratch: ScratchDatabase) -> Iterator[tuple[str, str, float, int, int]]:
    """Yield study, path, probability of a frontal view, width and height, most certain first."""
    yield from scratch.rows(
        "SELECT s.study, f.path, f.frontality, f.width, f.height FROM images f"
        " JOIN studies s ON s.id = f.study WHERE f.side = 'audited' AND"
        " (f.view = 'LATERAL' AND f.frontality >= ?"
        "  OR f.view IN ('PA', 'AP', 'FRONTAL') AND f.frontality <= ?)"
        " ORDER BY abs(f.frontality - 0.5) DESC, f.id",
        _CERTAIN,
        1 - _CERTAIN,
    )
