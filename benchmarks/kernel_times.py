"""Where the time of a step goes: the kernels that take most of it, and for how much of it the device is busy."""

import time

import torch
from torch.profiler import ProfilerActivity, profile

from benchmarks.table import print_table
from fbmon.train.step import Stepper

_CPU, _CUDA = torch.autograd.DeviceType.CPU, torch.autograd.DeviceType.CUDA  # type: ignore[attr-defined]
_MOST = 12


def print_profile(stepper: Stepper, device: torch.device) -> None:
    """One step under torch's profiler, after two that warm up."""
    is_cuda = device.type == "cuda"
    told = stepper.plan()
    for step in (1, 2):
        stepper.take_step(stepper.plan_step(step))
    with profile(activities=[ProfilerActivity.CPU, *([ProfilerActivity.CUDA] if is_cuda else [])]) as profiled:
        began = time.perf_counter()
        stepper.take_step(stepper.plan_step(3))
        seconds = time.perf_counter() - began
    key, kind = ("self_device_time_total", _CUDA) if is_cuda else ("self_cpu_time_total", _CPU)
    # An operation of the host has the time of its kernels too, and a label that of all kernels under it.
    own = [one for one in profiled.key_averages() if one.device_type == kind and not one.is_user_annotation]
    spent = sorted(((getattr(one, key) / 1e6, one.key, one.count) for one in own), reverse=True)
    total = sum(each for each, *_ in spent)
    print(f"\nA step of {told.images:,} images by {told.device}, {told.precision}: {seconds:.3f} s under the profiler")
    if is_cuda:
        print(f"The device is busy {_busy(profiled) / seconds:.1%} of it; kernels of several lanes overlap.")
    print()
    print_table(
        ["operation", "share", "s", "calls"],
        [[f"`{name[:80]}`", f"{each / total:.1%}", f"{each:.4f}", str(calls)] for each, name, calls in spent[:_MOST]],
    )


def _busy(profiled: profile) -> float:
    """Seconds in which at least one kernel was running."""
    spans = sorted(
        (event.time_range.start, event.time_range.end)
        for event in profiled.events() or []
        if event.device_type == _CUDA and not event.is_user_annotation
    )
    busy, until = 0.0, 0.0
    for start, end in spans:
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy / 1e6
