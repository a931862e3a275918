"""Shows a run in the way that was asked for, to its end, and returns the exit code for the shell."""

import gc
import signal
import sys
from collections.abc import Callable, Iterator
from types import FrameType

from fbmon.cli.lines import json_line, last_line
from fbmon.cli.options import Ui
from fbmon.cli.output import discard_output, mention, report, warn_of_locks
from fbmon.cli.terminal_guard import Kept
from fbmon.errors import Exit, of_system
from fbmon.events import DeviceSampled, Event, ProgressMade
from fbmon.host.signals import AT_ONCE, SIGNALS, Interrupts, hold, restore_defaults, signals_held
from fbmon.process import launch
from fbmon.process.launch import RunHandle
from fbmon.run import RunFolder
from fbmon.store.store import Store
from fbmon.text import clean, clean_path


def start(
    find: Callable[[], RunFolder],
    ui: Ui,
    kept: Kept | None,
    *,
    devices: str | None = None,
    detach: bool = False,
    force: bool = False,
) -> RunHandle:
    """Start a run as `launch.start` does, in the folder that is found or made: no signal leaves one without its run.

    Signals reach it from its first moment, unless this command only looks on.

    A full screen, whose terminal is `kept`, and one that detaches only look on: the run outlives them. A Ctrl-C waits
    for the screen, which asks what is meant.
    """
    if kept:
        hold([signal.SIGINT])
    with signals_held():
        folder = find()
        if kept:
            kept.shows(folder.path)
        handle = launch.start(folder, queue=ui is not Ui.NONE, devices=devices, force=force)
        if ui is not Ui.FULL and not detach:
            _forward_signals(handle)
        else:
            restore_defaults(number for number in SIGNALS if not (kept and number == signal.SIGINT))
    warn_of_locks(folder)
    return handle


def show_started(handle: RunHandle, ui: Ui, *, detach: bool) -> int:
    """Show a run that this command has started, or with `detach` only say where it is."""
    if not detach:
        return show(handle, ui)
    sys.stdout.write(f"{clean_path(handle.folder.path)}\nwatch it with: fbmon watch {handle.folder.typed}\n")
    return Exit.FINISHED


def show(handle: RunHandle, ui: Ui, *, stays: bool = True, label: str = "") -> int:
    """Show the run until it ends or the viewer leaves; a full screen that `stays` only until the viewer leaves.

    `label` is what a full screen calls the run among others, as `run 2 of 21`.
    """
    if ui is Ui.FULL:
        return _full(handle, stays=stays, label=label)
    collect_garbage_again()
    store = Store()
    events = _followed(handle, store)
    try:
        {Ui.PLAIN: _plain, Ui.JSON: _json}.get(ui, _nothing)(events, store, handle.folder)
    except BrokenPipeError:  # `| head`: the reader has seen enough, the training goes on
        discard_output()
        return Exit.FINISHED
    except OSError as error:  # as the disk is full: who waits for the exit code still gets it
        discard_output()
        report(of_system(error))
        _nothing(events, store, handle.folder)
    return store.ended.exit_code if store.ended else handle.exit_code()


def _full(handle: RunHandle, *, stays: bool, label: str) -> int:
    from fbmon.host.own_folders import config_folder
    from fbmon.ui.monitor.app import MonitorApp

    app = MonitorApp(handle, config_folder() / "screen.json", stays=stays, place=label)
    collect_garbage_again()
    app.run()
    if app.return_code:  # the screen itself has failed, and has said why
        return app.return_code
    if handle.alive:
        name, typed = clean(handle.folder.name), handle.folder.typed
        sys.stdout.write(f"{name} goes on in the background; see it again with: fbmon watch {typed}\n")
        return Exit.FINISHED
    sys.stdout.write(clean(f"{handle.folder.name}: {last_line(app.store, handle.folder)}", 2000) + "\n")
    return app.store.ended.exit_code if app.store.ended else handle.exit_code()


def collect_garbage_again() -> None:
    """Turn garbage collection back on, which the start of a command turns off, for commands that stay longer."""
    gc.freeze()  # what has been imported is not looked at again
    gc.enable()


def _followed(handle: RunHandle, store: Store) -> Iterator[Event]:
    """Yield every event to the end of the run, once it is in the store."""
    for events in handle.follow():
        for event in events:
            store.apply(event)
            yield event


def _plain(events: Iterator[Event], store: Store, folder: RunFolder) -> None:
    from fbmon.cli.plain import PlainScreen

    screen = PlainScreen(store, folder)
    for event in events:
        screen.show(event)
    screen.close()


def _json(events: Iterator[Event], _store: Store, _folder: RunFolder) -> None:
    """Print every event as its JSON line in the journal."""
    for event in events:
        if not isinstance(event, ProgressMade | DeviceSampled):
            sys.stdout.write(json_line(event))
            sys.stdout.flush()


def _nothing(events: Iterator[Event], _store: Store, _folder: RunFolder) -> None:
    for _ in events:
        pass


def _forward_signals(handle: RunHandle) -> None:
    interrupts = Interrupts()

    def forward(number: int, _frame: FrameType | None) -> None:
        handle.send_signal(signal.Signals(number))
        if number != signal.SIGINT:
            return
        if interrupts.is_second():
            handle.send_signal(AT_ONCE)
        elif interrupts.count == 1:
            mention("stopping at the next block and saving; press Ctrl-C again to stop at once without saving")

    for number in SIGNALS:
        signal.signal(number, forward)
