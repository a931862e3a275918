"""The meeting of the ranks: at a store, where each announces itself, and all learn for whom they are still waiting.

torch's own ways to meet wait silently, and trust whoever answers at the address: a rank that has met the store of
another job waits for ranks that will never come. Here every wait is a loop of short checks, so that it can be reported,
ended by a signal, and bounded; and before anything else a rank asks the store to which job it belongs.
"""

import os
import socket
import time
from collections.abc import Callable
from datetime import timedelta

from torch._C._distributed_c10d import PrefixStore, Store, TCPStore
from torch.distributed import DistNetworkError

from fbmon.errors import FbmonError, RankLostError
from fbmon.host.threads import start_thread
from fbmon.ranks.rank import Rank
from fbmon.text import plural

_LOOK_SECONDS = 0.05
_CONNECT_SECONDS = 1.0
_JOB, _ALL_HERE, _AWAITED = "fbmon/job", "fbmon/all here", "fbmon/awaited"  # keys of the store
_TWO_JOBS = "two jobs or steps have the same address: set MASTER_PORT for one of them to another port"

Tell = Callable[[str], None]


class Waiting:
    """The time spent waiting for other ranks: reported again and again, ended by a signal, and bounded.

    `tell` is called with the awaited ranks every `interval` seconds; `heed` raises if a signal asks for the end.
    """

    def __init__(
        self,
        patience: float | None = None,
        tell: Tell = lambda _: None,
        heed: Callable[[], None] = lambda: None,
        interval: float = 30.0,
    ) -> None:
        self.patience = patience
        self._tell = tell
        self._heed = heed
        self._interval = interval
        self._began = time.monotonic()
        self._due = self._began + interval

    def look(self, awaited: str) -> None:
        """Wait a moment more for the awaited ranks. Raises RankLostError if that has taken longer than the patience."""
        self._heed()
        now = time.monotonic()
        if self.patience is not None and now - self._began > self.patience:
            raise RankLostError(
                f"{awaited} did not come within {self.patience:.0f} s",
                "see whether all processes of the job were started; `--stall-limit` allows for more",
            )
        if now >= self._due:
            self._due = now + self._interval
            self._tell(f"waiting for {now - self._began:.0f} s for {awaited}")
        time.sleep(_LOOK_SECONDS)


def store_of_job(rank: Rank, waiting: Waiting) -> Store:
    """Return the store at the address of a job; rank 0 opens it there, unless torchrun's agent has.

    Raises RankLostError if nobody answers, FbmonError if another job has the address.
    """
    host, _, port = rank.address.rpartition(":")
    name = f"{rank.job}, {plural(rank.size, 'rank')}"
    is_agents = os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"
    opens = rank.index == 0 and not is_agents
    while not opens and (obstacle := _obstacle(host, int(port))):
        waiting.look(f"{'the agent of torchrun' if is_agents else 'rank 0'} at {rank.address} ({obstacle})")
    store = _patiently(
        lambda: TCPStore(
            host, int(port), rank.size, opens, timedelta(seconds=waiting.patience or 600), wait_for_workers=False
        ),
        f"an answer from {rank.address}",
        waiting,
    )
    if rank.index == 0:
        owner = store.compare_set(_JOB, "", name).decode()
    else:
        while not store.check([_JOB]):
            waiting.look(f"rank 0 at {rank.address}")
        owner = store.get(_JOB).decode()
    if owner != name:
        raise FbmonError(f"rank {rank.index} of {name}, has met {owner}, at {rank.address}", _TWO_JOBS)
    return PrefixStore(f"attempt {rank.attempt}", store)


def meet(rank: Rank, store: Store, waiting: Waiting) -> None:
    """Wait until all ranks of the run have come to the store. Raises RankLostError if one does not."""
    store.set(_arrival(rank.index), socket.gethostname())
    if rank.index == 0:
        _await_all(store, rank.size, waiting)
    else:
        _await_word(store, waiting)


def _await_all(store: Store, size: int, waiting: Waiting) -> None:
    awaited = ""
    while missing := [rank for rank in range(1, size) if not store.check([_arrival(rank)])]:
        if awaited != (awaited := _named(missing, size)):
            store.set(_AWAITED, awaited)
        waiting.look(awaited)
    store.set(_ALL_HERE, "")


def _await_word(store: Store, waiting: Waiting) -> None:
    """Wait for rank 0, which says for whom it is waiting itself."""
    while not store.check([_ALL_HERE]):
        waiting.look(store.get(_AWAITED).decode() if store.check([_AWAITED]) else "rank 0")


def _named(missing: list[int], size: int) -> str:
    """Name the ranks that have not come, at most five by their numbers."""
    if len(missing) > 5:
        return f"{plural(len(missing), 'rank')} of {size}, rank {missing[0]} among them,"
    *others, last = map(str, missing)
    numbers = f"s {', '.join(others)} and {last}" if others else f" {last}"
    return f"rank{numbers} of {size}"


def _arrival(rank: int) -> str:
    return f"fbmon/rank {rank}"


def _obstacle(host: str, port: int) -> str:
    """Return the reason why no connection to an address is possible; empty if somebody answers there."""
    try:
        socket.create_connection((host, port), _CONNECT_SECONDS).close()
    except OSError as error:
        return error.strerror or str(error)
    return ""


def _patiently(open_store: Callable[[], TCPStore], awaited: str, waiting: Waiting) -> TCPStore:
    """Open a store in a thread: torch's own limit does not hold if a stranger listens and never answers."""
    outcome: list[TCPStore | Exception] = []

    def attempt() -> None:
        try:
            outcome.append(open_store())
        except Exception as error:  # told by the main thread
            outcome.append(error)

    start_thread(attempt)
    while not outcome:
        waiting.look(awaited)
    store = outcome[0]
    if isinstance(store, DistNetworkError) and "EADDRINUSE" in str(store):
        raise FbmonError(f"the port of {awaited.rpartition(' ')[2]} is in use on this machine", _TWO_JOBS) from None
    if isinstance(store, Exception):
        raise store
    return store
