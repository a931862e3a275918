"""The process group of the ranks: entered by a file on one machine, by an address on many, left when all is done."""

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import timedelta

import torch
import torch.distributed as dist
from torch._C._distributed_c10d import FileStore, Store, TCPStore

from fbmon.errors import RankLostError
from fbmon.host.paths import as_path
from fbmon.ranks.exit_reason import ORDINARY
from fbmon.ranks.heartbeat import Doing
from fbmon.ranks.rank import Rank
from fbmon.train.ranks.distribute import Ranks, Tell
from fbmon.train.ranks.meet import Waiting, meet, store_of_job

_FOR_EVER = timedelta(days=365)  # where a supervisor looks after ranks that are stuck
_LAST_SAVE = timedelta(hours=24)  # a disk may be slow or full; when rank 0 dies the others notice
_GOODBYE_SECONDS = 5.0  # for the others to hear rank 0's exit code: the store may end with rank 0
_CODE, _GONE = "fbmon/exit code", "fbmon/gone"  # keys of the store


def join(rank: Rank, device: str, tell: Tell, waiting: Waiting) -> tuple[Ranks, str]:
    """Join the other ranks; return the ranks and the name of this rank's device.

    Raises RankLostError if they cannot be reached, FbmonError if the ranks met are those of another job.
    """
    own = _own_device(rank, device)
    if rank.size == 1:
        return Ranks(0, 1, tell), own
    if own.startswith("cuda"):
        torch.cuda.set_device(own)
    with naming_the_lost(rank.index):
        _enter(rank, "cpu:gloo,cuda:nccl" if own.startswith("cuda") else "gloo", waiting)
    return Ranks(rank.index, rank.size, tell), own


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


def _enter(rank: Rank, backend: str, waiting: Waiting) -> None:
    timeout = timedelta(seconds=waiting.patience) if waiting.patience else _FOR_EVER
    store = store_of_job(rank, waiting) if rank.engine else _own_store(rank, timeout)
    meet(rank, store, waiting)
    dist.init_process_group(backend, store=store, rank=rank.index, world_size=rank.size, timeout=timeout)


def _own_store(rank: Rank, timeout: timedelta) -> Store:
    """Open the store of the ranks of one machine: a file, or a port at which the first rank listens already."""
    if rank.store:
        return FileStore(str(as_path(rank.store)), rank.size)
    host, _, port = rank.address.rpartition(":")
    is_first = rank.listener is not None
    # Without a socket given it would listen on every interface.
    return TCPStore(
        host, int(port), rank.size, is_first, timeout, wait_for_workers=False, master_listen_fd=rank.listener
    )


def _own_device(rank: Rank, device: str) -> str:
    """Return the name of this rank's device; in the job of another engine the ranks of a machine share its GPUs."""
    if not rank.engine or device == "cpu" or not torch.cuda.is_available():
        return "cpu" if device.startswith("cpu") else device
    return f"cuda:{rank.local_index % torch.cuda.device_count()}"
