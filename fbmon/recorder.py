"""What is written down beside a training: telemetry once a second, the summary once a minute."""

import itertools
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from fbmon import summary
from fbmon.disk import log
from fbmon.folder import RunFolder
from fbmon.journal import Journal
from fbmon.telemetry import Sampler
from fbmon.text import clean

_SAMPLE_SECONDS = 1.0
_KEEP_EVERY = 60  # samples
_PATIENCE = 5.0  # seconds, for what is being written when the training ends


@contextmanager
def recorded(folder: RunFolder, devices: Sequence[str], environment: Mapping[str, str]) -> Iterator[None]:
    """Within it the devices of a run are sampled; in a thread, so that a disk that does not answer holds up nobody."""
    over = threading.Event()
    thread = threading.Thread(target=_record, args=(folder, devices, environment, over), daemon=True)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join(_PATIENCE)


def _record(folder: RunFolder, devices: Sequence[str], environment: Mapping[str, str], over: threading.Event) -> None:
    try:
        telemetry = Journal(folder.telemetry, folder.journal)
    except OSError as error:
        log(f"no telemetry: {clean(str(error), 4096)}")
        return
    sampler = Sampler(devices, environment)
    for count in itertools.count(1):
        for sampled in sampler.sample():
            telemetry.append(sampled)
        if count % _KEEP_EVERY == 0:
            summary.read(folder)  # and so kept: of a run that is killed only the last minute is left to read
        if over.wait(_SAMPLE_SECONDS):
            break
    telemetry.close()
