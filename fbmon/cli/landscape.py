"""`fbmon landscape`: the loss around the minimum of a run, or of several on one scale."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.output import print_json
from fbmon.cli.survey import Devices, Images, Seed, Statistics, Steps, answer, chosen_folders, chosen_steps
from fbmon.cli.tables import RunsOrNewest
from fbmon.errors import UsageError

if TYPE_CHECKING:
    from fbmon.analysis import Point
    from fbmon.analysis.landscape_plots import Seen
    from fbmon.metrics import Scale


def landscape(
    runs: RunsOrNewest = None,
    steps: Steps = "-1",
    plane: Annotated[
        bool, typer.Option("--2d", metavar="", help="A grid over two directions instead of a line.")
    ] = False,
    to: Annotated[
        str | None,
        typer.Option("--to", metavar="RUN[@STEP]", help="Follow the straight line to the weights of this run instead."),
    ] = None,
    points: Annotated[
        int | None, typer.Option(min=3, help="The number of points along each direction; default: 51, with --2d 25.")
    ] = None,
    radius: Annotated[float, typer.Option(min=1e-6, max=100, help="How far to go, in lengths of the filters.")] = 1.0,
    directions: Annotated[
        int, typer.Option(min=1, max=1000, help="The number of directions; their mean and a band are drawn.")
    ] = 3,
    data: Images = "train",
    statistics: Statistics = "run",
    linear: Annotated[bool, typer.Option("--linear", metavar="", help="Draw the loss on a linear scale.")] = False,
    seed: Seed = 0,
    devices: Devices = "auto",
    out: Annotated[
        Path | None, typer.Option(help="Write OUT.svg and OUT.csv; default: in the first run's `analysis` folder.")
    ] = None,
    json: Json = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Show loss and accuracy around a minimum, along random directions whose filters are as long as the weights' own.

    Points are computed once and kept in the run's folder; after a Ctrl-C, the same command continues.

    \b
    Examples:
      fbmon landscape
      fbmon landscape 'digits-*' state:finished
      fbmon landscape quickstart --2d --statistics fresh
      fbmon landscape quickstart --steps 100,-1
      fbmon landscape sgd --to fb_clipped
    """
    from fbmon.analysis import Record, Setting
    from fbmon.analysis.landscape import along, between, over
    from fbmon.analysis.landscape_plots import Seen
    from fbmon.analysis.names import labels, stem
    from fbmon.export.landscape import csv_text, lines_svg, plane_svg, save

    if plane and to is not None:
        raise UsageError("--2d and --to: choose one of them")
    count = points or (25 if plane else 51)
    towards = _towards(runs_dir, to) if to is not None else ""
    folders = chosen_folders(runs_dir, runs)
    asked_points = between(count) if to else over(count, radius) if plane else along(directions, count, radius)
    asked: list[tuple[Record, list[Point]]] = [
        (Record(folder, Setting(step, data, statistics, 0 if to else seed, towards)), asked_points)
        for folder in folders
        for step in chosen_steps(folder, steps)
    ]
    if plane and len(asked) > 1:
        raise UsageError(f"--2d: shows one minimum, not {len(asked)}")
    answer(asked, devices, "points")
    names = labels([record for record, _ in asked])
    minima = [
        Seen(name, record.setting.step, record.read(), asked_points)
        for name, (record, _) in zip(names, asked, strict=True)
    ]
    scale: Scale = "linear" if linear else "log"
    title = f"{data} loss: {minima[0].label}" if plane else f"{data} loss"
    x_label = "distance from the minimum, in lengths of the filters" if to is None else f"share of the way to {to}"
    drawn = plane_svg(minima[0], title) if plane else lines_svg(minima, title, scale, x_label)
    written = save(out or asked[0][0].path.with_name(stem(asked, plane=plane)), drawn, csv_text(minima))
    if json:
        print_json({"files": written, "points": [_data(minimum) for minimum in minima]})
        return
    _show(minima, plane, title, scale)
    typer.echo("\n".join(written))


def _towards(runs_dir: Path, to: str) -> str:
    from fbmon import run as folders
    from fbmon.analysis.record import checkpoint
    from fbmon.run import written
    from fbmon.run.checkpoints import path_of

    name, _, step = to.rpartition("@") if "@" in to else (to, "", "-1")
    folder = folders.find(runs_dir, name)
    if not step.lstrip("-").isdecimal():
        raise UsageError("--to: must be RUN or RUN@STEP")
    return written(path_of(folder.checkpoints, checkpoint(folder, int(step))).resolve())


def _data(minimum: "Seen") -> dict[str, object]:
    answers = minimum.known
    points = [{"directions": point.directions, "at": point.at, **answers.get(point, {})} for point in minimum.points]
    return {"run": minimum.label, "step": minimum.step, "points": points}


def _show(minima: "list[Seen]", plane: bool, title: str, scale: "Scale") -> None:
    from fbmon.analysis.landscape_plots import heat_map, legend, plots
    from fbmon.cli.picture import print_heat, print_legend, print_plot

    if plane:
        print_heat(heat_map(minima[0], title))
        return
    for plot in plots(minima, title, scale):
        print_plot(plot)
    if len(minima) > 1:
        print_legend(legend([minimum.label for minimum in minima]))
