"""The virtual environments of the matrix, kept from one use to the next."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from tools.matrix.rows import Packages

ROOM = 12 * 2**30  # bytes that an environment may take while it is made, where torch is built for CUDA
PIP_MINUTES = 60
SHOWN = ("torch", "torchvision", "textual", "rich", "typer", "pydantic", "msgspec", "numpy", "mypy", "pytest")


class NotToBeHadError(Exception):
    """Something that a row needs is not on this machine, nor where pip looks."""


class ContradictionError(Exception):
    """What pyproject.toml allows cannot be installed together."""


def prepare(packages: Packages, home: Path, checkout: Path, log: Path) -> Path:
    """Return the Python of an environment with these packages and the checkout; make what is not there yet.

    Raises NotToBeHadError or ContradictionError.
    """
    wanted = requirements(tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8")), packages)
    environment = home / f"{packages.name}-{packages.python}"
    python, stamp = environment / "bin/python", environment / "requirements.txt"
    if not _has(python, stamp, wanted):
        shutil.rmtree(environment, ignore_errors=True)
        if shutil.disk_usage(home).free < ROOM:
            raise NotToBeHadError(f"an environment may take {ROOM >> 30} GB, more than is free in {home}")
        made = subprocess.run(
            [interpreter(packages.python), "-m", "venv", "--without-pip", environment],
            check=False, capture_output=True, text=True,
        )  # fmt: skip
        if made.returncode:
            raise NotToBeHadError(f"Python {packages.python} makes no environment: {_last_line(made.stderr)}")
        _pip(python, log, *wanted)
        _refuse_strangers(python)
        stamp.write_text("\n".join(wanted), encoding="utf-8")
    _pip(python, log, "--no-deps", "--force-reinstall", str(checkout))
    return python


def _refuse_strangers(python: Path) -> None:
    """Raise NotToBeHadError where torch is built for other devices than torchvision, which pip does not see."""
    if subprocess.run([python, "-c", "import torchvision"], check=False, capture_output=True).returncode:
        built = " and ".join(f"{name} {release}" for name, release in versions(python).items() if "torch" in name)
        raise NotToBeHadError(f"{built} as pip finds them are not built for each other")


def requirements(project: Mapping[str, Any], packages: Packages) -> list[str]:
    """Return what pip is asked for: all that pyproject.toml names, also for development, and what is pinned."""
    named = project["project"]["dependencies"] + project["project"]["optional-dependencies"]["dev"]
    return sorted({lowest(one) if packages.lowest else one for one in named}) + list(packages.pins)


def lowest(requirement: str) -> str:
    """Return `name==1.2` of `name>=1.2,<3`: the lower bound of a requirement is a release that exists."""
    return re.sub(r"^([\w.\[\]-]+)>=([\w.]+).*$", r"\1==\2", requirement)


def interpreter(version: str) -> Path:
    """Return a Python of this version; rather one that every user may run."""
    working = [path for path in _candidates(version) if _is_python(path, version)]
    if not working:
        raise NotToBeHadError(f"no Python {version} on PATH, by pyenv or by uv")
    return min(working, key=lambda path: not is_for_all(path))


def is_for_all(path: Path) -> bool:
    """Whether every user may reach a file and read it."""
    real = path.resolve()
    return all(folder.stat().st_mode & 0o001 for folder in real.parents) and bool(real.stat().st_mode & 0o004)


def versions(python: Path) -> dict[str, str]:
    """Return the releases that say most about an environment."""
    code = (
        "import importlib.metadata as m, json, platform\n"
        f"print(json.dumps({{'Python': platform.python_version()}} | {{name: m.version(name) for name in {SHOWN}}}))"
    )
    said: dict[str, str] = json.loads(subprocess.run([python, "-c", code], capture_output=True, check=True).stdout)
    return said


def numpy_features(python: Path) -> str:
    """Return the instructions that this NumPy chooses at run time on this processor, as it wants them named."""
    code = (
        "from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__\n"
        "print(*(name for name in __cpu_dispatch__ if __cpu_features__[name]))"
    )
    return subprocess.run([python, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def _has(python: Path, stamp: Path, wanted: list[str]) -> bool:
    return python.exists() and stamp.exists() and stamp.read_text(encoding="utf-8").splitlines() == wanted


def _candidates(version: str) -> Iterator[Path]:
    for folder in os.get_exec_path():
        yield Path(folder) / f"python{version}"
    yield from sorted(Path("~/.pyenv/versions").expanduser().glob(f"{version}.*/bin/python{version}"), reverse=True)
    if shutil.which("uv"):
        found = subprocess.run(["uv", "python", "find", version], check=False, capture_output=True, text=True)
        yield from map(Path, found.stdout.split("\n")[:1])


def _is_python(path: Path, version: str) -> bool:
    """Whether it runs, can make environments and is of this version; pyenv has shims that do nothing but fail."""
    code = f"import sys, venv; sys.exit('%d.%d' % sys.version_info[:2] != {version!r})"
    return path.is_file() and not subprocess.run([path, "-c", code], check=False, capture_output=True).returncode


def _pip(python: Path, log: Path, *arguments: str) -> None:
    """Install with the pip of this process: the environment needs none, and nothing stays in a cache."""
    command = [sys.executable, "-m", "pip", "--python", str(python), "install", "--no-cache-dir", "--no-input"]
    with log.open("a+", encoding="utf-8") as file:
        begin = file.seek(0, os.SEEK_END)
        code = subprocess.run(
            [*command, "--progress-bar=off", *arguments], check=False,
            stdin=subprocess.DEVNULL, stdout=file, stderr=subprocess.STDOUT, timeout=PIP_MINUTES * 60,
        ).returncode  # fmt: skip
        file.seek(begin)
        said = file.read()
    if "ResolutionImpossible" in said:
        raise ContradictionError(f"pip finds no releases that go together, see {log}")
    if code:
        raise NotToBeHadError(_last_line("\n".join(line for line in said.split("\n") if line.startswith("ERROR"))))


def _last_line(text: str) -> str:
    return (text.strip().splitlines() or ["no reason given"])[-1].removeprefix("ERROR: ")
