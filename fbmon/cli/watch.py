"""`fbmon watch`: show a running or ended run."""

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, NoUi, RunArgument, RunsDir, Ui, UiOption, choose_ui


def watch(
    run: RunArgument = None, ui: UiOption = Ui.AUTO, no_ui: NoUi = False, runs_dir: RunsDir = DEFAULT_RUNS_DIR
) -> None:
    """Show a run, running or ended, from its first step on. Default: the newest that is running, else the newest.

    Examples: fbmon watch · fbmon watch quickstart --no-ui · fbmon watch runs/quickstart-20260101-120000
    """
    shown = choose_ui(ui, no_ui)
    from fbmon.cli.terminal_guard import keep

    kept = keep() if shown is Ui.FULL else None  # before the imports that start threads
    from fbmon.cli.default_run import run_or_newest
    from fbmon.cli.show import show
    from fbmon.process import launch

    handle = launch.attach(run_or_newest(runs_dir, run, running_first=True))
    if kept:
        kept.shows(handle.folder.path)
    raise typer.Exit(show(handle, shown))
