"""The terminal after the death of the screen: as it was before, with one line about the training."""

import os
import signal
import time
from collections.abc import Callable

import pytest

from fbmon.run import RunFolder
from tests.shell import PROMPTLY, is_dead, until
from tests.terminal import Terminal

FAREWELL = "the training goes on: fbmon watch tiny-1\r\n"


@pytest.mark.parametrize(
    "number", ["SIGKILL", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGSEGV", "SIGABRT", "SIGBUS", "SIGUSR1", "SIGALRM"]
)
def test_whatever_signal_ends_the_screen_the_terminal_is_as_before_and_one_line_says_what_goes_on(
    number: str, screen: Terminal
) -> None:
    screen.screen.send_signal(signal.Signals[number])

    assert screen.wait() == 128 + signal.Signals[number]
    assert screen.modes_left() == set()
    assert screen.output.endswith(f"\x1b[0mthe screen was ended by {number}; {FAREWELL}".encode())


def test_a_signal_that_has_no_name_is_told_by_its_number(screen: Terminal) -> None:
    number = signal.SIGRTMIN + 3
    screen.screen.send_signal(number)

    assert screen.wait() == 128 + number
    assert screen.modes_left() == set()
    assert screen.output.endswith(f"\x1b[0mthe screen was ended by signal {number}; {FAREWELL}".encode())


@pytest.mark.parametrize("number", ["SIGTERM", "SIGHUP", "SIGQUIT"])
def test_a_signal_to_the_process_that_the_shell_knows_ends_the_screen(number: str, screen: Terminal) -> None:
    drawing = screen.screen
    screen.keeper.send_signal(signal.Signals[number])

    assert screen.wait() == 128 + signal.Signals[number]
    assert screen.modes_left() == set()
    assert is_dead(drawing)


def test_when_the_keeper_itself_is_killed_the_screen_restores_the_terminal_and_leaves(screen: Terminal) -> None:
    drawing = screen.screen
    screen.keeper.kill()

    until(lambda: is_dead(drawing), PROMPTLY)
    assert screen.wait() == 128 + signal.SIGKILL
    assert screen.modes_left() - {"termios"} == set(), "the line discipline is the shell's again, which sets its own"


def test_a_stopped_screen_gives_the_terminal_to_the_shell_and_goes_on_where_it_was(screen: Terminal) -> None:
    screen.press("\x1a")
    screen.until(r"\[stopped\]")
    assert screen.modes_left() == set()

    screen.resize(100, 30)
    screen.press("fg\r")

    screen.until("step 30/60")
    until(lambda: "1049" in screen.modes_left())
    screen.press("q")
    screen.until("It goes on without this screen")
    screen.press("l")
    assert screen.wait() == 0
    assert screen.modes_left() == set()
    assert screen.output.endswith(b"tiny-1 goes on in the background; see it again with: fbmon watch tiny-1\r\n")


def test_a_screen_stopped_from_outside_leaves_the_terminal_whole_and_comes_back_whole(screen: Terminal) -> None:
    whole = r"(?s)clipped of the last 50 steps.*devices.*drawn 30 of 30.*training 5,142 parameters.*s Smooth"
    below_the_clock = screen.until(whole).split("\n")[2:]
    screen.screen.send_signal(signal.SIGSTOP)
    screen.until(r"\[stopped\]")
    assert screen.modes_left() == set()

    screen.press("fg\r")

    until(lambda: "1049" in screen.modes_left())
    until(lambda: screen.painted_since(b"\x1b[?1049h").split("\n")[2:] == below_the_clock)
    screen.press("q")
    screen.until("It goes on without this screen")
    screen.press("l")
    assert screen.wait() == 0
    assert screen.modes_left() == set()


@pytest.mark.slow
def test_stopped_at_any_moment_while_keys_arrive_a_screen_comes_back(screen: Terminal) -> None:
    """The keys that it was about to read are the shell's by then."""
    screen.until("drawn 30 of 30")
    for round_ in range(40):
        stops, starts = screen.output.count(b"[stopped]"), screen.output.count(b"\x1b[?1049h")
        screen.press("\t" * 8)
        time.sleep(round_ / 300)
        screen.screen.send_signal(signal.SIGSTOP)
        until(lambda: screen.output.count(b"[stopped]") > stops)  # noqa: B023 - called at once
        screen.press("fg\r")
        until(lambda: screen.output.count(b"\x1b[?1049h") > starts)  # noqa: B023 - called at once


def test_a_job_stopped_whole_without_a_word_comes_back_whole_at_the_first_try(screen: Terminal) -> None:
    whole = r"(?s)clipped of the last 50 steps.*devices.*drawn 30 of 30.*training 5,142 parameters.*s Smooth"
    below_the_clock = screen.until(whole).split("\n")[2:]
    os.killpg(screen.keeper.pid, signal.SIGSTOP)
    screen.until(r"\[stopped\]")
    already = screen.output.count(b"\x1b[?1049h")

    screen.press("fg\r")

    until(lambda: screen.output.count(b"\x1b[?1049h") > already, seconds=10)
    until(lambda: screen.painted_since(b"\x1b[?1049h").split("\n")[2:] == below_the_clock, seconds=10)
    assert screen.output.count(b"[stopped]") == 1
    screen.press("q")
    screen.until("It goes on without this screen")
    screen.press("l")
    assert screen.wait() == 0
    assert screen.modes_left() == set()


def test_a_screen_that_comes_back_from_the_shell_is_painted_whole(screen: Terminal) -> None:
    whole = r"(?s)clipped of the last 50 steps.*devices.*drawn 30 of 30.*training 5,142 parameters.*s Smooth"
    below_the_clock = screen.until(whole).split("\n")[2:]
    screen.press("\x1a")
    screen.until(r"\[stopped\]")

    screen.press("fg\r")

    until(lambda: "1049" in screen.modes_left())
    until(lambda: screen.painted_since(b"\x1b[?1049h").split("\n")[2:] == below_the_clock)


def test_without_a_shell_to_go_to_a_stopped_screen_goes_on_at_once(
    running: RunFolder, terminal: Callable[..., Terminal]
) -> None:
    shown = terminal("watch", running.path, job_control=False)
    shown.until("step 30/60")
    already = shown.output.count(b"\x1b[?1049h")

    shown.press("\x1a")

    until(lambda: shown.output.count(b"\x1b[?1049h") > already, PROMPTLY)
    shown.press("q")
    shown.until("It goes on without this screen")
    shown.press("l")
    assert shown.wait() == 0
    assert shown.modes_left() == set()


def test_a_screen_ended_while_it_is_stopped_leaves_the_terminal_alone(screen: Terminal) -> None:
    screen.press("\x1a")
    screen.until(r"\[stopped\]")

    screen.screen.kill()
    screen.press("fg\r")

    assert screen.wait() == 128 + signal.SIGKILL
    assert screen.modes_left() == set()


def test_the_terminal_may_vanish(screen: Terminal) -> None:
    processes = [screen.keeper, screen.screen]

    screen.hang_up()

    until(lambda: all(map(is_dead, processes)), PROMPTLY)


def test_the_exit_code_of_a_faulty_command_is_passed_on(terminal: Callable[..., Terminal]) -> None:
    screen = terminal("run", "no-such-recipe")

    assert screen.wait() == 2
    assert screen.modes_left() == set()
