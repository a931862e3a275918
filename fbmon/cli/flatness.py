"""`fbmon flatness`: how flat the minimum of a run is."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import aligned, print_json
from fbmon.cli.survey import Devices, Images, Seed, Statistics, Steps, answer, chosen_folders, chosen_steps
from fbmon.cli.tables import RunsOrNewest
from fbmon.text import clean

if TYPE_CHECKING:
    from fbmon.analysis import Record
    from fbmon.analysis.flatness import Flatness, Measure


def flatness(
    runs: RunsOrNewest = None,
    steps: Steps = "-1",
    threshold: Annotated[float, typer.Option(min=1e-9, help="The loss at which the radius ends.")] = 0.5,
    rho: Annotated[float, typer.Option(min=1e-9, help="How far to go uphill, as the L2 norm over all weights.")] = 0.05,
    reach: Annotated[
        float, typer.Option(min=1e-9, help="The size of the perturbation for the perturbed accuracy.")
    ] = 0.5,
    directions: Annotated[int, typer.Option(min=1, max=1000, help="The number of random directions.")] = 10,
    data: Images = "train",
    statistics: Statistics = "run",
    seed: Seed = 0,
    devices: Devices = "auto",
    json: Json = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Measure how flat the minimum of a run is; the result is kept in its folder and shown by `fbmon compare`.

    \b
    radius      how far the weights can go in a random direction, in lengths
                of their own filters, until the loss first exceeds the
                threshold; at most 4
    SAM         how much higher the loss is --rho uphill
    perturbed   the accuracy at --reach in random directions

    Examples: fbmon flatness · fbmon flatness 'digits-*' --threshold 1
    """
    from fbmon.analysis import Record, Setting
    from fbmon.analysis.flatness import Measure
    from fbmon.analysis.flatness import flatness as flatness_of

    measure = Measure(threshold, rho, reach, directions)
    records = [
        Record(folder, Setting(step, data, statistics, seed))
        for folder in chosen_folders(runs_dir, runs)
        for step in chosen_steps(folder, steps)
    ]
    answer([(record, measure.probes()) for record in records], devices, "measurements")
    results = [(record, result) for record in records if (result := flatness_of(record.read(), measure))]
    if json:
        print_json({"measure": asdict(measure), "runs": [_data(record, result) for record, result in results]})
    else:
        _print(results, measure)


def _data(record: "Record", result: "Flatness") -> dict[str, Any]:
    return {"run": record.folder.name, "step": record.setting.step, **asdict(result)}


def _print(results: "list[tuple[Record, Flatness]]", measure: "Measure") -> None:
    heads = ["step", "loss", "accuracy", f"radius to {measure.threshold:g}", f"SAM {measure.rho:g}"]
    rows = [["run", *heads, f"perturbed {measure.reach:g}"]]
    rows += [[clean(record.folder.name), str(record.setting.step), *_cells(result)] for record, result in results]
    typer.echo("\n".join(aligned(rows)))
    typer.echo(f"mean ± sd over {measure.directions} directions")


def _cells(result: "Flatness") -> list[str]:
    perturbed = result.perturbed_accuracy
    return [
        _show(result.loss, ".4g"),
        _show(result.accuracy, ".4f"),
        f"{result.radius:.3f} ± {result.radius_deviation:.3f}",
        _show(result.sam, ".4g"),
        "–" if perturbed is None else f"{perturbed:.4f} ± {result.perturbed_deviation:.4f}",
    ]


def _show(value: float | None, specification: str) -> str:
    return "–" if value is None else format(value, specification)
