"""The columns of a table: those requested, or those that say something about these runs."""

from collections.abc import Sequence

from fbmon.compare import fields
from fbmon.compare.differing import differing
from fbmon.compare.facts import Field
from fbmon.compare.run import Run
from fbmon.errors import UsageError

# In the order of the table. A column without a value for any run is left out.
DEFAULT_COLUMNS = (
    "run", "recipe", "state", "progress", "final.val_accuracy", "best.val_accuracy", "best_step.val_accuracy",
    "reported", "difference", "final.loss", "final.val_loss", "clipped", "flat_radius",
    "sam", "perturbed_accuracy", "time", "device_hours", "flop",
)  # fmt: skip
LIST_COLUMNS = ("run", "recipe", "state", "progress", "final.val_accuracy", "best.val_accuracy", "time", "seen")
_ALWAYS = ("run", "state", "progress", "final.val_accuracy", "seen")


def columns_for(
    runs: Sequence[Run], requested: str | None, standard: Sequence[str], with_settings: bool, with_odd: bool = True
) -> list[Field]:
    """Return the fields of a table. `requested` is a list with commas; `+a,b` adds to the standard ones.

    `with_odd` as in `differing`. Raises UsageError for a field that is unknown.
    """
    if requested is not None and not requested.startswith("+"):
        return [fields.find(name, runs) for name in _split(requested)]
    standard = by_score(",".join(standard), runs).split(",")
    names = [name for name in standard if name in _ALWAYS or _is_known(name, runs)]
    names += differing(runs, with_odd=with_odd) if with_settings else []
    names += _split(requested[1:]) if requested else []
    names += ["damaged"] if any(run.summary.damaged for run in runs) else []
    return [fields.find(name, runs) for name in dict.fromkeys(names)]


def by_score(names: str, runs: Sequence[Run]) -> str:
    """Return names with commas; the validation accuracy is replaced by the loss if no run has one, but some a loss."""
    if _is_known("final.val_accuracy", runs) or not _is_known("final.val_loss", runs):
        return names
    return names.replace("val_accuracy", "val_loss")


def only_changed(columns: Sequence[Field], runs: Sequence[Run]) -> list[Field]:
    """Leave out the columns that are the same for all runs."""
    return [
        column
        for column in columns
        if column.name == "run" or any(column.value(run) != column.value(runs[0]) for run in runs)
    ]


def _is_known(name: str, runs: Sequence[Run]) -> bool:
    if name == "recipe":  # most runs are named after it
        return any(not run.name.startswith(run.recipe) for run in runs)
    if name == "device_hours":  # for one device each, it repeats the time
        return any(run.summary.plan is not None and run.summary.plan.ranks > 1 for run in runs)
    value = fields.find(name, runs).value
    return any(value(run) is not None for run in runs)


def _split(text: str) -> list[str]:
    """Return the names in a list with commas. Raises UsageError if there is none."""
    if names := [name.strip() for name in text.split(",") if name.strip()]:
        return names
    raise UsageError("--columns: names no column", "for example --columns run,val_accuracy,time")
