"""The process group of the ranks: entered by a file on one machine, by an address on many, left when all is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore, Store, TCPStore

from fbmon.errors import RankLostError
from fbmon.ranks.exit_reason import ORDINARY
from fbmon.ranks.heartbeat import Doing
from fbmon.ranks.rank import Seat
from fbmon.train.ranks.distribute import Ranks, Tell
from fbmon.train.ranks.meet import Waiting, meet, store_of_job

_FOR_EVER = timedelta(days=365)  # where a supervisor looks after ranks that are stuck
_LAST_SAVE = timedelta(hours=24)  # a disk may be slow or full; when rank 0 dies the others notice
_GOODBYE_SECONDS = 5.0  # for the others to hear rank 0's exit code: the store may end with rank 0
_CODE, _GONE = "fbmon/exit code", "fbmon/gone"  # keys of the store


def join(seat: Seat, device: str, tell: Tell, waiting: Waiting) -> tuple[Ranks, str]:
    """Join the other ranks; return the ranks and the name of this rank's device.

    Raises RankLostError if they cannot be reached, FbmonError if the ranks met are those of another job.
    """
    own = _own_device(seat, device)
    if seat.size == 1:
        return Ranks(0, 1, tell), own
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    with naming_the_lost(seat.rank):
        _enter(seat, "cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo", waiting)
    return Ranks(seat.rank, seat.size, tell), own


def leave_together(ranks: Ranks, code: int) -> int:
    """Wait for rank 0 to finish all its work, the saving above all; return its exit code.

    To be called by each rank when it has nothing more to do. A launcher may kill all ranks as soon as one of them has
    left: none may be gone before the state is saved and the last event is written. A rank whose own `code` is that of
    an accident does not wait: the others do not reach this line. Raises RankLostError if rank 0 is gone before that.
    """
    if ranks.size == 1:
        return code
    store = dist.distributed_c10d._get_default_store()
    if ranks.is_first:
        with suppress(RuntimeError):  # the store of an agent that is gone
            store.set(_CODE, str(int(code)))
            _hear_goodbyes(store, ranks.size - 1 if code in ORDINARY else 0)
    elif code in ORDINARY:
        ranks.tell(Doing.WAITING)
        with naming_the_lost(ranks.rank):
            store.wait([_CODE], _LAST_SAVE)
            code = int(store.get(_CODE))
            store.add(_GONE, 1)
    if code in ORDINARY:
        dist.destroy_process_group()
    return code


@contextmanager
def naming_the_lost(rank: int) -> Iterator[None]:
    """Turn errors of torch's own connections into RankLostErrors."""
    try:
        yield
    except dist.DistError as error:
        reason = " ".join(str(error).split())[:300]
        raise RankLostError(f"rank {rank} has lost the others: {reason}") from None


def _hear_goodbyes(store: Store, expected: int) -> None:
    deadline = time.monotonic() + _GOODBYE_SECONDS
    while store.add(_GONE, 0) < expected and time.monotonic() < deadline:
        time.sleep(0.01)


def _enter(seat: Seat, backend: str, waiting: Waiting) -> None:
    timeout = timedelta(seconds=waiting.patience) if waiting.patience else _FOR_EVER
    store = store_of_job(seat, waiting) if seat.engine else _own_store(seat, timeout)
    meet(seat, store, waiting)
    dist.init_process_group(backend, store=store, rank=seat.rank, world_size=seat.size, timeout=timeout)


def _own_store(seat: Seat, timeout: timedelta) -> Store:
    """Open the store of the ranks of one machine: a file, or a port at which the first rank listens already."""
    if seat.store:
        return FileStore(str(seat.store), seat.size)
    host, _, port = seat.address.rpartition(":")
    is_first = seat.listener is not None
    # Without a socket given it would listen on every interface.
    return TCPStore(
        host, int(port), seat.size, is_first, timeout, wait_for_workers=False, master_listen_fd=seat.listener
    )


def _own_device(seat: Seat, device: str) -> str:
    """Return the name of this rank's device; in the job of another engine the ranks of a machine share its GPUs."""
    if not seat.engine or device == "cpu" or not torch.cuda.is_available():
        return "cpu" if device.startswith("cpu") else device
    return f"cuda:{seat.local_rank % torch.cuda.device_count()}"
