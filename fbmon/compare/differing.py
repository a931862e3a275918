"""The settings in which runs differ."""

from collections.abc import Collection

from fbmon.compare.run import Run

_SEVERAL = 3  # runs: of two, neither is the odd one
# Each run's own name, and what is reported elsewhere: shown beside the results, not as settings.
_NOT_SETTINGS = ("name", "target.val_accuracy", "target.source")


def differing(runs: Collection[Run], *, with_odd: bool = True) -> list[str]:
    """Return the settings that are not the same in all runs; a run whose recipe cannot be read does not count.

    `with_odd` False leaves out settings that only one of several runs has, as those of a section that no other has.
    """
    settings_of_runs = [run.settings for run in runs if run.settings]
    keys = dict.fromkeys(key for settings in settings_of_runs for key in settings if key not in _NOT_SETTINGS)
    first, *others = settings_of_runs or [{}]
    unequal = [key for key in keys if any(settings.get(key) != first.get(key) for settings in others)]
    if with_odd or len(settings_of_runs) < _SEVERAL:
        return unequal
    return [key for key in unequal if sum(key in settings for settings in settings_of_runs) > 1]
