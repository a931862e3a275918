"""A plugin of pytest that writes down each test as it starts and ends.

So a suite that hangs and is killed has said which tests have failed, and which it was at.
"""

import json
from pathlib import Path
from typing import TextIO

import pytest


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--outcomes", type=Path, help="a file for the outcome of each test, one JSON object a line")


def pytest_configure(config: pytest.Config) -> None:
    path = config.getoption("--outcomes")
    if path and not hasattr(config, "workerinput"):  # the workers of pytest-xdist report to their controller
        config.pluginmanager.register(Outcomes(path.open("a", encoding="utf-8")))


class Outcomes:
    """What becomes of each test: started, then passed, failed or skipped."""

    def __init__(self, file: TextIO) -> None:
        self._file = file

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._write(nodeid, "started")

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "call" or report.outcome != "passed":
            self._write(report.nodeid, report.outcome, report.duration)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.failed:
            self._write(report.nodeid, "failed")

    def _write(self, test: str, outcome: str, seconds: float = 0.0) -> None:
        print(json.dumps({"test": test, "outcome": outcome, "seconds": round(seconds, 3)}), file=self._file, flush=True)
