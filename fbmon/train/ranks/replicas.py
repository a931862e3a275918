"""The check that all ranks still have the same weights, to the last bit."""

from collections import Counter

import torch
from torch import Tensor, nn

from fbmon.errors import ReplicaError
from fbmon.train.ranks.distribute import Ranks

EVERY = 20  # steps between two comparisons

_CHUNK = 1 << 20


def compare(model: nn.Module, ranks: Ranks, step: int) -> None:
    """Compare the ranks' weights. Raises ReplicaError on every rank, naming those that differ from most."""
    if ranks.size == 1:
        return
    digests = ranks.gather(digest(model)).tolist()
    usual, count = Counter(digests).most_common(1)[0]
    if count == ranks.size:
        return
    odd = [str(rank) for rank, value in enumerate(digests) if value != usual]
    who = f"rank{'s'[: len(odd) > 1]} {', '.join(odd)}" if 2 * count > ranks.size else "the ranks"
    raise ReplicaError(
        f"{who} no longer had the weights of the others after step {step}",
        "a device computes wrongly, or they are not equal devices; `fbmon resume` continues from the last checkpoint",
    )


@torch.no_grad()
def digest(model: nn.Module) -> Tensor:
    """Return 64 bits on the device, int64 (): the wrapping sum of all words, each times its position's odd number."""
    total = torch.zeros((), dtype=torch.int64, device=next(model.parameters()).device)
    position = 1
    for value in (*model.parameters(), *model.buffers()):
        words = value.detach().reshape(-1).contiguous().view(torch.int32)
        for chunk in torch.split(words, _CHUNK):
            factors = torch.arange(position, position + len(chunk), device=total.device) * 2654435761 * 2 + 1
            total += (chunk.to(torch.int64) * factors).sum()
            position += len(chunk)
    return total
