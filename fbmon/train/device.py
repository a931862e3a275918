"""The device that a rank computes on, and that it computes there the same bits every time."""

import torch

from fbmon.errors import FbmonError


def compute_repeatably() -> None:
    """Process-wide: only operations that give the same bits again; others raise RuntimeError.

    On a GPU matrix products want CUBLAS_WORKSPACE_CONFIG in the environment for it.
    """
    torch.use_deterministic_algorithms(True)
    torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]  # 6 % of a bfloat16 step
    torch.backends.cudnn.benchmark = False  # it may choose another algorithm, and other bits, each time


def choose_device(devices: str) -> torch.device:
    """The device meant by "auto", "cpu" or "cuda:N". Raises FbmonError if the machine has none such."""
    if devices == "cpu" or (devices == "auto" and not torch.cuda.is_available()):
        return torch.device("cpu")
    device = torch.device("cuda:0" if devices == "auto" else devices)
    if not torch.cuda.is_available() or (device.index or 0) >= torch.cuda.device_count():
        raise FbmonError(
            f"--devices {devices}: this machine has {torch.cuda.device_count()} CUDA devices",
            "try --devices cpu",
        )
    torch.cuda.set_device(device)  # events, captures and Triton's kernels go to whatever device is the present one
    return device
