"""Runs and groups as plain data, for JSON."""

from collections.abc import Sequence
from typing import Any

from fbmon.compare.fields import AGGREGATES, find
from fbmon.compare.group import Group
from fbmon.compare.run import Run
from fbmon.compare.table import Cell
from fbmon.metrics import HIGHEST_IS_BEST


def run_data(run: Run) -> dict[str, Any]:
    """Return a run as JSON has it: everything that columns can show, and the settings."""
    names = (
        "run", "path", "recipe", "state", "reason", "step", "steps", "clipped", "reported", "difference", "flat_radius",
        "sam", "perturbed_accuracy", "damaged",
    )  # fmt: skip
    data: dict[str, Any] = {name: find(name).value(run) for name in names}
    data |= {
        "seconds": run.summary.seconds,
        "device_hours": find("device_hours").value(run),
        "flop": find("flop").value(run),
        "last_sign": run.last_sign,
    }
    data["metrics"] = {
        name: {aggregate: value(digest, name in HIGHEST_IS_BEST) for aggregate, value in AGGREGATES.items()}
        for name, digest in run.summary.metrics.items()
    }
    return data | {"settings": run.settings}


def group_data(group: Group, table_row: Sequence[Cell], names: Sequence[str]) -> dict[str, Any]:
    """Return a group as JSON has it: its row, each spread as mean, sd and n, and the names of its runs."""
    cells: dict[str, Any] = {}
    for name, cell in zip(names, table_row, strict=True):
        spread = cell.spread
        cells[name] = {"mean": spread.mean, "sd": spread.sd, "n": spread.n} if spread else cell.value
    return cells | {"runs": [run.name for run in group.runs]}
