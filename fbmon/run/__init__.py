"""A run on a disk: its folder and what lies in it, its journal, how it is made and found, whether it is trained."""

from fbmon.host.paths import as_path, written
from fbmon.run.code import code_of, digests, refuse_changed
from fbmon.run.creation import create, create_tracked, renew, unmade_on_failure, user_name
from fbmon.run.discovery import every, find, is_run, of_job, running, unknown
from fbmon.run.folder import RunFolder
from fbmon.run.life import SILENCE_SECONDS, Guard, Holder, Life, Look
from fbmon.run.meta import Meta
from fbmon.run.origin import find_beginning, read_origin
from fbmon.run.place import data_folder, usual

__all__ = [
    "SILENCE_SECONDS",
    "Guard",
    "Holder",
    "Life",
    "Look",
    "Meta",
    "RunFolder",
    "as_path",
    "code_of",
    "create",
    "create_tracked",
    "data_folder",
    "digests",
    "every",
    "find",
    "find_beginning",
    "is_run",
    "of_job",
    "read_origin",
    "refuse_changed",
    "renew",
    "running",
    "unknown",
    "unmade_on_failure",
    "user_name",
    "usual",
    "written",
]
