"""The answers about a run's minimum in its folder: a file for each setting, one checksummed line for each answer.

A probe is answered once. A line that a kill has torn is skipped, and its probe asked again.
"""

import os
import zlib
from contextlib import suppress

import msgspec

from fbmon.analysis.asked import Answer, Probe, Setting
from fbmon.errors import FbmonError, UsageError
from fbmon.run import RunFolder
from fbmon.run.checkpoints import steps
from fbmon.run.journal import is_sealed, seal_json
from fbmon.text import clean, clean_path

FOLDER = "analysis"

_ENCODER = msgspec.json.Encoder()
_ANSWER = msgspec.json.Decoder(Answer)


class Record:
    """The answers of one run in one setting; whoever appends is its only writer."""

    def __init__(self, folder: RunFolder, setting: Setting) -> None:
        self.folder = folder
        self.setting = setting
        digest = zlib.crc32(_ENCODER.encode(setting))
        self.path = folder.path / FOLDER / f"minimum-{setting.step:08d}-{digest:08x}.jsonl"

    def read(self) -> dict[Probe, dict[str, float | None]]:
        """Return the answers so far; empty if there are none yet."""
        try:
            lines = self.path.read_bytes().split(b"\n")
        except OSError:
            return {}
        answers = [answer for line in lines[1:] if (answer := _answer(line))]
        return {answer.probe: answer.values for answer in answers}

    def append(self, answer: Answer) -> None:
        """Append an answer as one line. Raises FbmonError if the file cannot be written."""
        try:
            self.path.parent.mkdir(mode=0o700, exist_ok=True)
            file = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW, 0o600)
            try:
                os.write(file, self._beginning(file) + seal_json(_ENCODER.encode(answer)))
            finally:
                os.close(file)
        except OSError as error:
            raise FbmonError(f"{clean_path(self.path)}: cannot be written: {error.strerror}") from None

    def _beginning(self, file: int) -> bytes:
        """Return the setting's line for a new file, a newline if a kill has torn the last line, else nothing."""
        size = os.fstat(file).st_size
        if not size:
            return seal_json(_ENCODER.encode(self.setting))
        return b"" if os.pread(file, 1, size - 1) == b"\n" else b"\n"


def records(folder: RunFolder) -> list[Record]:
    """Return the readable records of a run, one for each setting."""
    valid = []
    for path in sorted((folder.path / FOLDER).glob("minimum-*.jsonl")):
        with suppress(OSError, ValueError):  # msgspec's errors are ValueErrors
            line = path.read_bytes().partition(b"\n")[0]
            record = Record(folder, msgspec.json.decode(line, type=Setting))
            if is_sealed(line) and record.path == path:
                valid.append(record)
    return valid


def checkpoint(folder: RunFolder, step: int) -> int:
    """Return `step`, or the step counted from the end if negative. Raises UsageError if its checkpoint is not kept."""
    there, name = steps(folder.checkpoints), clean(folder.name)
    if not there:
        raise UsageError(f"{name} has no checkpoint", "a run saves one after a minute and when it ends")
    if step < 0 and -step <= len(there):
        return there[step]
    if step not in there:
        hint = "checkpoint.every and checkpoint.keep make a run keep more"
        raise UsageError(f"{name} has no checkpoint of step {step}, but of {', '.join(map(str, there))}", hint)
    return step


def _answer(line: bytes) -> Answer | None:
    if not is_sealed(line):
        return None
    with suppress(ValueError, RecursionError):
        return _ANSWER.decode(line)
    return None
