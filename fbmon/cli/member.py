"""`fbmon run` as a rank of a job that torchrun or srun has started: it trains here, and starts no other process."""

import os
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from fbmon.cli.lines import json_line
from fbmon.cli.options import Ui
from fbmon.cli.output import discard_output, warn_of_locks
from fbmon.cli.plain import PlainScreen
from fbmon.events import Event
from fbmon.host.scratch import with_what_torch_needs
from fbmon.host.signals import SIGNALS, hold
from fbmon.process.emit import Emitter
from fbmon.process.recorder import guarded, recorded
from fbmon.process.worker import Assignment, carry_out, leave
from fbmon.ranks import devices as device_names
from fbmon.ranks.rank import Rank
from fbmon.recipe import Recipe
from fbmon.run import RunFolder, refuse_changed, unmade_on_failure
from fbmon.run.journal import Tail, unseal
from fbmon.store import summary
from fbmon.store.store import Store

_PATIENCE = 600.0  # seconds to wait for the other ranks: what torch grants a GPU


def take_part(
    recipe: Recipe,
    rank: Rank,
    device: str,
    data_dir: Path,
    make_folder: Callable[[], RunFolder],
    ui: Ui,
    stall_limit: float | None,
) -> int:
    """Train as rank `rank` and return the exit code; the first rank makes or finds the folder, tells and shows."""
    os.umask(0o077)
    os.environ.update(device_names.FOR_CUDA | with_what_torch_needs(os.environ))
    patience = stall_limit or _PATIENCE
    if rank.index:
        leave(carry_out(Assignment(recipe, rank, device, data_dir, Path(), patience=patience)))
    hold(SIGNALS)  # until the run is there to hear them
    folder = make_folder()
    refuse_changed(recipe, folder.read_meta())
    with ExitStack() as over:
        with unmade_on_failure(folder):
            folder.seize()  # held until this process ends
            over.enter_context(guarded(folder))
            over.callback(summary.write, folder)
            over.enter_context(recorded(folder, device_names.expand(device, os.environ), os.environ))
        warn_of_locks(folder)
        emitter = _ShowingEmitter(folder, _screen(folder, ui))
        work = Assignment(recipe, rank, device, data_dir, folder.checkpoints, folder, emitter)
        code = carry_out(replace(work, patience=patience, conclude=over.close))
    leave(code)


class _ShowingEmitter(Emitter):
    """An emitter that also shows each line of the journal here."""

    def __init__(self, folder: RunFolder, show: Callable[[Event], None]) -> None:
        super().__init__(folder, None)
        self._show = show

    def pass_on(self, line: bytes) -> None:
        event = unseal(line.rstrip(b"\n"))
        try:
            if event is not None:
                self._show(event)
        except OSError:  # the reader has seen enough, or the disk is full: the training goes on
            discard_output()
            self._show = lambda _: None


def _screen(folder: RunFolder, ui: Ui) -> Callable[[Event], None]:
    store = Store()
    for event in Tail(folder.journal).read():  # of earlier starts, as those of a job that was put back into its queue
        store.apply(event)
    screen = PlainScreen(store, folder)

    def plain(event: Event) -> None:
        store.apply(event)
        screen.show(event)

    def lines(event: Event) -> None:
        sys.stdout.write(json_line(event))
        sys.stdout.flush()

    return {Ui.JSON: lines, Ui.NONE: lambda _: None}.get(ui, plain)
