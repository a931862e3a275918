"""`fbmon doctor`: whether this machine is fit to train, and what to do where it is not."""

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

import typer

from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunsDir
from fbmon.cli.run import DataDir
from fbmon.errors import Exit

if TYPE_CHECKING:
    from rich.console import Console

    from fbmon.doctor.finding import Finding

_COLOURS = {"ok": "green", "warning": "yellow", "failure": "red"}
_WIDTHS = (max(map(len, _COLOURS)), len("shared memory"))


def doctor(runs_dir: RunsDir = DEFAULT_RUNS_DIR, data_dir: DataDir = None, json: Json = False) -> None:
    """Check whether this machine is fit to train: torch, GPUs, data, disk, logout, terminal; and say what to do if not.

    Exit code 0, or 1 if something prevents training. Nothing is changed or downloaded.

    Examples: fbmon doctor · fbmon doctor --runs-dir /shared/runs --json
    """
    from fbmon.cli.output import print_json
    from fbmon.doctor.examine import examine
    from fbmon.run import data_folder

    examination = examine(runs_dir, data_folder(data_dir), os.environ)
    if json:
        findings = list(examination)
        print_json({"findings": findings, "can_train": not _failed(findings)})
    else:
        findings = _show(examination)
    raise typer.Exit(Exit.FAILED if _failed(findings) else Exit.FINISHED)


def _show(examination: "Iterable[Finding]") -> "list[Finding]":
    """Print each finding as soon as it is made, and a summary at the end; return all findings."""
    from rich.text import Text

    from fbmon.cli.output import make_console

    console, findings = make_console(), []
    with console.status("checking; torch takes a few seconds to load", spinner="line"):  # in a terminal
        for finding in examination:
            findings.append(finding)
            _print(finding, console)
    failed = _failed(findings)
    console.print(Text(f"this machine cannot train: see {', '.join(failed)}" if failed else "this machine can train"))
    return findings


def _print(finding: "Finding", console: "Console") -> None:
    from rich.text import Text

    from fbmon.cli.output import print_columns

    verdict = Text(finding.verdict, _COLOURS[finding.verdict])
    print_columns(console, _WIDTHS, verdict, finding.name, finding.found)
    if finding.advice:
        print_columns(console, _WIDTHS, "", "", f"→ {finding.advice}")


def _failed(findings: "Iterable[Finding]") -> list[str]:
    return [finding.name for finding in findings if finding.verdict == "failure"]
