"""The GPUs: those that the driver knows, those that CUDA sees, and whether the two mean the same ones."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec

from fbmon.doctor.finding import Finding
from fbmon.doctor.torch import Answer, Gpu
from fbmon.ranks.gpus import Nvml, driver, open_all, visible_gpus
from fbmon.text import clean, plural

_NO_GPU = "none: training runs on the CPU"


class Known(msgspec.Struct, frozen=True):
    """The driver's answer: its version, and the UUIDs of all GPUs in PCI order."""

    version: str = ""
    uuids: list[str] = []
    fault: str = ""


def examine_gpus(answer: Answer, environment: Mapping[str, str], nvml: Nvml | None = None) -> Iterator[Finding]:
    """One finding for the driver, one for each GPU that will train."""
    known = _ask(nvml or driver())
    if not known.uuids:
        found = f"{_NO_GPU} ({clean(known.fault)})" if known.fault else _NO_GPU
        yield Finding("GPUs", "ok", found)
        return
    count = plural(len(known.uuids), "GPU")
    if answer.gpus:
        yield Finding("GPUs", "ok", f"driver {clean(known.version)} knows {count}, CUDA sees {len(answer.gpus)}")
    elif not answer.fault:
        yield _unseen(count, answer, environment)
    places = visible_gpus(environment, known.uuids)
    for number, gpu in enumerate(answer.gpus):
        yield _examine(number, gpu, places[number] if number < len(places) else None, known.uuids)
    if len(answer.gpus) > 1 and not answer.has_nccl:
        yield Finding("NCCL", "warning", "not in this torch", "install a torch with NCCL, or train with --devices 0")


def _unseen(count: str, answer: Answer, environment: Mapping[str, str]) -> Finding:
    if not answer.cuda:
        advice = "install a torch that is built for CUDA, as pytorch.org describes"
        return Finding("GPUs", "warning", f"the driver knows {count}, but this torch is built for the CPU only", advice)
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        found = (
            f"the driver knows {count}, but CUDA_VISIBLE_DEVICES={clean(hidden)!r} hides them: training runs on the CPU"
        )
        return Finding("GPUs", "warning", found, "`unset CUDA_VISIBLE_DEVICES`, or list GPUs that exist")
    found = f"the driver knows {count}, but CUDA {answer.cuda} sees none: training runs on the CPU"
    return Finding(
        "GPUs", "warning", found, "often the driver is older than torch's CUDA: update it, or take an older build"
    )


def _examine(number: int, gpu: Gpu, place: int | str | None, uuids: list[str]) -> Finding:
    name = f"cuda:{number}"
    found = f"{clean(gpu.name)}, {gpu.memory_mib / 1024:,.0f} GiB"
    if gpu.fault:
        return Finding(name, "failure", f"{found}: {clean(gpu.fault, 400)}", "train on others, as by --devices 1,2")
    if isinstance(place, str):
        return Finding(name, "ok", f"{found}, the slice {clean(place)}")
    meant = uuids[place] if place is not None else ""
    if meant.removeprefix("GPU-") != gpu.uuid.removeprefix("GPU-"):
        advice = "`unset CUDA_DEVICE_ORDER`: telemetry follows the order of the PCI bus"
        return Finding(name, "warning", f"{found}: not the one whose utilization would be shown", advice)
    return Finding(name, "ok", f"{found}, the driver's gpu {place}")


def _ask(nvml: Nvml) -> Known:
    try:
        uuids = [nvml.nvmlDeviceGetUUID(handle) for handle in open_all(nvml)]
    except nvml.NVMLError as error:
        return Known(fault=str(error))
    version = ""
    with suppress(nvml.NVMLError):
        version = nvml.nvmlSystemGetDriverVersion()
    return Known(version, uuids)
