"""Layers of a stack: a leading axis of K replicas that share nothing but the arithmetic.

A tensor's first axis is the replica: inputs are ``(replica, row, feature)``, where the replica axis may have length 1
and is then read by all. Slice ``k`` of every parameter is one ordinary network, so K networks cost one pass.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class StackedLinear(nn.Module):
    """K independent affine maps: ``y[k] = x[k] @ weight[k] + bias[k]``.

    Parameters
    ----------
    generators
        One random generator per replica; replica ``k`` is initialised from ``generators[k]`` alone, as
        :class:`torch.nn.Linear` initialises (uniform in plus or minus 1 / sqrt(n_in)).
    n_in, n_out
        Number of input and output features.
    bias
        Add an offset.
    zero
        Start at zero instead.
    """

    def __init__(
        self, generators: Sequence[torch.Generator], n_in: int, n_out: int, *, bias: bool = True, zero: bool = False
    ):
        super().__init__()
        bound = 0.0 if zero else n_in**-0.5
        self.weight = nn.Parameter(_uniform(generators, (n_in, n_out), bound))  # (replica, n_in, n_out)
        self.bias = nn.Parameter(_uniform(generators, (1, n_out), bound)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(replica or 1, row, n_in)`` to ``(replica, row, n_out)``."""
        x = x.expand(self.weight.shape[0], -1, -1)
        if self.bias is None:
            return torch.bmm(x, self.weight)
        return torch.baddbmm(self.bias, x, self.weight)


class StackedLayerNorm(nn.Module):
    """Layer normalisation over the last axis, with a gain and an offset for each replica."""

    def __init__(self, n_replicas: int, n_features: int):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(n_replicas, 1, n_features))
        self.bias = nn.Parameter(torch.zeros(n_replicas, 1, n_features))

    def forward(self, x: Tensor) -> Tensor:
        """Normalise ``(replica, row, feature)`` over features."""
        return torch.addcmul(self.bias, nn.functional.layer_norm(x, x.shape[-1:]), self.weight)


class StackedDropout(nn.Module):
    """Dropout whose mask is drawn once for each seed and read by all replicas of that seed.

    Each replica by itself is an ordinary dropout run. Drawing a mask per seed instead of a mask per replica saves most
    of the cost, and a replica meets the same masks whether it trains in a stack or alone. Without
    :meth:`set_random_state` the global generator draws one mask for all.
    """

    def __init__(self, p: float):
        super().__init__()
        self.p = p
        self._generators: list[torch.Generator | None] = [None]
        self._group: Tensor | None = None

    def set_random_state(self, generators: Sequence[torch.Generator], group: Tensor) -> None:
        """Take masks from ``generators``; replica ``k`` reads the mask of ``generators[group[k]]``."""
        self._generators, self._group = list(generators), group

    def forward(self, x: Tensor) -> Tensor:
        """Zero a share ``p`` of the entries of ``(replica, row, feature)`` while training, and rescale the rest."""
        if not self.training or self.p == 0:
            return x
        keep = torch.stack([torch.rand(x.shape[1:], generator=g, device=x.device) for g in self._generators]) >= self.p
        scale = keep / (1 - self.p)  # (seed, row, feature)
        return x * (scale if len(scale) == 1 else scale[self._group])


def _uniform(generators: Sequence[torch.Generator], shape: tuple[int, ...], bound: float) -> Tensor:
    return torch.stack([torch.rand(shape, generator=g) for g in generators]).mul_(2 * bound).sub_(bound)
