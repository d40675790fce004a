"""The values that a DICOM file really stores, where its header is wrong about bits or sign.

A header that states too few bits cuts values off, and one with the wrong sign moves half of them
to the other end; either way neighbouring pixels that are alike come out far apart. So where header
and data disagree, the reading with the smaller differences between neighbours is taken.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from pydicom.dataset import Dataset
from pydicom.uid import UID

from indexer.images.codestream import Codestream

Stored = npt.NDArray[np.integer]
Codes = npt.NDArray[np.unsignedinteger]

_NOISE = 0.5
"""Mean difference of neighbours, in standard deviations, that no radiograph reaches; for
independent values it is 1.13."""
_ROWS = 512
"""Rows that are compared; more would only take longer."""


@dataclass(frozen=True, kw_only=True, eq=False)
class StoredValues:
    """Pixels as codes of a fixed number of bits."""

    codes: Codes
    """(height, width), below ``2 ** bits``."""
    bits: int
    signed: bool
    """Whether codes are in two's complement."""

    def table(self) -> Stored:
        """Return the value of every possible code, (2 ** bits,)."""
        values = np.arange(2**self.bits)
        if self.signed:
            values = np.where(values >= 2 ** (self.bits - 1), values - 2**self.bits, values)
        return values


def stored_values(
    stored: Stored, dataset: Dataset, codestream: Codestream | None, notes: list[str]
) -> StoredValues:
    """Read decoded pixels (height, width) by header and codestream; notes what contradicts it."""
    stated = int(dataset.BitsStored)
    codes: Codes = stored.view(stored.dtype.str.replace("i", "u"))
    signed = int(dataset.get("PixelRepresentation") or 0) == 1
    if codestream is not None and codestream.precision is not None:
        bits = min(codestream.precision, 8 * codes.itemsize)
    else:
        codes = _shifted(codes, dataset, stated)
        bits = stated
        if _picture_above(codes, stated, signed):
            bits = 8 * codes.itemsize
    codes = codes & codes.dtype.type(2**bits - 1)
    if bits > stated and int(codes.max()) >= 2**stated:
        notes.append(f"values take more than the {stated} bits that the header states")
    stream_signed = None if codestream is None else codestream.signed
    return StoredValues(
        codes=codes, bits=bits, signed=_sign(codes, bits, signed, stream_signed, notes)
    )


def _shifted(codes: Codes, dataset: Dataset, bits: int) -> Codes:
    """Shift down values whose HighBit is above the lowest possible one; clear overlay planes."""
    for group in range(0x6000, 0x6020, 2):  # overlays in unused bits, PS3.3 C.9.2 (retired)
        position = dataset.get((group, 0x0102))
        if position is not None and position.value and (group, 0x3000) not in dataset:
            codes = codes & codes.dtype.type(
                ~(1 << int(position.value)) & (2 ** (8 * codes.itemsize) - 1)
            )
    if UID(dataset.file_meta.TransferSyntaxUID).is_compressed:
        return codes
    shift = max(0, int(dataset.get("HighBit", bits - 1)) + 1 - bits)
    return np.right_shift(codes, codes.dtype.type(shift))


def _picture_above(codes: Codes, bits: int, signed: bool) -> bool:
    """Whether the bits above those stated belong to the picture, and are no sign, overlay or noise.

    Where they change between neighbours, a picture is smoother with them than without.
    """
    whole = _sample(codes)
    high, low = whole >> bits, whole & (2**bits - 1)
    if not high.any():
        return False
    if signed:
        extended = np.where(low >> (bits - 1), (2 ** (8 * codes.itemsize) - 1) >> bits, 0)
        if (high == extended).all():
            return False
    changes = np.diff(high, axis=1) != 0
    if not changes.any():
        return False
    smoother = np.abs(np.diff(whole, axis=1)) < np.abs(np.diff(low, axis=1))
    if smoother[changes].mean() > 0.5:
        return True
    roughness = _roughness(low)
    return roughness > _NOISE and _roughness(whole) < roughness / 2


def _sign(codes: Codes, bits: int, stated: bool, of_stream: bool | None, notes: list[str]) -> bool:
    """Decide whether codes are signed, if header and codestream or the pixels disagree."""
    if of_stream == stated or (of_stream is None and not stated):
        return stated
    unsigned = _sample(codes)
    wrapped = np.where(unsigned >= 2 ** (bits - 1), unsigned - 2**bits, unsigned)
    as_unsigned, as_signed = _leaps(unsigned), _leaps(wrapped)
    trust = 2 if of_stream is None else 1  # in a header that no codestream contradicts
    signed = trust * as_unsigned >= as_signed
    if signed != stated:
        notes.append("header is wrong on whether values may be negative")
    return signed


def _leaps(values: npt.NDArray[np.int64]) -> float:
    """Sum squared differences of neighbours, in which a value at the wrong end outweighs noise."""
    return float((np.diff(values, axis=1).astype(np.float64) ** 2).sum())


def _sample(codes: Codes) -> npt.NDArray[np.int64]:
    return codes[:: max(1, len(codes) // _ROWS)].astype(np.int64)


def _roughness(values: npt.NDArray[np.int64]) -> float:
    spread = float(values.std())
    return float(np.abs(np.diff(values, axis=1)).mean()) / spread if spread else 0.0
