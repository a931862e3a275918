"""The device that is chosen is the one that everything goes to."""

import pytest
import torch

from fbmon.errors import FbmonError
from fbmon.train.hardware.device import choose_device


def test_the_chosen_gpu_becomes_the_present_one_because_events_and_captures_go_there(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run alone on the second GPU."""
    present: list[torch.device] = []
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    monkeypatch.setattr(torch.cuda, "set_device", present.append)
    assert choose_device("cuda:1") == torch.device("cuda:1")
    assert present == [torch.device("cuda:1")]
    with pytest.raises(FbmonError, match="--devices cuda:2: this machine has 2 CUDA devices"):
        choose_device("cuda:2")
    assert len(present) == 1
