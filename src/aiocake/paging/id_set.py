"""Which rows were seen: a set of numbers that stays small, whatever the numbers are."""

from array import array
from bisect import bisect_left
from typing import Final, final

_LOW: Final = 0xFFFF
_LOW_BITS: Final = 16
_BITMAP_BYTES: Final = (_LOW + 1) // 8
#: From here on a bitmap takes less room than two bytes for each number.
_FEW: Final = _BITMAP_BYTES // 2


@final
class IdSet:
    """A set of integers, two bytes at most for each one that has neighbours.

    Numbers that share all but their last 16 bits are kept together: few of them as a sorted array
    of those 16 bits, many as a bitmap (the idea of roaring bitmaps). Invoices are numbered in
    sequence, so a million of them take an eighth of a megabyte; a set of them would take 60.
    """

    __slots__ = ("_chunks", "_count")

    def __init__(self) -> None:
        self._chunks: dict[int, array[int] | bytearray] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, number: int) -> bool:
        """Add ``number``; return True if it was not there before."""
        high, low = number >> _LOW_BITS, number & _LOW
        chunk = self._chunks.get(high)
        if isinstance(chunk, bytearray):
            at, bit = low >> 3, 1 << (low & 7)
            if chunk[at] & bit:
                return False
            chunk[at] |= bit
        elif chunk is None:
            self._chunks[high] = array("H", (low,))
        else:
            place = bisect_left(chunk, low)
            if place < len(chunk) and chunk[place] == low:
                return False
            chunk.insert(place, low)
            if len(chunk) > _FEW:
                self._chunks[high] = _bitmap(chunk)
        self._count += 1
        return True


def _bitmap(numbers: "array[int]") -> bytearray:
    bits = bytearray(_BITMAP_BYTES)
    for number in numbers:
        bits[number >> 3] |= 1 << (number & 7)
    return bits
