"""The start of a run from Python: in the background, as by `fbmon run --no-ui`."""

import os
import time
import warnings
from collections.abc import Mapping
from pathlib import Path

import tomli_w

from fbmon import compare
from fbmon import recipe as recipes
from fbmon import run as folders
from fbmon.api.run import Run, read
from fbmon.errors import UsageError
from fbmon.process import launch
from fbmon.ranks.devices import check_loopback, expand, here
from fbmon.run import Life, RunFolder
from fbmon.text import clean

_LOOK_SECONDS = 0.1


class Training:
    """A run that was started; it goes on when this process ends."""

    def __init__(self, folder: RunFolder) -> None:
        self._folder = folder

    def __repr__(self) -> str:
        return f"<fbmon training {self.name}: {self.state}>"

    @property
    def path(self) -> Path:
        return self._folder.path

    @property
    def name(self) -> str:
        return self._folder.name

    @property
    def state(self) -> str:
        """The state as `fbmon runs` tells it: running, finished, stopped, killed, failed, ..."""
        return compare.read(self._folder).state

    def wait(self, timeout: float | None = None) -> str:
        """Wait for the end of the run and return its state. Raises TimeoutError after `timeout` seconds."""
        end = None if timeout is None else time.monotonic() + timeout
        while self._folder.look().life is not Life.ENDED:
            if end is not None and time.monotonic() >= end:
                raise TimeoutError(f"{self.name} has not ended in {timeout:g} s")
            time.sleep(_LOOK_SECONDS)
        return self.state

    def stop(self) -> None:
        """Ask the run to stop at its next block, after saving its state; `wait` waits for that."""
        self._folder.put("stop", "Python")

    def read(self) -> Run:
        """Return what the run has measured and told so far."""
        return read(self.path)


def start(
    recipe: str | Path,
    settings: Mapping[str, object] | None = None,
    *,
    steps: int | None = None,
    seed: int | None = None,
    devices: str = "auto",
    name: str | None = None,
    runs_dir: str | Path | None = None,
    data_dir: str | Path | None = None,
    stall_limit: float | None = None,
    origin: str | None = None,
) -> Training:
    """Start a run in the background.

    `recipe` is a file or the name of a shipped one; `settings` change it, as `{"optimizer.lr": 0.1}`; `origin` is what
    --from is. All else is as the options of `fbmon run`, FBMON_RUNS and FBMON_DATA included. Raises UsageError,
    RecipeError with one line per fault, and what else keeps a run from starting; then there is no run.
    """
    file = recipes.find(str(recipe))
    asked = {"steps": steps, "seed": seed}
    changed = {**(settings or {}), **{key: value for key, value in asked.items() if value is not None}}
    overrides = [_override(key, value) for key, value in changed.items()]
    loaded = recipes.load(file, overrides, lambda line: warnings.warn(line, stacklevel=3))
    on = here(devices, os.environ)
    check_loopback(expand(on, os.environ))
    home = folders.usual() if runs_dir is None else Path(runs_dir)
    folder = folders.create(
        home,
        loaded.name if name is None else name,
        file,
        recipes.dump(loaded),
        on,
        folders.data_folder(Path(data_dir) if data_dir is not None else None),
        stall_seconds=stall_limit,
        code=folders.code_of(loaded),
        beginning=None if origin is None else folders.find_beginning(home, origin),
    )
    launch.start(folder, queue=False)
    return Training(folder)


def _override(key: str, value: object) -> str:
    """Return a setting as --set has it, so that it is checked as there."""
    try:
        if isinstance(value, Mapping):
            raise TypeError("each of its settings is given by its own key, such as model.args.depth")
        return f"{key}={tomli_w.dumps({'value': value}).partition('=')[2].strip()}"
    except TypeError as error:
        raise UsageError(f"{clean(key, 60)} = {clean(repr(value), 60)}: is no setting: {error}") from None
