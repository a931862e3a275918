"""A gate before torch: a test that needs the time in which it is imported takes as much of it as it wants."""

import os
from pathlib import Path

# Found before the real torch: waits, then makes room for that.
WAITING = """\
import importlib, sys, time
from pathlib import Path

here = Path(__file__).parents[1]
while not (here / "open").exists():
    time.sleep(0.01)
sys.path.remove(str(here))
del sys.modules["torch"]
importlib.import_module("torch")
"""


class Gate:
    """Whatever is started with its `variables` waits where it imports torch until somebody calls `open`."""

    def __init__(self, home: Path) -> None:
        self._home = home
        (home / "torch").mkdir(parents=True)
        (home / "torch/__init__.py").write_text(WAITING)

    @property
    def variables(self) -> dict[str, str]:
        known = os.environ.get("PYTHONPATH")
        return {"PYTHONPATH": os.pathsep.join(filter(None, [str(self._home), known]))}

    def open(self) -> None:
        (self._home / "open").touch()
