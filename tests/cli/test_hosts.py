"""Two network namespaces as two hosts with one disk: a job of torchrun over a network that may break."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from secrets import token_hex

import pytest

from fbmon.run import RunFolder
from tests.cli.test_resume import assert_same
from tests.conftest import Ended
from tests.shell import DEADLINE, ENDLESS, Fbmon, environment, last_word, wait_for_steps

pytestmark = pytest.mark.slow

PORT = "29555"  # each pair of hosts has its own ports


def ip(*arguments: str) -> None:
    subprocess.run(["ip", *arguments], check=True, capture_output=True)


@dataclass(frozen=True)
class Hosts:
    """Two hosts and the cable between them; host n has the address 10.77.0.n+1 on its card net0."""

    names: tuple[str, str]

    def address(self, host: int) -> str:
        return f"10.77.0.{host + 1}"

    def torchrun(self, host: int, fbmon: Fbmon, *arguments: str | Path) -> "subprocess.Popen[str]":
        """This host's part of the job."""
        command = ["ip", "netns", "exec", self.names[host], sys.executable, "-m", "torch.distributed.run"]
        command += ["--nnodes", "2", "--nproc-per-node", "1", "--node-rank", str(host)]
        command += ["--master-addr", self.address(0), "--master-port", PORT, "-m", "fbmon", "run"]
        return subprocess.Popen(
            [*command, *map(str, arguments)],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=fbmon.runs_dir.parent,
            env=environment(fbmon.runs_dir) | {"GLOO_SOCKET_IFNAME": "net0"},
        )

    def cut(self) -> None:
        """Pull the cable."""
        ip("-n", self.names[1], "link", "set", "net0", "down")


@pytest.fixture
def hosts() -> Iterator[Hosts]:
    names = (f"fbmon-{token_hex(3)}", f"fbmon-{token_hex(3)}")
    try:
        for name in names:
            ip("netns", "add", name)
        ip("link", "add", "net0", "netns", names[0], "type", "veth", "peer", "name", "net0", "netns", names[1])
        for host, name in enumerate(names):
            ip("-n", name, "address", "add", f"10.77.0.{host + 1}/24", "dev", "net0")
            ip("-n", name, "link", "set", "net0", "up")
            ip("-n", name, "link", "set", "lo", "up")
    except (OSError, subprocess.CalledProcessError) as error:
        remove(names)
        pytest.skip(f"no network namespaces may be made here: {error}")
    yield Hosts(names)
    remove(names)


def remove(names: tuple[str, str]) -> None:
    """Whatever still runs on the hosts goes with them."""
    for name in names:
        found = subprocess.run(["ip", "netns", "pids", name], check=False, capture_output=True, text=True)
        for process in found.stdout.split():
            with suppress(ProcessLookupError):
                os.kill(int(process), signal.SIGKILL)
        subprocess.run(["ip", "netns", "del", name], check=False, capture_output=True)


@pytest.fixture
def undisturbed(finished: dict[str, Ended]) -> RunFolder:
    return finished["plain"].folder


def test_two_hosts_have_the_bits_of_one(tiny: Path, fbmon: Fbmon, hosts: Hosts, undisturbed: RunFolder) -> None:
    job = [hosts.torchrun(host, fbmon, tiny) for host in (0, 1)]
    said = [part.communicate(timeout=DEADLINE)[0] for part in job]

    assert [part.returncode for part in job] == [0, 0], said
    assert said[0].splitlines()[-1].startswith("finished after step 40 of 40 in ")
    assert_same(fbmon.run_folder(), undisturbed)


def test_a_cut_cable_ends_the_job_and_is_told(tiny: Path, fbmon: Fbmon, hosts: Hosts) -> None:
    job = [hosts.torchrun(host, fbmon, tiny, "--steps", ENDLESS, "--stall-limit", "3") for host in (0, 1)]
    folder = fbmon.run_folder()
    wait_for_steps(folder)
    hosts.cut()
    for part in job:
        part.communicate(timeout=DEADLINE)

    ended = last_word(folder)
    assert ended is not None
    assert (ended.state, ended.exit_code) == ("killed", 5)
    assert ended.reason.startswith("rank 0 has lost the others: ")
    assert not folder.is_alive()
    assert all(part.returncode for part in job)
