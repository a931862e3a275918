"""Tasks are done beside this process where that can be had, and here where it cannot; the results are the same."""

import os
import signal
import subprocess
import sys
from functools import partial

import pytest

from fbmon.host.forked import share

HERE = os.getpid()


def double(number: int) -> tuple[int, bool]:
    """Return twice a number, and whether this process has found it; in another, 3 is deadly."""
    if number == 3 and os.getpid() != HERE:
        os.kill(os.getpid(), signal.SIGKILL)
    return 2 * number, os.getpid() == HERE


def test_results_come_in_any_order_and_what_a_killed_process_has_not_done_is_done_here() -> None:
    results = share([partial(double, number) for number in range(6)], workers=2)

    assert [results[number]() for number in (4, 0, 1, 2, 5, 3)] == [
        (8, False),
        (0, False),
        (2, False),
        (4, False),
        (10, True),
        (6, True),
    ]


def test_where_a_second_process_is_refused_its_share_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    forks = iter([os.fork])

    def fork() -> int:
        try:
            return next(forks)()
        except StopIteration:
            raise BlockingIOError(11, "Resource temporarily unavailable") from None

    monkeypatch.setattr(os, "fork", fork)
    assert [result() for result in share([partial(double, number) for number in (0, 1, 2)], workers=2)] == [
        (0, False),
        (2, True),
        (4, False),
    ]


def test_a_result_that_nobody_asks_for_holds_up_no_exit() -> None:
    program = "from fbmon.host.forked import share; share([lambda: b'x' * (1 << 22)] * 4, workers=2)"
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)
