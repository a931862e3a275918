"""A run in a few numbers, folded from its journal, and kept beside it so that a thousand runs are read in a second."""

from fbmon.store.summary.cache import read, unchanged, unfolded, write
from fbmon.store.summary.digest import RECENT, Digest
from fbmon.store.summary.fold import Summary

__all__ = ["RECENT", "Digest", "Summary", "read", "unchanged", "unfolded", "write"]
