"""`fbmon verify`: can this training be repeated bit by bit, on this machine."""

import os
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from fbmon.cli.intact import read_recipe
from fbmon.cli.options import DEFAULT_RUNS_DIR, Json, RunArgument, RunsDir
from fbmon.cli.output import aligned, print_json
from fbmon.cli.progress import staged
from fbmon.errors import Exit, FbmonError, UsageError
from fbmon.text import clean, plural

if TYPE_CHECKING:
    from fbmon.analysis.verdict import Verdict
    from fbmon.run import RunFolder


def verify(
    run: RunArgument = None,
    step: Annotated[int, typer.Option(help="The checkpoint whose gradient is compared; -1 is the newest.")] = -1,
    steps: Annotated[int, typer.Option(min=1, help="How many steps to repeat.")] = 3,
    precision: Annotated[
        Literal["float32", "tf32", "bfloat16", "float64"], typer.Option(help="The other precision for the gradient.")
    ] = "float64",
    devices: Annotated[str, typer.Option(help="As for `fbmon run`; one rank per device, or two on a CPU.")] = "auto",
    json: Json = False,
    runs_dir: RunsDir = DEFAULT_RUNS_DIR,
) -> None:
    """Compute the gradient after a checkpoint in several ways, repeat steps, and report which bits agree.

    The gradient is computed once more, with its blocks in reverse, by several
    processes, and in another precision; the steps after a checkpoint are
    compared with the journal. Exit code 0: all that must agree does, 1: not.

    Examples: fbmon verify · fbmon verify quickstart --devices cpu:4 --json
    """
    from fbmon import run as folders

    folder = folders.find(runs_dir, run)
    read_recipe(folder)
    verdict = _ask(folder, step, steps, precision, devices)
    if json:
        import msgspec

        print_json(msgspec.to_builtins(verdict) | {"agrees": verdict.agrees})
    else:
        for line in lines(verdict):
            typer.echo(line)
    if not verdict.agrees:
        raise typer.Exit(Exit.FAILED)


def lines(verdict: "Verdict") -> list[str]:
    """Return the report as lines of text."""
    rows = [["gradient of step " + str(verdict.step + 1), "", "equal", "ulps", "off by", "cosine"]]
    for gradient in verdict.compared:
        bits = "the same bits" if gradient.agrees else "DIFFERENT" if gradient.is_promised else "not promised"
        # Rounded down: 100 % is never said of fewer than all.
        equal = "all" if gradient.agrees else f"{gradient.equal * 1000 // gradient.numbers / 10}%"
        distances = [f"{gradient.ulps:.3g}", f"{gradient.difference:.3g}", f"{gradient.cosine:.12g}"]
        rows.append([gradient.way, bits, equal, *distances])
    report = aligned(rows, left=len(rows[0]))
    report += [f"not tried: {what}" for what in verdict.skipped]
    wrong = [value for value in verdict.repeated if not value.agrees]
    count = len({value.step for value in verdict.repeated})
    if verdict.repeated:
        end = "as in the journal, to the last bit" if not wrong else "NOT AS IN THE JOURNAL"
        report += ["", f"{plural(count, 'step')} after step {verdict.since} repeated: {end}"]
    if wrong and verdict.differences:
        report.append(f"  they were trained differently: here {', '.join(map(clean, verdict.differences))}")
    report += [f"  {value.name} of step {value.step} was {value.told!r} and is now {value.found!r}" for value in wrong]
    return report


def _ask(folder: "RunFolder", step: int, steps: int, precision: str, devices: str) -> "Verdict":
    """Return the verdict, made in a process of its own because torch is heavy."""
    import sys

    import msgspec

    from fbmon.analysis.record import checkpoint
    from fbmon.analysis.verdict import WARNING, Ask, Verdict
    from fbmon.host.worker_process import WorkerProcess
    from fbmon.ranks.devices import check_loopback, expand, here, prepare
    from fbmon.ranks.gpus import count_gpus
    from fbmon.run import written

    names = expand(here(devices, os.environ), os.environ)
    names = ["cpu", "cpu"] if names == ["cpu"] or (names == ["auto"] and not count_gpus(os.environ)) else names
    check_loopback(names)
    since, count = _repeatable(folder, steps)
    ask = Ask(written(folder.path), checkpoint(folder, step), since, count, tuple(names), precision)
    question, environment = msgspec.json.encode(ask).decode(), prepare(os.environ, names)
    verdict = b""
    try:
        with (
            staged("the gradient", 5 + (len(names) > 1)) as begin,
            WorkerProcess("fbmon.analysis.worker.verify", "first", question, environment=environment) as process,
        ):
            for line in process.lines():
                if line.startswith(b"{"):
                    verdict = line
                elif line.startswith(WARNING.encode()):
                    sys.stderr.write(clean(line.decode()) + "\n")
                else:
                    begin(clean(line.decode()))
    except FbmonError as error:
        raise FbmonError(f"{clean(folder.name)} could not be verified: {error.message}") from None
    return msgspec.json.decode(verdict, type=Verdict)


def _repeatable(folder: "RunFolder", steps: int) -> tuple[int, int]:
    """Return the newest checkpoint, or 0, with enough steps behind it in the journal, and how many to repeat."""
    from fbmon.compare import read
    from fbmon.run.checkpoints import steps as kept

    taken = read(folder).summary.step
    if not taken:
        raise UsageError(f"{clean(folder.name)} has not taken a step yet")
    since = max((step for step in [0, *kept(folder.checkpoints)] if step + min(steps, taken) <= taken), default=0)
    return since, min(steps, taken - since)
