"""The screen in a real terminal: what is painted and when, and what is left behind when it goes."""

import re
import signal
from collections.abc import Callable
from pathlib import Path

from fbmon.events import PhaseEntered, StepTaken
from fbmon.run import RunFolder
from tests.gate import Gate
from tests.shell import (
    ENDLESS,
    PROMPTLY,
    Fbmon,
    last_word,
    processes,
    steps_taken,
    told,
    trainer,
    until,
    wait_for_steps,
)
from tests.terminal import Terminal


def test_the_screen_stands_before_torch_is_imported_and_the_run_outlives_it(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal], gate: Gate
) -> None:
    first = terminal("run", tiny, "--steps", ENDLESS, **gate.variables)
    first.until("● loading torch")
    gate.open()
    folder = fbmon.run_folder()
    first.until(rf"● training +{folder.name}")
    first.until(r" step [1-9]\d*/100000 ")
    until(lambda: steps_taken(folder) > 30)  # the best accuracy is among the first eleven

    first.screen.send_signal(signal.SIGKILL)
    assert first.wait() == 128 + signal.SIGKILL
    assert first.modes_left() == set()
    farewell = f"the screen was ended by SIGKILL; the training goes on: fbmon watch {folder.name}"
    assert first.output.endswith(farewell.encode() + b"\r\n")
    wait_for_steps(folder)
    assert folder.is_alive()

    second = terminal("watch", width=160, height=48)
    second.until(
        rf"(?s)● (training|validating)  {folder.name}.*step +0  ● training 5,142 parameters on 1 CPU thread"
        r".*step +1  ▸ clipping engaged \(norm.*step +1  ★ best validation accuracy"
    )

    second.press("q")
    second.until("Leave it running")
    second.press("l")
    assert second.wait() == 0
    assert second.modes_left() == set()
    goodbye = f"{folder.name} goes on in the background; see it again with: fbmon watch {folder.name}"
    assert second.output.endswith(goodbye.encode() + b"\r\n")
    assert second.output.index(goodbye.encode()) > second.output.rindex(b"\x1b[?1049l")
    wait_for_steps(folder)


def test_the_screen_says_at_once_that_the_trainer_was_killed(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    screen.until(r" step [1-9]\d*/100000 ")

    trainer(folder).kill()

    screen.until("(?s)● killed.*the trainer was killed by SIGKILL", PROMPTLY)
    screen.press("q")
    assert screen.wait() == 4
    assert screen.modes_left() == set()
    assert b"the trainer was killed by SIGKILL (often because the system ran out of memory" in screen.output
    assert screen.output.endswith(f"{folder.log}\r\n".encode())
    assert processes(folder.path) == []


def test_s_stops_the_run_and_leaves_when_its_state_is_saved(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    screen.until(r" step [1-9]\d*/100000 ")

    screen.press("q")
    screen.until("Stop it")
    screen.press("s")

    assert screen.wait() == 130
    ended = last_word(folder)
    assert ended is not None
    assert ended.state == "stopped"
    assert (folder.checkpoints / f"step-{ended.step:08d}").is_dir()
    assert screen.modes_left() == set()
    last = f"by the screen; the state is saved; go on with: fbmon resume {folder.name}\r\n"
    assert screen.output.endswith(last.encode())


def test_the_training_goes_on_while_nobody_reads_its_screen_while_it_is_suspended_and_when_its_window_is_closed(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", tiny, "--steps", ENDLESS)
    folder = fbmon.run_folder()
    screen.until(r" step [1-9]\d*/100000 ")

    screen.stalled = True  # more than the terminal, the queue and the feed together can hold
    wait_for_steps(folder, 300)
    screen.stalled = False
    present = steps_taken(folder)
    until(lambda: int(screen.until(r" step [1-9]\d*/100000 ").split(" step ")[1].split("/")[0]) >= present)

    screen.press("\x1a")
    screen.until(r"\[stopped\]")
    wait_for_steps(folder, 20)

    screen.hang_up()
    wait_for_steps(folder, 20)
    assert folder.is_alive()
    taken = [event.step for event in told(folder) if isinstance(event, StepTaken)]
    assert taken == list(range(1, len(taken) + 1))


def test_a_ctrl_c_before_the_screen_stands_is_asked_about_as_soon_as_it_does(
    tiny: Path, fbmon: Fbmon, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("run", tiny, "--steps", ENDLESS, OMP_NUM_THREADS="2")  # a thread of numpy may take signals
    folder = fbmon.run_folder()
    until(folder.log.exists)  # and so, in a moment, the supervisor
    screen.press("\x03")
    screen.until("Leave it running")
    screen.press("s")
    assert screen.wait() == 130
    assert screen.modes_left() == set()
    ended = last_word(folder)
    assert ended is not None
    assert ended.state == "stopped"


def test_a_screen_asks_the_terminal_for_its_size_and_not_the_variables_of_a_shell(
    running: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    screen = terminal("watch", running.path, width=120, height=40, COLUMNS="50", LINES="10")
    until(lambda: "q Leave" in screen.text.split("\n")[39] and re.search(r".{100,}50%", screen.text))

    screen.resize(80, 24)

    until(lambda: "q Leave" in screen.text.split("\n")[23])


def event_is(event: object, phase: str) -> bool:
    return isinstance(event, PhaseEntered) and event.phase == phase
