"""The answers of torch about this machine: asked in a process of its own, as it takes seconds to load and may fail."""

import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from fbmon.doctor.finding import Finding, judge
from fbmon.host.scratch import with_what_torch_needs
from fbmon.text import clean, clean_path, plural

_SECONDS = 300.0  # to load from a slow disk


class Gpu(msgspec.Struct, frozen=True):
    """A device as CUDA counts it."""

    name: str
    uuid: str  # as the driver writes it: GPU-...
    memory_mib: float
    fault: str = ""  # why it could not multiply two small matrices


class Answer(msgspec.Struct, frozen=True):
    """The line of JSON that `python -m fbmon.analysis.worker.machine` prints."""

    version: str = ""
    cuda: str = ""  # the version that torch was built for; empty: for the CPU only
    threads: int = 0
    gpus: list[Gpu] = []
    has_nccl: bool = False
    data: dict[str, bool] = {}  # which data sets are there, every file with its checksum
    emulation: str = ""  # what is to be said of a device without instructions for bfloat16
    fault: str = ""  # why torch could not be asked


class TorchQuestion:
    """A question to torch, put at once in a process of its own; reading the answer waits for it."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str]) -> None:
        self._data_dir = data_dir
        # CUDA counts as the training will count.
        environment = {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", **with_what_torch_needs(environment)}
        command = [sys.executable, "-m", "fbmon.analysis.worker.machine", str(data_dir)]
        self._process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment
        )

    @cached_property
    def answer(self) -> Answer:
        """Return what torch says, or why it says nothing."""
        try:
            said, errors = self._process.communicate(timeout=_SECONDS)
            return msgspec.json.decode(said.splitlines()[-1], type=Answer)
        except subprocess.TimeoutExpired:
            self._process.kill()
            return Answer(fault=f"no answer within {_SECONDS:.0f} s")
        except (IndexError, ValueError):
            lines = errors.decode(errors="replace").strip().splitlines()
            return Answer(fault=lines[-1] if lines else f"exit code {self._process.returncode}")

    def about_torch(self) -> Iterator[Finding]:
        """Find whether torch is there and works."""
        answer = self.answer
        if answer.fault:
            yield Finding("torch", "failure", clean(answer.fault, 400), "install torch as pytorch.org describes")
            return
        built = f"CUDA {answer.cuda}" if answer.cuda else "the CPU only"
        yield Finding("torch", "ok", f"{answer.version}, built for {built}, {plural(answer.threads, 'thread')}")
        advice = "train in float32, which is many times as fast here"
        yield judge(
            "bfloat16",
            answer.emulation.removeprefix("bfloat16 is ") or "supported by this hardware",
            advice,
            is_well=not answer.emulation,
        )

    def about_data(self) -> Iterator[Finding]:
        """Find which data sets are there."""
        answer, folder = self.answer, clean_path(self._data_dir)
        if answer.fault:
            return
        there = ", ".join(["digits", *(name for name, is_there in answer.data.items() if is_there)])
        missing = [name for name, is_there in answer.data.items() if not is_there]
        observation = f"{there} in {folder}" if len(missing) < len(answer.data) else f"{there}; nothing in {folder}"
        observation += f"; missing: {', '.join(missing)}" if missing else ""
        advice = "the first run that needs it downloads it; without a network, put cifar-10-python.tar.gz there"
        yield judge("data", observation, advice, is_well="cifar10" not in missing)
