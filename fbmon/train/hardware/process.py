"""The settings of torch and the C library, made once, for the whole process that computes."""

import ctypes
import os
import platform

import torch

from fbmon.host.limits import cores

# <malloc.h>
_M_TRIM_THRESHOLD = -1
_M_MMAP_MAX = -4


def set_up() -> None:
    """Allow only operations that repeat their bits (others raise RuntimeError), no idle threads, memory that stays.

    On a GPU matrix products want CUBLAS_WORKSPACE_CONFIG in the environment for the bits.
    """
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # 6 % of a bfloat16 step
    torch.backends.cudnn.benchmark = False  # it may choose another algorithm, and other bits, each time
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores():
        torch.set_num_threads(cores())  # torch knows no quota; whoever exceeds it is put to sleep, all threads at once
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc give freed memory to the next tensor instead of back to the kernel, which hands it out page by page.

    The features of a block are the same megabytes each time. For ResNet-18 and blocks of 128 in float32 the pages
    alone are a fifth of a step on a CPU. Memory allocators that a user has loaded in its place are not touched.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)  # nothing gets a mapping of its own, which ends when it is freed
    library.mallopt(_M_TRIM_THRESHOLD, -1)  # what is free at the end of the heap stays
