"""A short fingerprint of each record that was read, by which copies are recognized."""

from array import array
from bisect import bisect_left
from typing import Final, final

_LOW: Final = 0xFFFF
_LOW_BITS: Final = 16
#: Of a fingerprint; an array of C's unsigned int holds no more everywhere.
_BITS: Final = 0xFFFF_FFFF


@final
class Fingerprints:
    """Maps ids to fingerprints, in six bytes for each id that has neighbours.

    Ids that share all but their last 16 bits are kept together, sorted, each with its fingerprint.
    Bills are numbered in sequence, so that most are added behind the last one. A dict would take
    over 100 bytes for each.
    """

    __slots__ = ("_chunks",)

    def __init__(self) -> None:
        self._chunks: dict[int, tuple[array[int], array[int]]] = {}

    def add(self, number: int, fingerprint: int) -> bool | None:
        """Add a record by its id.

        Args:
            number: The id.
            fingerprint: A hash of what a copy of the record has in common with it; 32 bits count.

        Returns:
            None when the id is new; else whether the one before had the same fingerprint.
        """
        fingerprint &= _BITS
        high, low = number >> _LOW_BITS, number & _LOW
        chunk = self._chunks.get(high)
        if chunk is None:
            self._chunks[high] = array("H", (low,)), array("I", (fingerprint,))
            return None
        lows, fingerprints = chunk
        place = len(lows) if lows[-1] < low else bisect_left(lows, low)
        if place < len(lows) and lows[place] == low:
            return fingerprints[place] == fingerprint
        lows.insert(place, low)
        fingerprints.insert(place, fingerprint)
        return None
