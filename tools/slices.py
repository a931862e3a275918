"""Trains a recipe in slices of some minutes, for machines that are lent for no longer: `python -m tools.slices`.

The first call starts the run, each further one goes on with it from its last checkpoint; each stops it in time, saved.
Without a recipe, the first of the paper's main table is taken that is done within --total minutes, as measured by
`fbmon plan`. The journal, which is all that charts need, is left in --out, packed.
"""

import argparse
import gzip
import json
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

RECIPES = ("fb_strong_reg", "fb_regularized", "fb_clipped", "fb_baseline")
_FBMON = (sys.executable, "-m", "fbmon")
_TO_SAVE = 30.0  # seconds that stopping and saving may take
_NAME = "slices"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--recipe", help=f"default: the first that fits of {', '.join(RECIPES)}")
    parser.add_argument("--set", action="append", default=[], dest="settings", help="as of fbmon run")
    parser.add_argument("--devices", default="auto")
    parser.add_argument("--data", type=Path)
    parser.add_argument("--runs", type=Path, default=Path("runs"))
    parser.add_argument("--out", type=Path, default=Path())
    parser.add_argument("--minutes", type=float, default=9.0, help="of this slice")
    parser.add_argument("--total", type=float, default=25.0, help="minutes of all slices together")
    arguments = parser.parse_args()
    began = time.monotonic()
    if found := sorted(arguments.runs.glob(f"{_NAME}-*")):
        command = [*_FBMON, "resume", found[-1].name, "--runs-dir", str(arguments.runs), "--no-ui"]
    else:
        recipe = arguments.recipe or _that_fits(arguments.settings, arguments.devices, arguments.total)
        command = [*_FBMON, "run", recipe, "--name", _NAME, "--runs-dir", str(arguments.runs), "--no-ui"]
        command += ["--devices", arguments.devices, *(f"--set={setting}" for setting in arguments.settings)]
        command += ["--data-dir", str(arguments.data)] if arguments.data else []
    code = _run(command, began + 60 * arguments.minutes - _TO_SAVE)
    for folder in sorted(arguments.runs.glob(f"{_NAME}-*"))[-1:]:
        arguments.out.mkdir(parents=True, exist_ok=True)
        with suppress(FileNotFoundError):  # its time was over before it began
            (arguments.out / "journal.jsonl.gz").write_bytes(gzip.compress((folder / "journal.jsonl").read_bytes()))
    return 0 if code in (0, 75, -signal.SIGTERM) else code  # stopped in time, and saved if there was anything to save


def _that_fits(settings: list[str], devices: str, minutes: float) -> str:
    """The first recipe whose plan is within the time; the shortest if none is."""
    for name in RECIPES:
        command = [*_FBMON, "plan", name, "--devices", devices, "--json", "--seconds", "5"]
        command += [f"--set={setting}" for setting in settings]
        plan = json.loads(subprocess.run(command, capture_output=True, check=True).stdout)
        took = plan["hours_by_devices"]["1"] * 60
        print(f"{name}: {took:.1f} minutes", flush=True)
        if took <= minutes:
            return name
    return RECIPES[-1]


def _run(command: list[str], end: float) -> int:
    """The exit code of a command that is asked to stop, and to save, when its time is over."""
    process = subprocess.Popen(command)
    try:
        return process.wait(timeout=max(1.0, end - time.monotonic()))
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGTERM)
        return process.wait(timeout=4 * _TO_SAVE)


if __name__ == "__main__":
    sys.exit(main())
