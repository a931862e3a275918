"""The training objective."""

from torch import Tensor
from torch.nn.functional import cross_entropy, log_softmax


def smoothed_cross_entropy(logits: Tensor, labels: Tensor, smoothing: float) -> Tensor:
    """Return the mean cross-entropy of logits (B, classes) and labels int64 (B,), with 1 - smoothing on the label.

    The rest is spread evenly over the other classes, as in the authors' code; torch's own label smoothing spreads it
    over all classes.
    """
    if smoothing == 0:
        return cross_entropy(logits, labels)
    log_likelihoods = log_softmax(logits, 1)
    label = log_likelihoods.gather(1, labels[:, None]).squeeze(1)
    others = log_likelihoods.sum(1) - label
    return -((1 - smoothing) * label + smoothing / (logits.shape[1] - 1) * others).mean()
