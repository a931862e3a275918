"""The settings of torch and the C library, made once for the whole process."""

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

    On a GPU, repeatable matrix products need CUBLAS_WORKSPACE_CONFIG in the environment.
    """
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # 6 % of a bfloat16 step
    torch.backends.cudnn.benchmark = False  # it may choose another algorithm, and other bits, each time
    if "OMP_NUM_THREADS" not in os.environ and torch.get_num_threads() > cores():
        torch.set_num_threads(cores())  # torch knows no quota; beyond it all threads are put to sleep at once
    _keep_freed_memory()


def _keep_freed_memory() -> None:
    """Let glibc give freed memory to the next tensor instead of back to the kernel, which hands it out page by page.

    The features of every block need the same megabytes. For ResNet-18 and blocks of 128 in float32 the pages alone
    take a fifth of a step on a CPU. Memory allocators that a user has loaded in place of glibc's are not touched.
    """
    if platform.libc_ver()[0] != "glibc":
        return
    library = ctypes.CDLL(None)
    library.mallopt(_M_MMAP_MAX, 0)  # no block gets a mapping of its own, which would end when it is freed
    library.mallopt(_M_TRIM_THRESHOLD, -1)  # what is free at the end of the heap stays
