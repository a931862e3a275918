"""The progress of each rank: a page of memory that the ranks write and the supervisor reads, without a word."""

import mmap
import os
import struct
from enum import IntEnum

from fbmon.host.scratch import nameless_file

_SLOT = struct.Struct("=qq")


class Doing(IntEnum):
    """The work that a rank is at."""

    PREPARING = 0  # up to the end of its first block
    COMPUTING = 1
    WAITING = 2  # for the other ranks
    AWAY = 3  # saving, or paused


class Heartbeat:
    """One slot for each rank: how many times it has moved on, and what it is doing. One writer a slot."""

    def __init__(self, descriptor: int, ranks: int) -> None:
        self.descriptor = descriptor  # of an unlinked file; it stays open, and children inherit it
        self._ranks = ranks
        self._page = mmap.mmap(descriptor, ranks * _SLOT.size)

    def write(self, rank: int, doing: Doing) -> None:
        """Note that rank `rank` has moved on."""
        count, _ = _SLOT.unpack_from(self._page, rank * _SLOT.size)
        _SLOT.pack_into(self._page, rank * _SLOT.size, count + 1, doing)

    def clear(self) -> None:
        """Begin anew: no rank has moved yet."""
        self._page[:] = bytes(len(self._page))

    def read(self) -> list[tuple[int, Doing]]:
        """Return every rank's count and doing."""
        slots = (_SLOT.unpack_from(self._page, rank * _SLOT.size) for rank in range(self._ranks))
        return [(count, Doing(doing)) for count, doing in slots]


def make_heartbeat(ranks: int) -> Heartbeat:
    """Make a new page for so many ranks, in memory only."""
    with nameless_file() as file:
        file.truncate(ranks * _SLOT.size)
        return Heartbeat(os.dup(file.fileno()), ranks)
