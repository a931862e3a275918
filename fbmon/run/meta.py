"""The note of a run as it is started, and paths as JSON holds them."""

import os
from pathlib import Path
from urllib.parse import unquote_to_bytes

import msgspec

from fbmon.text import as_utf8


class Meta(msgspec.Struct, frozen=True):
    """meta.json: where, when, by what and on what a run was started. Paths are as `written` has them."""

    name: str
    created: str  # ISO 8601, UTC
    host: str
    user: str
    command: list[str]
    directory: str
    recipe_file: str
    devices: str  # as asked: "auto", "cpu", "cuda:0"
    data_dir: str | None
    versions: dict[str, str]
    git: str  # commit of the directory, with "+" when it had changes; empty outside a repository
    job: str = ""  # the batch job that started it
    stall_seconds: float | None = None  # given up after so long without a sign


def written(path: Path) -> str:
    """A path for a JSON file: its text, or a URI where its name is not UTF-8; `as_path` reads both."""
    return str(path) if as_utf8(str(path)) == str(path) else path.absolute().as_uri()


def as_path(text: str) -> Path:
    """The path that was `written`."""
    if text.startswith("file:///"):
        return Path(os.fsdecode(unquote_to_bytes(text.removeprefix("file://"))))
    return Path(text)
