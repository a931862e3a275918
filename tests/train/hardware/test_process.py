"""What the process that computes is told at its start."""

import platform
import subprocess
import sys

import pytest

from tests.shell import DEADLINE

_FAULTS = """
import resource, torch
from fbmon.train.hardware.process import set_up

set_up()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for turn in range(10):
    tensors = [torch.ones(16 << 20) for _ in range(2)]
    del tensors
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="only glibc's memory allocator is told")
def test_memory_that_comes_and_goes_is_asked_of_the_kernel_once() -> None:
    done = subprocess.run([sys.executable, "-c", _FAULTS], capture_output=True, text=True, check=True, timeout=DEADLINE)
    # Pages, of which a tensor of 64 MiB has 16,384. Two tensors are there at a time; what small things that lie between
    # them need comes to two or three more. Given back each time, there would be twenty of them.
    assert int(done.stdout) < 8 * 16_384
