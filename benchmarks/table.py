"""What the tables of the benchmarks share: on which machine, how often, the median and how far it spreads."""

import os
import platform
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version


def machine(*packages: str) -> str:
    """The processor, its cores, and the versions of what matters."""
    from pathlib import Path

    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    amx = ", AMX" if any("amx_bf16" in line for line in lines if line.startswith("flags")) else ""
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    what = models[0] if models else platform.machine()
    return f"{what}{amx}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}, {versions}"


def in_turn(cases: Mapping[str, Callable[[], float]], n: int, warm_ups: int = 1) -> dict[str, list[float]]:
    """What n calls of each case give, taken in turn, so that a busy moment of the machine meets all of them."""
    found: dict[str, list[float]] = {name: [] for name in cases}
    for turn in range(warm_ups + n):
        for name, measure in cases.items():
            value = measure()
            if turn >= warm_ups:
                found[name].append(value)
    return found


def print_table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """As Markdown, each row as soon as it is known."""
    print(f"| {' | '.join(header)} |\n|{'---|' * len(header)}", flush=True)
    for row in rows:
        print(f"| {' | '.join(row)} |", flush=True)


def spread(values: Sequence[float], form: str) -> str:
    """The median, and the least to the most."""
    return f"{statistics.median(values):{form}} | {min(values):{form}} to {max(values):{form}}"
