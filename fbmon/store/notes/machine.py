"""Cautions as a training starts: that it goes on elsewhere, where last bits differ, or longer; that it is slow here."""

from fbmon.events import Machine, TrainingStarted
from fbmon.text import plural


def cautions(before: TrainingStarted | None, started: TrainingStarted) -> list[str]:
    """Say what is new since the last start of a run, and what is slow."""
    there = moved(before.machine, started.machine) if before and before.machine and started.machine else ""
    slow = f"{started.emulation}: float32 is many times as fast" if started.emulation else ""
    random = f"this network is stochastic: {', '.join(started.random_parts)}" if started.random_parts else ""
    code = f"code that is not fbmon's runs here: {started.code}" if started.code else ""
    longer = f"{started.steps:,} steps instead of {before.steps:,}" if before and before.steps != started.steps else ""
    return [caution for caution in (there, longer, slow, code, random) if caution]


def moved(before: Machine, after: Machine) -> str:
    """Say in what the two differ; nothing where they do not."""
    differing = differences(before, after)
    host = f"on {after.host} instead of {before.host}" if before.host and after.host not in ("", before.host) else ""
    if differing:
        return f"last bits will differ: {', '.join([*differing, *([host] if host else [])])}"
    return f"the run continues {host}; as far as is known, the last bits are the same" if host else ""


def differences(before: Machine, after: Machine) -> list[str]:
    """Name what differs of that on which last bits depend; what is unknown of one of them is not compared."""
    pairs = [(before.torch and f"torch {before.torch}", after.torch and f"torch {after.torch}")]
    if before.gpus and after.gpus:
        pairs.append((_named(before.gpus), _named(after.gpus)))
    elif before.gpus or after.gpus:
        pairs.append((_named(before.gpus) or before.processor, _named(after.gpus) or after.processor))
    else:
        pairs += [
            (before.processor, after.processor),
            (before.instructions, after.instructions),
            (_threads(before), _threads(after)),
        ]
    return [f"{new} instead of {old}" for old, new in pairs if old and new and old != new]


def _named(gpus: list[str]) -> str:
    """The kinds of GPUs; how many there are changes no bit."""
    return " and ".join(sorted(set(gpus)))


def _threads(machine: Machine) -> str:
    return plural(machine.threads, "thread") if machine.threads else ""
