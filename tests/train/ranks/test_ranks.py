"""A pass shared by several processes: gradient, measures and batch-norm statistics are the same bits as of one."""

import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import torch

from fbmon.ranks.heartbeat import Doing
from fbmon.train.ranks.distribute import Ranks
from tests.shell import DEADLINE, environment

RANKS = 4
SCRIPT = """
import sys
from pathlib import Path

import torch
import torch.distributed as dist

from fbmon import recipe
from fbmon.train.data.load import load
from fbmon.train.descent import Descent
from fbmon.train.step_plan import Step, Update
from fbmon.train.data.blocks import batch, blocks
from fbmon.train.ranks.distribute import Ranks
from fbmon.train import evaluate as evaluation
from fbmon.train.ranks import replicas
from fbmon.train.evaluate import evaluate
from fbmon.recipe.data_sets import image_form
from fbmon.train.models import convolution, make_model
from fbmon.train.objective.loss import CrossEntropy
from fbmon.errors import ReplicaError

evaluation._BLOCK = 100  # four blocks, so that no number of ranks has them evenly
rank, home = int(sys.argv[1]), Path(sys.argv[2])
torch.set_num_threads(1)
torch.use_deterministic_algorithms(True)


def steps(ranks, statistics, backwards=False):
    wanted = recipe.load(home / "shared.toml", [f"model.running_statistics={statistics}"])
    convolution._is_faster_side_by_side = lambda *_: statistics == "mean"  # both ways, on any processor
    data = load(wanted.data, None, torch.device("cpu"), lambda _: None)
    torch.manual_seed(0)
    model = make_model(wanted.model, data.form)
    numbers = blocks(len(data.train), wanted.data, wanted.gradient, 0, 1, torch.device("cpu"))
    make_batch = lambda some, step: batch(data, wanted.data, some, 0, step, torch.float32)
    descent = Descent(wanted, model, len(numbers), make_batch, ranks)
    told = []
    for step in (1, 2, 3):
        cut = numbers[::-1] if backwards else numbers
        planned = Step(step, 1.0 if step == 2 else 0.1, cut, False)  # a gradient of another size at step 3
        measures = descent.update_(Update(planned, cut))
        told.append((measures.loss, measures.accuracy, measures.grad_norm, measures.block_square))
    weights = torch.cat([parameter.detach().flatten() for parameter in model.parameters()])
    told.append(evaluate(model, data, CrossEntropy(), lambda done, total: None, ranks))
    return {"told": told, "weights": weights, "buffers": [buffer.clone() for buffer in model.buffers()]}


def not_finite_on_rank_one(ranks):
    # What each rank finds wrong with a step of which rank 1 alone has seen a picture that is not a number.
    wanted = recipe.load(home / "shared.toml")
    data = load(wanted.data, None, torch.device("cpu"), lambda _: None)
    model = make_model(wanted.model, data.form)
    numbers = blocks(len(data.train), wanted.data, wanted.gradient, 0, 1, torch.device("cpu"))

    def made(some, step):
        pictures, labels = batch(data, wanted.data, some, 0, step, torch.float32)
        return (pictures * torch.nan if ranks.rank == 1 else pictures), labels

    update = Update(Step(1, 0.1, numbers, False), numbers)
    _, measures = Descent(wanted, model, len(numbers), made, ranks).gradient(update)
    return measures.not_finite()


def flipped_on_rank_one(ranks):
    # What is said when a bit of the weights of rank 1 is another than on the others.
    torch.manual_seed(0)
    model = make_model(recipe.load(home / "shared.toml").model, image_form(1, 8, 10))
    replicas.compare(model, ranks, 6)
    if ranks.rank == 1:
        next(model.parameters()).data.view(torch.int32)[0, 0, 0, 0] ^= 1
    try:
        replicas.compare(model, ranks, 7)
    except ReplicaError as error:
        return error.message


found = {}
for size in (4, 3, 2):
    if rank < size:
        store = dist.FileStore(str(home / f"store-{size}"), size)
        dist.init_process_group("gloo", store=store, rank=rank, world_size=size)
        for statistics in ("momentum", "mean"):
            found[statistics, size] = steps(Ranks(rank, size), statistics)
        found["not finite", size] = not_finite_on_rank_one(Ranks(rank, size))
        found["flipped", size] = flipped_on_rank_one(Ranks(rank, size))
        found["shared", size] = Ranks(rank, size).share(b"of rank 0" if rank == 0 else b"")
        found["highest", size] = Ranks(rank, size).highest(10 - rank)
        dist.destroy_process_group()
if rank == 3:  # which has the least to do with the others
    for statistics in ("momentum", "mean"):
        found[statistics, 1] = steps(Ranks(), statistics)
        found[statistics, "backwards"] = steps(Ranks(), statistics, backwards=True)
torch.save(found, home / f"found-{rank}.pt")
"""


def test_two_three_and_four_processes_have_the_bits_of_one_and_so_have_the_blocks_in_reverse(
    tiny: Path, tmp_path: Path
) -> None:
    """Over 11 blocks, so that all shards are uneven, with penalties on blocks and on the full gradient."""
    shared = tiny.read_text() + "\n[penalty]\nstrength = 0.5\nacc_strength = 0.1\n"
    (tmp_path / "shared.toml").write_text(
        shared.replace("limit = 64", "limit = 83").replace("val_limit = 32\n", "").replace("block = 32", "block = 8")
    )
    script = tmp_path / "rank.py"
    script.write_text(SCRIPT)
    running = [
        subprocess.Popen(
            [sys.executable, str(script), str(rank), str(tmp_path)],
            stderr=subprocess.PIPE,
            text=True,
            env=environment(tmp_path),
        )
        for rank in range(RANKS)
    ]
    for process in running:
        _, errors = process.communicate(timeout=DEADLINE)
        assert process.returncode == 0, errors
    results = [torch.load(tmp_path / f"found-{rank}.pt") for rank in range(RANKS)]
    for size, said in ((2, "the ranks"), (3, "rank 1"), (4, "rank 1")):
        for found in results[:size]:
            assert found["not finite", size] == results[0]["not finite", size]
            assert {"loss", "grad_norm"} <= set(found["not finite", size])
            assert found["flipped", size] == f"{said} no longer had the weights of the others after step 7"
            assert (found["shared", size], found["highest", size]) == (b"of rank 0", 10)
    for statistics in ("momentum", "mean"):
        alone = results[3][statistics, 1]
        for rank in range(RANKS):
            for size in (2, 3, 4):
                if rank < size:
                    shared_out = results[rank][statistics, size]
                    assert shared_out["told"] == alone["told"]
                    assert torch.equal(shared_out["weights"], alone["weights"])
                    assert all(map(torch.equal, shared_out["buffers"], alone["buffers"]))
        backwards = results[3][statistics, "backwards"]
        assert backwards["told"][:3] == alone["told"][:3]
        assert torch.equal(backwards["weights"], alone["weights"])


def test_a_rank_is_preparing_until_its_first_block_has_ended_so_that_its_time_is_not_taken_for_a_stall() -> None:
    told: list[Doing] = []
    ranks = Ranks(1, 2, told.append)
    assert [mine for _, mine in ranks.rounds(5)] == [1, 3, None]
    with suppress(OSError), ranks.away():
        raise OSError("a disk that fails")
    assert told == [Doing.PREPARING, Doing.COMPUTING, Doing.COMPUTING, Doing.AWAY, Doing.COMPUTING]
