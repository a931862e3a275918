"""A run that lies over the one on the screen, and in what it is another."""

from dataclasses import dataclass
from typing import Any

from fbmon.compare.facts import show_plain
from fbmon.store.store import Store

MARKERS = "△□◇×56789"  # one a run; more than nine curves over one another say nothing
_NOT_OF_THE_RECIPE = ("name", "seed", "steps")  # a run that stops earlier has the same schedule up to there


@dataclass
class Other:
    """A run over the one on the screen, and in which settings it is another."""

    name: str
    store: Store
    marker: str
    differing: dict[str, tuple[Any, Any]]  # by key: the value here, the value of the run on the screen

    @property
    def is_seed(self) -> bool:
        """Say whether it is the same recipe with another seed."""
        return all(key in _NOT_OF_THE_RECIPE for key in self.differing)

    def difference(self) -> str:
        """The settings that differ, as `key value (value of the run on the screen)`."""
        words = [
            f"{key} {show_plain(here)} ({show_plain(there)})"
            for key, (here, there) in self.differing.items()
            if key != "name"
        ]
        return ", ".join(words) or "the same recipe"
