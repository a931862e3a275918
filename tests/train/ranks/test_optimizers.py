"""Whatever the optimizer, two and three ranks end with the bits of one: weights and all that it remembers."""

import subprocess
import sys
from pathlib import Path

from tests.shell import DEADLINE, environment

SCRIPT = """
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from fbmon import recipe
from fbmon.train.loop import train
from fbmon.train.ranks.distribute import Ranks

rank, home = int(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
for size in (3, 1 if rank == 2 else 2):
    number = 0 if size == 1 else rank
    store = dist.FileStore(str(home / f"store-{size}"), size)
    dist.init_process_group("gloo", store=store, rank=number, world_size=size)
    for path in sorted(home.glob("*.toml")):
        checkpoints = home / f"{path.stem}-{size}"
        train(recipe.load(path), "cpu", None, checkpoints, lambda _: None, lambda: None, ranks=Ranks(number, size))
    dist.destroy_process_group()
"""
RECIPE = """
name = "shared"
steps = 3
data = {dataset = "digits", limit = 56, val_limit = 16}
model = {name = "resnet8", width = 2}
gradient = {block = 16}
schedule = {name = "constant"}
"""
CASES = {
    "gd": 'optimizer = {name = "gd", lr = 8.0}',
    "lbfgs": 'optimizer = {name = "lbfgs"}',
    "muon": 'optimizer = {name = "muon", lr = 0.02}',
    "soap": 'optimizer = {name = "pytorch_optimizer:SOAP", lr = 1e-2, args = {precondition_frequency = 1}}',
    "shampoo": 'optimizer = {name = "pytorch_optimizer:Shampoo", lr = 0.1, args = {momentum = 0.9}}',
    "sam": 'optimizer = {name = "sgd", lr = 0.1}\npenalty = {name = "sam", ascent = "full"}',
}


def test_two_and_three_ranks_have_the_bits_of_one_with_every_optimizer_of_its_own_kind(tmp_path: Path) -> None:
    for name, lines in CASES.items():
        (tmp_path / f"{name}.toml").write_text(RECIPE + lines)
    script = tmp_path / "rank.py"
    script.write_text(SCRIPT)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path),
        )
        for rank in range(3)
    ]
    for process in running:
        _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, errors
    for name in CASES:
        one, *others = (
            (tmp_path / f"{name}-{size}" / "step-00000003" / "tensors.safetensors").read_bytes() for size in (1, 2, 3)
        )
        assert others == [one, one], name
