"""`fbmon reproduce --dry-run`: what is done already, and what the rest of a table would cost on this machine."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from fbmon.cli.output import aligned, print_json
from fbmon.cli.progress import counted
from fbmon.text import clean, duration

if TYPE_CHECKING:
    from fbmon.reproduce import TableRun


def print_costs(tasks: "list[TableRun]", runs_dir: Path, devices: str, json: bool) -> None:
    """Print what each recipe's seeds still cost, by a measurement of a few seconds each, and the total."""
    costs = list(_costs(tasks, runs_dir, devices))
    if json:
        print_json(costs)
        return
    rows = [["recipe", "done", "to do", "steps", "FLOP", "time"]]
    rows += [_row(cost["recipe"], cost["done"], cost["to_do"], cost["steps"], cost) for cost in costs]
    total = {key: sum(cost[key] for cost in costs) for key in ("done", "to_do", "flop", "seconds")}
    rows.append(_row("total", total["done"], total["to_do"], "", total))
    typer.echo("\n".join(aligned(rows)))


def _row(name: str, is_done: int, to_do: int, steps: int | str, cost: dict[str, Any]) -> list[str]:
    return [clean(name), str(is_done), str(to_do), str(steps), f"{cost['flop']:.3g}", duration(cost["seconds"])]


def _costs(tasks: "list[TableRun]", runs_dir: Path, devices: str) -> Iterator[dict[str, Any]]:
    from fbmon import reproduce as tables
    from fbmon.analysis.plan import measure

    by_recipe: dict[str, list[TableRun]] = {}
    for task in tasks:
        by_recipe.setdefault(task.recipe.name, []).append(task)
    with counted("recipes", 0, len(by_recipe)) as step:
        for name, same in by_recipe.items():
            to_do = [task for task in same if tables.done(task, runs_dir) is None]
            plan = measure(same[0].recipe, devices, seconds=2.0) if to_do else None
            step()
            yield {
                "recipe": name,
                "done": len(same) - len(to_do),
                "to_do": len(to_do),
                "steps": same[0].recipe.steps,
                "flop": plan.flop * len(to_do) if plan else 0.0,
                "seconds": plan.seconds() * len(to_do) if plan else 0.0,
            }
