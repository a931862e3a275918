"""The settings in which runs differ."""

from collections.abc import Collection

from fbmon.compare.run import Run

_SEVERAL = 3  # runs: of two the one stands against the other, and neither is odd
# What every run has of its own and what is reported elsewhere: shown beside the results, not as a setting.
_NOT_SETTINGS = ("name", "target.val_accuracy", "target.source")


def differing(runs: Collection[Run], *, with_odd: bool = True) -> list[str]:
    """The settings that are not the same in all runs; a run whose recipe cannot be read does not count.

    `with_odd` False leaves out those that a single one of several runs has at all, as a section no other has.
    """
    known = [run.settings for run in runs if run.settings]
    keys = dict.fromkeys(key for settings in known for key in settings if key not in _NOT_SETTINGS)
    found = [key for key in keys if any(settings.get(key) != known[0].get(key) for settings in known)]
    if with_odd or len(known) < _SEVERAL:
        return found
    return [key for key in found if sum(key in settings for settings in known) > 1]
