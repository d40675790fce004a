"""Find the outlying images of a source by a few plain measures.

Of each measure the images count that are at least 3 times as far from the median as the outermost
5 % of images on that side. The farthest of that outermost 5 % are shown, far out or not.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from indexer.audit.collect import name_of
from indexer.audit.images import shown
from indexer.audit.ledger import Ledger
from indexer.audit.result import Count, OutlierImage
from indexer.images.radiograph import Limits
from indexer.images.reader import read_radiograph, restore_size

FAR = 3.0
_OUTERMOST = 0.05
_SHOWN = 6


@dataclass(frozen=True, kw_only=True)
class _Measure:
    reason: str
    value: str
    """In SQL."""
    high: bool
    """Which side of the median is strange."""
    note: str


_MEASURES = (
    _Measure(reason="very dark", value="mean", high=False, note="mean grey level of 255"),
    _Measure(reason="very bright", value="mean", high=True, note="mean grey level of 255"),
    _Measure(reason="hardly any contrast", value="contrast", high=False, note="grey levels"),
    _Measure(reason="much of it black", value="black", high=True, note="share of pixels at 0"),
    _Measure(reason="much of it white", value="white", high=True, note="share of pixels at 255"),
    _Measure(
        reason="very narrow", value="1.0 * width / height", high=False, note="width by height"
    ),
    _Measure(reason="very wide", value="1.0 * width / height", high=True, note="width by height"),
    _Measure(
        reason="very small", value="max(width, height)", high=False, note="longer side, pixels"
    ),
    _Measure(
        reason="unlike the others in outline",
        value="outline",
        high=False,
        note="greatest correlation with the thumbnail of another study",
    ),
    _Measure(
        reason="unlike the others to the encoder",
        value="similarity",
        high=False,
        note="mean cosine to the ten nearest images of other studies",
    ),
)
_OTHER_VIEW = "another view than stated"
_SURE = 0.95


def count_outliers(ledger: Ledger) -> list[Count]:
    """How many images stand out, by measure; a measure that was not taken is left out."""
    counts = []
    for measure in _MEASURES:
        found = list(_outliers(ledger, measure, FAR))
        if found or _is_known(ledger, measure.value):
            median = f"median {found[0][3]:.3g}" if found else ""
            counts.append(
                Count(
                    name=measure.reason,
                    count=len(found),
                    note="; ".join(filter(None, (measure.note, median))),
                    examples=tuple(f"{study}: {name_of(path)}" for study, path, *_ in found[:20]),
                )
            )
    if _is_known(ledger, "frontality"):
        other = list(_other_view(ledger))
        counts.append(
            Count(
                name=_OTHER_VIEW,
                count=len(other),
                note=f"to the encoder's view head, with a probability of at least {_SURE}",
                examples=tuple(f"{study}: {name_of(path)}" for study, path, *_ in other[:20]),
            )
        )
    return counts


def outermost(ledger: Ledger, limits: Limits) -> list[OutlierImage]:
    """The farthest six images of each measure, with thumbnails."""
    images = []
    for measure in _MEASURES:
        for study, path, value, median, width, height in list(_outliers(ledger, measure, 1.0))[
            :_SHOWN
        ]:
            pixels = restore_size(read_radiograph(path, limits=limits).pixels, width, height)
            images.append(
                OutlierImage(
                    study_id=study,
                    path=path,
                    reason=measure.reason,
                    value=value,
                    usual=median,
                    thumbnail=shown(pixels),
                )
            )
    for study, path, value, width, height in list(_other_view(ledger))[:_SHOWN]:
        pixels = restore_size(read_radiograph(path, limits=limits).pixels, width, height)
        images.append(
            OutlierImage(
                study_id=study,
                path=path,
                reason=_OTHER_VIEW,
                value=value,
                usual=0.5,
                thumbnail=shown(pixels),
            )
        )
    return images


def _is_known(ledger: Ledger, value: str) -> bool:
    query = f"SELECT count({value}) FROM images WHERE side = 'here'"
    return ledger.number(query) > 0


def _outliers(
    ledger: Ledger, measure: _Measure, far: float
) -> Iterator[tuple[str, str, float, float, int, int]]:
    """Study, path, value, median, width and height, the farthest image first."""
    values = np.fromiter(
        (
            row[0]
            for row in ledger.rows(
                f"SELECT {measure.value} FROM images WHERE side = 'here'"
                f" AND {measure.value} IS NOT NULL"
            )
        ),
        dtype=np.float64,
    )
    if not len(values):
        return
    median = float(np.median(values))
    edge = float(np.quantile(values, 1 - _OUTERMOST if measure.high else _OUTERMOST))
    usual = abs(edge - median) or float(values.std())
    if usual == 0:
        return
    edge = median + far * usual if measure.high else median - far * usual
    sign, order = (">=", "DESC") if measure.high else ("<=", "ASC")
    for study, path, value, width, height in ledger.rows(
        f"SELECT s.study, f.path, {measure.value}, f.width, f.height FROM images f"
        f" JOIN studies s ON s.id = f.study WHERE f.side = 'here' AND {measure.value} {sign} ?"
        f" ORDER BY {measure.value} {order}, f.id",
        edge,
    ):
        yield study, path, float(value), median, width, height


def _other_view(ledger: Ledger) -> Iterator[tuple[str, str, float, int, int]]:
    """Study, path, probability of a frontal view, width and height; the surest first."""
    yield from ledger.rows(
        "SELECT s.study, f.path, f.frontality, f.width, f.height FROM images f"
        " JOIN studies s ON s.id = f.study WHERE f.side = 'here' AND"
        " (f.view = 'LATERAL' AND f.frontality >= ?"
        "  OR f.view IN ('PA', 'AP', 'FRONTAL') AND f.frontality <= ?)"
        " ORDER BY abs(f.frontality - 0.5) DESC, f.id",
        _SURE,
        1 - _SURE,
    )
