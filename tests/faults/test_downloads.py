"""Downloads of a data set: by several runs at once, interrupted, killed, beside damaged files, without locks."""

import errno
import fcntl
import hashlib
import io
import os
import pickle
import signal
import subprocess
import sys
import tarfile
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from io import BufferedIOBase
from pathlib import Path

import numpy as np
import pytest
import torch
from torchvision.datasets import CIFAR10

from fbmon.errors import DataError
from fbmon.events import CommandTaken, Event, PhaseEntered
from fbmon.host.turn import turn
from fbmon.recipe import Data
from fbmon.train.control import Beforehand, Interrupted
from fbmon.train.data.load import load
from tests.serve import ARCHIVE, serving
from tests.shell import DEADLINE, PROMPTLY, Fbmon, last_word, until

CPU = torch.device("cpu")
UNPACKED = "cifar-10-batches-py"
PIECE = 4096


@dataclass
class Server:
    """CIFAR-10 of a few images; `gate` holds the last piece of the archive back until it is set."""

    url: str
    archive: bytes
    md5: str
    files: dict[str, str]  # MD5 by name
    gate: threading.Event = field(default_factory=threading.Event)
    downloads: int = 0

    def patch(self, monkeypatch: pytest.MonkeyPatch) -> None:
        for name, value in self.settings().items():
            monkeypatch.setattr(CIFAR10, name, value)

    def settings(self) -> dict[str, object]:
        listed = [[name, md5] for name, md5 in self.files.items()]
        meta = {**CIFAR10.meta, "md5": dict(listed)["batches.meta"]}
        train = [one for one in listed if one[0].startswith("data")]
        tests = [one for one in listed if one[0].startswith("test")]
        return {"url": self.url, "tgz_md5": self.md5, "meta": meta, "train_list": train, "test_list": tests}


def small_cifar() -> tuple[bytes, dict[str, str]]:
    """An archive, and the MD5 of each file in it."""
    made, files = np.random.default_rng(0), {}
    content = io.BytesIO()
    with tarfile.open(fileobj=content, mode="w:gz") as archive:
        for name in [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch", "batches.meta"]:
            raw = pickle.dumps(
                {"label_names": list("0123456789")}
                if name == "batches.meta"
                else {"data": made.integers(256, size=(8, 3072), dtype=np.uint8), "labels": [*range(8)]}
            )
            files[name] = hashlib.md5(raw).hexdigest()
            entry = tarfile.TarInfo(f"{UNPACKED}/{name}")
            entry.size = len(raw)
            archive.addfile(entry, io.BytesIO(raw))
    return content.getvalue(), files


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)
    archive, files = small_cifar()
    served = Server("", archive, hashlib.md5(archive).hexdigest(), files)

    def send(file: BufferedIOBase) -> None:
        served.downloads += 1
        file.write(archive[:PIECE])
        file.flush()
        served.gate.wait(DEADLINE)
        with suppress(BrokenPipeError, ConnectionResetError):
            file.write(archive[PIECE:])

    with serving(send) as served.url:
        yield served
        served.gate.set()


def images(root: Path, told: list[Event] | None = None) -> int:
    """How many training images `load` finds there."""
    return len(load(Data(dataset="cifar10"), root, CPU, (told if told is not None else []).append).train)


