"""All questions, in the order of their answers: torch is asked first and answers last."""

import platform
from collections.abc import Iterator, Mapping
from pathlib import Path

import fbmon
from fbmon.doctor.finding import Finding
from fbmon.doctor.gpus import examine_gpus
from fbmon.doctor.login import examine_login
from fbmon.doctor.loopback import examine_loopback
from fbmon.doctor.memory import examine_memory, examine_shared_memory
from fbmon.doctor.processor import examine_processor
from fbmon.doctor.storage import examine_storage, examine_temporary_folder
from fbmon.doctor.terminal import examine_terminal
from fbmon.doctor.torch import TorchQuestion


def examine(
    runs_dir: Path, data_dir: Path, environment: Mapping[str, str], root: Path = Path("/")
) -> Iterator[Finding]:
    """Yield each finding as soon as it is known; `root` is where the system's own files lie."""
    question = TorchQuestion(data_dir, environment)  # torch loads while the rest is looked at
    system = f"Python {platform.python_version()} on {platform.system()} {platform.release()}, {platform.machine()}"
    yield Finding("fbmon", "ok", f"{fbmon.__version__}, {system}")
    yield examine_terminal(environment)
    yield examine_login(root)
    yield examine_processor(root, environment)
    yield examine_memory(root)
    yield examine_shared_memory(root)
    yield examine_loopback()
    yield examine_temporary_folder()
    yield from examine_storage(runs_dir)
    yield from question.about_torch()
    yield from examine_gpus(question.answer, environment)
    yield from question.about_data()
