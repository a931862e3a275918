"""The GPUs: those that the driver knows, those that CUDA sees, and whether the two mean the same ones."""

from collections.abc import Iterator, Mapping
from contextlib import suppress

import msgspec

from fbmon.doctor.finding import Finding
from fbmon.doctor.torch import Gpu, TorchAnswer
from fbmon.ranks.gpus import Nvml, driver, open_all, visible_gpus
from fbmon.text import clean, plural

_NO_GPU = "none: training runs on the CPU"


class DriverAnswer(msgspec.Struct, frozen=True):
    """The driver's answer: its version, and the UUIDs of all GPUs in PCI order."""

    version: str = ""
    uuids: list[str] = []
    fault: str = ""


def examine_gpus(answer: TorchAnswer, environment: Mapping[str, str], nvml: Nvml | None = None) -> Iterator[Finding]:
    """Yield one finding for the driver and one for each GPU that will train."""
    driver_answer = _ask(nvml or driver())
    if not driver_answer.uuids:
        yield Finding("GPUs", "ok", _NO_GPU + (f" ({clean(driver_answer.fault)})" if driver_answer.fault else ""))
        return
    count = plural(len(driver_answer.uuids), "GPU")
    if answer.gpus:
        seen = f"driver {clean(driver_answer.version)} knows {count}, CUDA sees {len(answer.gpus)}"
        yield Finding("GPUs", "ok", seen)
    elif not answer.fault:
        yield _unseen(count, answer, environment)
    driver_ids = visible_gpus(environment, driver_answer.uuids)
    for number, gpu in enumerate(answer.gpus):
        yield _examine(number, gpu, driver_ids[number] if number < len(driver_ids) else None, driver_answer.uuids)
    if len(answer.gpus) > 1 and not answer.has_nccl:
        yield Finding(
            "NCCL", "warning", "missing from this torch", "install a torch with NCCL, or train with --devices 0"
        )


def _unseen(count: str, answer: TorchAnswer, environment: Mapping[str, str]) -> Finding:
    if not answer.cuda:
        advice = "install a torch that is built for CUDA, as pytorch.org describes"
        return Finding("GPUs", "warning", f"the driver knows {count}, but this torch is built for the CPU only", advice)
    hidden = environment.get("CUDA_VISIBLE_DEVICES")
    if hidden is not None:
        observation = (
            f"the driver knows {count}, but CUDA_VISIBLE_DEVICES={clean(hidden)!r} hides them: training runs on the CPU"
        )
        return Finding("GPUs", "warning", observation, "`unset CUDA_VISIBLE_DEVICES`, or list GPUs that exist")
    observation = f"the driver knows {count}, but CUDA {answer.cuda} sees none: training runs on the CPU"
    return Finding(
        "GPUs",
        "warning",
        observation,
        "the driver may be older than torch's CUDA: update it, or install an older build of torch",
    )


def _examine(number: int, gpu: Gpu, driver_id: int | str | None, uuids: list[str]) -> Finding:
    name = f"cuda:{number}"
    model = f"{clean(gpu.name)}, {gpu.memory_mib / 1024:,.0f} GiB"
    if gpu.fault:
        return Finding(
            name, "failure", f"{model}: {clean(gpu.fault, 400)}", "train on others, for example with --devices 1,2"
        )
    if isinstance(driver_id, str):
        return Finding(name, "ok", f"{model}, the slice {clean(driver_id)}")
    uuid = uuids[driver_id] if driver_id is not None else ""
    if uuid.removeprefix("GPU-") != gpu.uuid.removeprefix("GPU-"):
        advice = "`unset CUDA_DEVICE_ORDER`: telemetry follows the order of the PCI bus"
        return Finding(name, "warning", f"{model}: not the GPU whose utilization would be shown", advice)
    return Finding(name, "ok", f"{model}, the driver's gpu {driver_id}")


def _ask(nvml: Nvml) -> DriverAnswer:
    try:
        uuids = [nvml.nvmlDeviceGetUUID(handle) for handle in open_all(nvml)]
    except nvml.NVMLError as error:
        return DriverAnswer(fault=str(error))
    version = ""
    with suppress(nvml.NVMLError):
        version = nvml.nvmlSystemGetDriverVersion()
    return DriverAnswer(version, uuids)
