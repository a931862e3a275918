"""A run's folder: what lies where and how the run is spoken to, how a new one is made, which ones there are."""

from fbmon.folder.inside import Asked, RunFolder
from fbmon.folder.life import SILENCE_SECONDS, Guard, Holder, Life, Look
from fbmon.folder.meta import Meta, as_path, written
from fbmon.folder.new import create, renew, unmade_on_failure, user_name
from fbmon.folder.place import usual
from fbmon.folder.runs import every, find, is_run, of_job, running, unknown

__all__ = [
    "SILENCE_SECONDS",
    "Asked",
    "Guard",
    "Holder",
    "Life",
    "Look",
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
    "unmade_on_failure",
    "user_name",
    "usual",
    "written",
]
