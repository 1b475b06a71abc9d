"""What may follow the linear scores of a bag."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class StackedThresholds(nn.Module):
    r"""Proportional odds: one score and K sets of increasing thresholds become log-probabilities of ordered classes.

    With the logistic function :math:`\sigma` and thresholds :math:`\theta_1 < \dots < \theta_{C-1}`,
    :math:`P(y \le c) = \sigma(\theta_c - s)` (McCullagh, J. R. Stat. Soc. B 1980). Thresholds start where a score of 0
    makes all classes equally probable.

    Parameters
    ----------
    n_replicas
        K.
    n_classes
        Number of ordered classes, C.
    """

    def __init__(self, n_replicas: int, n_classes: int):
        super().__init__()
        share = torch.arange(1, n_classes) / n_classes
        start = share.log() - (1 - share).log()
        self.first = nn.Parameter(start[:1].expand(n_replicas, 1, -1).clone())
        self.log_gaps = nn.Parameter(start.diff().log().expand(n_replicas, 1, -1).clone())

    def forward(self, scores: Tensor) -> Tensor:
        """``(replica, bag, 1)`` to ``(replica, bag, class)``; exponentials of a row sum to 1."""
        gaps = self.log_gaps.exp()
        distance = torch.cat([self.first, gaps], dim=-1).cumsum(dim=-1) - scores  # (replica, bag, threshold)
        below, above = F.logsigmoid(distance), F.logsigmoid(-distance)
        # log(sigma(b) - sigma(a)) = log sigma(b) + log sigma(-a) + log(1 - exp(a - b)), here a - b = -gap
        between = below[..., 1:] + above[..., :-1] + torch.log(-torch.expm1(-gaps))
        return torch.cat([below[..., :1], between, above[..., -1:]], dim=-1)


class StackedUnits(nn.Module):
    """One number in the units of the outcome, float64: ``score * scale + loc``, a pair per replica; not trained.

    While the network trains, loc is 0 and scale is 1: it learns in units of its own.

    Parameters
    ----------
    n_replicas
        Number of replicas.
    """

    #: What must be above 0.
    positive = ("scale",)

    def __init__(self, n_replicas: int):
        super().__init__()
        self.register_buffer("loc", torch.zeros(n_replicas, 1, 1, dtype=torch.float64))
        self.register_buffer("scale", torch.ones(n_replicas, 1, 1, dtype=torch.float64))

    def set_units(self, loc: Tensor, scale: Tensor) -> None:
        """Both are ``(replica, 1, 1)``."""
        self.loc.copy_(loc)
        self.scale.copy_(scale)

    def forward(self, scores: Tensor) -> Tensor:
        """``(replica, bag, 1)`` on the scale of the outcome."""
        return torch.addcmul(self.loc, scores.to(self.loc.dtype), self.scale)
