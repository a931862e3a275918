"""A run's folder: what lies where and how the run is spoken to, how a new one is made, which ones there are."""

from fbmon.folder.inside import Asked, RunFolder
from fbmon.folder.meta import Meta, as_path, written
from fbmon.folder.new import create, renew, user_name
from fbmon.folder.place import usual
from fbmon.folder.runs import every, find, is_run, of_job, running, unknown

__all__ = [
    "Asked",
    "Meta",
    "RunFolder",
    "as_path",
    "create",
    "every",
    "find",
    "is_run",
    "of_job",
    "renew",
    "running",
    "unknown",
    "user_name",
    "usual",
    "written",
]
