"""The answers of torch about this machine: asked in a process of its own, as it takes seconds to load and may fail."""

from collections.abc import Iterator, Mapping
from functools import cached_property
from pathlib import Path

import msgspec

from fbmon.doctor.finding import Finding, judge
from fbmon.errors import FbmonError
from fbmon.host.scratch import with_what_torch_needs
from fbmon.host.worker_process import WorkerProcess
from fbmon.recipe.data_sets import DATA_SETS
from fbmon.text import clean_path, plural

_MODULE = "fbmon.analysis.worker.torch_check"
_SECONDS = 300.0  # to load from a slow disk


class Gpu(msgspec.Struct, frozen=True):
    """A device as CUDA counts it."""

    name: str
    uuid: str  # as the driver writes it: GPU-...
    memory_mib: float
    fault: str = ""  # why it could not multiply two small matrices


class TorchAnswer(msgspec.Struct, frozen=True):
    """The line of JSON that `python -m fbmon.analysis.worker.torch_check` prints."""

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
        self._process = WorkerProcess(_MODULE, str(data_dir), environment=environment, limit=_SECONDS)

    @cached_property
    def answer(self) -> TorchAnswer:
        """Return the answer of torch, or why there is none."""
        with self._process as process:
            try:
                return msgspec.json.decode(process.answer(), type=TorchAnswer)
            except FbmonError as error:
                return TorchAnswer(fault=error.message)
            except ValueError:
                return TorchAnswer(fault="its answer could not be read")

    def about_torch(self) -> Iterator[Finding]:
        """Yield whether torch is installed and works, and whether it supports bfloat16 here."""
        answer = self.answer
        if answer.fault:
            yield Finding("torch", "failure", answer.fault, "install torch as pytorch.org describes")
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
        """Yield which data sets are there."""
        answer, folder = self.answer, clean_path(self._data_dir)
        if answer.fault:
            return
        archives = {name: facts.archive.file for name, facts in DATA_SETS.items() if facts.archive}
        there = ", ".join(
            [
                *(name for name in DATA_SETS if name not in archives),
                *(name for name, is_there in answer.data.items() if is_there),
            ]
        )
        missing = [name for name, is_there in answer.data.items() if not is_there]
        observation = f"{there} in {folder}" if len(missing) < len(answer.data) else f"{there}; nothing in {folder}"
        observation += f"; missing: {', '.join(missing)}" if missing else ""
        needed, file = next(iter(archives.items()))  # the paper's
        advice = f"the first run that needs it downloads it; without a network, put {file} there"
        yield judge("data", observation, advice, is_well=needed not in missing)
