"""A run in a few numbers, folded from its journal, and kept beside it so that a thousand runs are read in a second."""

from fbmon.summary.digest import RECENT, Digest
from fbmon.summary.file import read, unchanged, unfolded, write
from fbmon.summary.fold import Summary

__all__ = ["RECENT", "Digest", "Summary", "read", "unchanged", "unfolded", "write"]