def test_of_many_that_want_it_at_once_one_downloads_and_all_read_it(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.patch(monkeypatch)
    leftover = tmp_path / f".download-{UNPACKED}-killed"
    leftover.mkdir()
    (leftover / ARCHIVE).write_bytes(b"half")
    counts: list[int] = []
    told: list[Event] = []
    threads = [threading.Thread(target=lambda: counts.append(images(tmp_path, told))) for _ in range(4)]
    for thread in threads:
        thread.start()
    until(lambda: server.downloads)
    waits = PhaseEntered("downloading data", "another run does it")
    until(lambda: told.count(waits) == 3)
    server.gate.set()
    for thread in threads:
        thread.join(DEADLINE)
    assert (counts, server.downloads) == ([40] * 4, 1)
    assert [path.name for path in tmp_path.iterdir()] == [UNPACKED]


def test_where_files_cannot_be_locked_there_is_one_download_at_a_time_too(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("fbmon.host.turn.fcntl.flock", refuse)
    test_of_many_that_want_it_at_once_one_downloads_and_all_read_it(server, tmp_path, monkeypatch)


def test_a_turn_whose_owner_is_gone_is_taken_over_and_one_that_is_alive_is_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, waits = tmp_path / ".lock", []
    path.write_text("another-host")  # where locks hold within one host, only its date says that it is alive
    monkeypatch.setattr("fbmon.host.turn._LOST_SECONDS", 1.5)

    def touch() -> None:
        waits.append(time.monotonic())
        if len(waits) < 12:
            os.utime(path)

    with turn(path, touch):
        assert len(waits) > 12
    waits.clear()
    path.write_text("")  # killed, on a file system with locks
    with turn(path, touch):
        pass
    assert waits == []
    assert not path.exists()


def test_a_damaged_folder_is_set_aside_and_a_whole_one_is_never_touched(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.patch(monkeypatch)
    server.gate.set()
    (tmp_path / UNPACKED).mkdir()
    (tmp_path / UNPACKED / "notes").write_text("mine")
    assert images(tmp_path) == 40
    assert (tmp_path / f"{UNPACKED}.damaged-1" / "notes").read_text() == "mine"
    whole = (tmp_path / UNPACKED).stat()
    assert images(tmp_path) == 40
    assert (tmp_path / UNPACKED).stat().st_ino == whole.st_ino
    assert server.downloads == 1


def test_who_is_asked_to_stop_gives_up_within_a_moment_whether_it_downloads_or_waits(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.patch(monkeypatch)
    taken: list[CommandTaken] = [CommandTaken("checkpoint", "a test")]
    told: list[Event] = []

    def interrupted(state: str) -> None:
        beforehand = Beforehand(told.append, lambda: taken.pop(0) if taken else None)
        began = time.monotonic()
        with pytest.raises(Interrupted) as raised:
            load(Data(dataset="cifar10"), tmp_path, CPU, lambda _: None, beforehand.heed)
        assert raised.value.state == state
        assert time.monotonic() - began < PROMPTLY
        assert beforehand.next_command() == CommandTaken("checkpoint", "a test")

    taken.append(CommandTaken("preempt", "SIGTERM"))
    interrupted("preempted")
    assert list(tmp_path.iterdir()) == []
    with (tmp_path / f".{UNPACKED}.lock").open("w") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        taken += [CommandTaken("checkpoint", "a test"), CommandTaken("stop", "SIGINT")]
        interrupted("stopped")
    assert told == [CommandTaken("preempt", "SIGTERM"), CommandTaken("stop", "SIGINT")]


def test_a_run_that_downloads_is_preempted_at_once_and_leaves_nothing(
    server: Server, fbmon: Fbmon, tmp_path: Path
) -> None:
    """As torchvision knows no other address, it is told by a file that Python runs as it starts."""
    (tmp_path / "site").mkdir()
    settings = "".join(f"    CIFAR10.{name} = {value!r}\n" for name, value in server.settings().items())
    (tmp_path / "site" / "sitecustomize.py").write_text(SITE + settings)
    variables = {
        "PYTHONPATH": os.pathsep.join([str(tmp_path / "site"), *filter(None, [os.environ.get("PYTHONPATH")])]),
        "FBMON_DATA": str(tmp_path / "images"),
    }
    small = ("--set", "model.name=mlp", "--set", "model.width=2", "--steps", "1")
    process = fbmon.start("run", "fb_clipped", "--no-ui", *small, **variables)
    until(lambda: server.downloads)
    folder = fbmon.run_folder()
    began = time.monotonic()
    process.send_signal(signal.SIGTERM)
    said, _ = process.communicate(timeout=DEADLINE)
    assert process.returncode == 75, said
    assert time.monotonic() - began < PROMPTLY
    word = last_word(folder)
    assert word is not None
    assert word.reason == "by SIGTERM, before there was anything new to save"
    assert list((tmp_path / "images").iterdir()) == []


SITE = """
import sys
if "fbmon.process.worker" in " ".join(sys.orig_argv):
    from torchvision.datasets import CIFAR10
"""


def test_an_archive_that_is_none_leaves_nothing_and_lets_the_next_one_try(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server.patch(monkeypatch)
    server.gate.set()
    monkeypatch.setattr(CIFAR10, "tgz_md5", "0" * 32)
    with pytest.raises(DataError, match="CIFAR-10 is not in"):
        images(tmp_path)
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(CIFAR10, "tgz_md5", server.md5)
    assert images(tmp_path) == 40


def test_a_killed_process_has_no_turn_any_more(tmp_path: Path) -> None:
    hold = "import sys, time, pathlib; from fbmon.host.turn import turn\n"
    hold += "with turn(pathlib.Path(sys.argv[1]), lambda: None): print(flush=True); time.sleep(600)"
    with subprocess.Popen([sys.executable, "-c", hold, tmp_path / "lock"], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        waits: list[int] = []

        def kill() -> None:
            waits.append(1)
            holder.kill()

        with turn(tmp_path / "lock", kill):
            assert waits
