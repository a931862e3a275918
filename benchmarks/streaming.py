"""The speed of data that stay on the disk, of that of data in memory: `python -m benchmarks.streaming`.

Steps of one process, in turn: with all images in memory, streamed from a file that the system keeps in its cache, and
streamed from a file that it has been told to forget before each step, so that all of it comes from the disk.
"""

import argparse
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.table import in_turn, machine, print_table, spread

IMAGES = 8192
RECIPE = """\
name = "streaming"
steps = 1000000
[data]
dataset = "images.npz"
val_share = 0.01
[model]
name = "resnet8"
[gradient]
block = 512
[optimizer]
name = "sgd"
lr = 0.01
[schedule]
name = "constant"
"""
NETWORKS = {
    "ResNet-8 of width 16": ["model.width=16"],
    "ResNet-8 of width 4": ["model.width=4"],
    "the same, in a new order each step": ["model.width=4", "gradient.order=shuffled"],
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-n", type=int, default=5, help="steps of each")
    n = parser.parse_args().n
    with tempfile.TemporaryDirectory(dir=Path.cwd()) as home:  # a folder for temporary files may lie in memory
        (Path(home) / "streaming.toml").write_text(RECIPE)
        _write_images(Path(home) / "images.npz")
        rows = [row for name, settings in NETWORKS.items() for row in _rows(name, settings, Path(home), n)]
    print(f"{machine('torch')}; {IMAGES:,} random images of 3x32x32 in blocks of 512; n = {n} steps of each, in turn\n")
    print_table(["network", "images", "s a step, median", "spread", "speed of that in memory, paired"], rows)


def _write_images(file: Path) -> None:
    import numpy as np

    made = np.random.default_rng(0)
    np.savez(file, x=made.integers(0, 256, (IMAGES, 3, 32, 32), dtype=np.uint8), y=made.integers(0, 10, IMAGES))
    with file.open("rb") as written:
        os.fsync(written.fileno())


def _rows(name: str, settings: list[str], home: Path, n: int) -> list[list[str]]:
    memory, cache, disk = (_step(home, settings, stream=stream) for stream in (False, True, True))

    def from_disk() -> float:
        with (home / "images.npz").open("rb") as file:
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return disk()

    found = in_turn({"in memory": memory, "from the cache": cache, "from the disk": from_disk}, n, warm_ups=1)
    rows = []
    for where, seconds in found.items():
        ratios = [base / taken for base, taken in zip(found["in memory"], seconds, strict=True)]
        paired = f"{statistics.median(ratios):.3f} ({min(ratios):.3f} to {max(ratios):.3f})"
        rows.append([name, where, *spread(seconds, ".3f").split(" | "), paired])
    return rows


def _step(home: Path, settings: list[str], *, stream: bool) -> Callable[[], float]:
    """Return what takes a step and returns its seconds."""
    import torch

    from fbmon import recipe as recipes
    from fbmon.train.data.load import load
    from fbmon.train.models import make_model
    from fbmon.train.step import Stepper

    torch.set_num_threads(1)
    wanted = recipes.load(home / "streaming.toml", [*settings, f"data.stream={str(stream).lower()}"])
    data = load(wanted.data, None, torch.device("cpu"), lambda _: None)
    stepper = Stepper(wanted, data, make_model(wanted.model, data.form), lambda _: None, lambda: None)

    def take() -> float:
        began = time.perf_counter()
        stepper.take_step(stepper.plan_step(stepper.step + 1))
        return time.perf_counter() - began

    return take


if __name__ == "__main__":
    main()
