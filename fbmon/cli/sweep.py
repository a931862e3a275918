"""`fbmon sweep`: a recipe with every combination of the values asked for, and the table that they give."""

from typing import TYPE_CHECKING, Annotated

import typer

from fbmon.cli.many import DryRun, Jobs, ManyDevices, Shown, carry_out
from fbmon.cli.options import DEFAULT_RUNS_DIR, Csv, Json, Latex, Markdown, NoUi, RunsDir, Ui, UiOption
from fbmon.cli.output import mention
from fbmon.cli.run import DataDir, RecipeArgument, Steps, asked_settings

if TYPE_CHECKING:
    from fbmon.reproduce import TableRun

_COLUMNS = "val_accuracy,best.val_accuracy,loss,clipped,time,state"


def sweep(
    recipe: RecipeArgument,
    overrides: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="SECTION.KEY=VALUE,VALUE,...", help="Give one setting one or more values; repeatable."
        ),
    ] = None,
    seeds: Annotated[
        str | None, typer.Option(metavar="0,1,2|0-4", help="The seeds of every combination; default: the recipe's.")
    ] = None,
    dry_run: DryRun = False,
    steps: Steps = None,
    devices: ManyDevices = "auto",
    jobs: Jobs = None,
    ui: UiOption = Ui.AUTO,
    no_ui: NoUi = False,
    json: Json = False,
    csv: Csv = False,
    markdown: Markdown = False,
    latex: Latex = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
    data_dir: DataDir = None,
) -> None:
    """Run a recipe with every combination of the values given by --set and every seed, then print the table.

    Values are parted by commas; those within brackets or quotes part nothing.
    As with `fbmon reproduce`, a finished run of the same settings is not
    repeated, and after an interruption the same command continues.

    \b
    Examples:
      fbmon sweep quickstart --set optimizer.lr=0.2,0.4,0.8 --seeds 0-2
      fbmon sweep mine.toml --set clip.norm=0.25,1 --devices 0,1
      fbmon sweep quickstart --set loss.label_smoothing=0,0.1 --dry-run
    """
    shown = Shown.chosen(ui, _COLUMNS, no_ui=no_ui, dry_run=dry_run, csv=csv, markdown=markdown, latex=latex, json=json)

    def make() -> "list[TableRun]":
        from fbmon import recipe as recipes
        from fbmon import sweep
        from fbmon.reproduce import parse_seeds

        several = parse_seeds(seeds) if seeds is not None else []
        return sweep.tasks(recipes.find(recipe), asked_settings(overrides, steps, None), several, mention)

    carry_out(make, shown, runs_dir, data_dir, devices, jobs, dry_run=dry_run)
