"""The process group of the ranks: entered by a file on one machine, by an address on many, left when all is done."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import torch
import torch.distributed as dist

from fbmon.crew.seat import Seat
from fbmon.errors import RankLostError
from fbmon.train.distribute import Ranks, Tell

_FOR_EVER = timedelta(days=365)  # where a supervisor looks after ranks that are stuck


@contextmanager
def joined(seat: Seat, device: str, tell: Tell, patience: float | None) -> Iterator[tuple[Ranks, str]]:
    """This process among the other ranks, and the device that is its own.

    `patience` is how many seconds to wait for the others at most. Raises RankLostError if they are not to be had.
    """
    own = _own_device(seat, device)
    if seat.size == 1:
        yield Ranks(0, 1, tell), own
        return
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    timeout = timedelta(seconds=patience) if patience else _FOR_EVER
    try:
        _enter(seat, "cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo", timeout)
        yield Ranks(seat.rank, seat.size, tell), own
    except dist.DistError as error:
        reason = " ".join(str(error).split())[:300]
        raise RankLostError(f"rank {seat.rank} has lost the others: {reason}") from None
    dist.destroy_process_group()


def _enter(seat: Seat, backend: str, timeout: timedelta) -> None:
    if not seat.engine:
        store = _own_store(seat, timeout)
        dist.init_process_group(backend, store=store, rank=seat.rank, world_size=seat.size, timeout=timeout)
        return
    if seat.engine == "srun":  # torchrun sets these itself
        host, _, port = seat.address.rpartition(":")
        os.environ.update(MASTER_ADDR=host, MASTER_PORT=port)
    dist.init_process_group(backend, rank=seat.rank, world_size=seat.size, timeout=timeout)


def _own_store(seat: Seat, timeout: timedelta) -> torch._C._distributed_c10d.Store:
    """Where the ranks of one machine find each other: a file, or a port at which the first rank listens already."""
    if seat.store:
        return torch._C._distributed_c10d.FileStore(str(seat.store), seat.size)
    host, _, port = seat.address.rpartition(":")
    is_first = seat.listener is not None
    # Given no socket it would listen on every interface.
    return torch._C._distributed_c10d.TCPStore(
        host, int(port), seat.size, is_first, timeout, master_listen_fd=seat.listener
    )


def _own_device(seat: Seat, device: str) -> str:
    """The name of this rank's device; in the job of another engine the ranks of a machine share its GPUs."""
    if not seat.engine or device == "cpu" or not torch.cuda.is_available():
        return "cpu" if device.startswith("cpu") else device
    return f"cuda:{seat.local_rank % torch.cuda.device_count()}"
