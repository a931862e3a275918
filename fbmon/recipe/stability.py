"""The stability limit: how sharp a minimum an optimizer can stay in, a pure function of its settings."""

from typing import assert_never

from fbmon.recipe import AdamW, AnyOptimizer, GradientDescent, Lbfgs, Muon, PackageOptimizer, Sgd, TorchOptimizer


def stability_limit(optimizer: AnyOptimizer, learning_rate: float, scale: float = 1.0) -> float | None:
    """Return the largest eigenvalue of the loss's Hessian at which steps along its eigenvector do not grow.

    On a quadratic, 2/τ without momentum, (2 + 2β)/τ with it, (2 + 2β)/(τ (1 + 2β)) with Nesterov's (Cohen et al. 2021,
    arXiv 2103.00065, section 2 and appendix B). Weight decay λ adds λ to every eigenvalue, so the loss's own may be
    that much lower; `decay_on` "weights" is taken for all. `scale` is what clipping has left of the gradient, to which
    the decay is added afterwards. None where there is no such limit: at learning rate 0; for AdamW and its like,
    whose limit is one of the Hessian seen through its preconditioner (Cohen et al. 2022, arXiv 2207.14484); and for a
    line search, which takes no step that grows.
    """
    if learning_rate <= 0 or scale <= 0:
        return None
    match optimizer:
        case Sgd(momentum=beta, nesterov=nesterov):
            of_all = (2 + 2 * beta) / (1 + 2 * beta if nesterov else 1) / learning_rate
            return (of_all - optimizer.weight_decay) / scale
        case AdamW() | TorchOptimizer() | Muon() | PackageOptimizer() | GradientDescent() | Lbfgs():
            return None
        case _:
            assert_never(optimizer)
