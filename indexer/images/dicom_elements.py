"""Bound the elements of a DICOM data set before pydicom makes an object of each.

A few kilobytes, deflated, hold millions of empty items, for which pydicom takes gigabytes and
minutes. Walking over their headers takes a second at most, and stops at the limit.
"""

import struct

from pydicom.datadict import dictionary_has_tag, dictionary_VR

from db.errors import TooLargeError
from indexer.images.radiograph import Limits

_LONG = frozenset(b"OB OD OF OL OV OW SQ SV UC UN UR UT UV".split())
"""Value representations whose length takes four bytes after two reserved ones (PS3.5 7.1.2)."""
_UNDEFINED = 0xFFFFFFFF
_ITEM, _ITEM_END, _SEQUENCE_END = 0xE000, 0xE00D, 0xE0DD
_ITEM_GROUP = 0xFFFE
_PIXEL_DATA = 0x7FE00010


def check_elements(
    data: bytes, name: str, limits: Limits, *, start: int = 0, little_endian: bool = True
) -> None:
    """Raise TooLargeError for too many elements, or for items too deep within items.

    ``start`` is where the data set begins. A damaged data set is left to pydicom.
    """
    walk = _Walk(data, start, "<" if little_endian else ">")
    while walk.step():
        if walk.count > limits.max_elements:
            raise TooLargeError(
                f"{name} has more than {limits.max_elements:,} elements in its header: send the "
                "radiograph itself"
            )
        if len(walk.ends) > 2 * limits.max_depth:  # a sequence and an item each
            raise TooLargeError(
                f"{name} nests the elements of its header more than {limits.max_depth} deep: send "
                "the radiograph itself"
            )


class _Walk:
    """Steps from one element, item or fragment to the next."""

    def __init__(self, data: bytes, position: int, order: str) -> None:
        self.count = 0
        self.ends: list[int | None] = []
        """Where the open sequences and items end; None if a delimiter says so."""
        self._data = data
        self._position = position
        self._short = struct.Struct(f"{order}HH")
        self._long = struct.Struct(f"{order}I")
        self._fragments = False

    def step(self) -> bool:
        """Go past one element, or into a sequence. Returns False at the end."""
        while self.ends and self.ends[-1] is not None and self._position >= self.ends[-1]:
            self.ends.pop()
        if self._position + 8 > len(self._data):
            return False
        self.count += 1
        group, element = self._short.unpack_from(self._data, self._position)
        if group == _ITEM_GROUP:
            self._item(element)
        else:
            self._element(group << 16 | element)
        return True

    def _item(self, element: int) -> None:
        (length,) = self._long.unpack_from(self._data, self._position + 4)
        self._position += 8
        if element != _ITEM:
            self._fragments = self._fragments and element != _SEQUENCE_END
            if self.ends:
                self.ends.pop()
        elif self._fragments:
            self._skip(length)
        else:
            self._enter(length)

    def _element(self, tag: int) -> None:
        kind = self._data[self._position + 4 : self._position + 6]
        if not b"AA" <= kind <= b"ZZ":  # implicit
            (length,) = self._long.unpack_from(self._data, self._position + 4)
            self._position += 8
        elif kind in _LONG:
            if self._position + 12 > len(self._data):
                self._position = len(self._data)
                return
            (length,) = self._long.unpack_from(self._data, self._position + 8)
            self._position += 12
        else:
            _, length = self._short.unpack_from(self._data, self._position + 4)
            self._position += 8
        if length == _UNDEFINED:
            self._fragments = tag == _PIXEL_DATA or kind in (b"OB", b"OW")
            self._enter(length)
        elif kind == b"SQ" or _is_sequence(tag, kind):
            self._enter(length)
        else:
            self._skip(length)

    def _enter(self, length: int) -> None:
        self.ends.append(None if length == _UNDEFINED else self._end_of(length))

    def _skip(self, length: int) -> None:
        self._position = self._end_of(length)

    def _end_of(self, length: int) -> int:
        """Return where a value ends, which is not after the end of what holds it."""
        known = [end for end in self.ends[-1:] if end is not None]
        return min(self._position + length, *known, len(self._data))


def _is_sequence(tag: int, kind: bytes) -> bool:
    """Whether an element that states no representation, or an unknown one, is a sequence."""
    stated = b"AA" <= kind <= b"ZZ" and kind != b"UN"
    return not stated and dictionary_has_tag(tag) and dictionary_VR(tag) == "SQ"
