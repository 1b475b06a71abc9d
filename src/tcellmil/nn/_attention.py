"""Attention over the cells of a bag, and the weighted sum that it gives."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._layers import StackedLinear


class StackedAttention(nn.Module):
    r"""K attention networks that score each cell of a bag.

    ``"tanh"`` is :math:`w^\top \tanh(V z)`, ``"gated"`` is :math:`w^\top (\tanh(V z) \odot \sigma(U z))`
    (Ilse, Tomczak and Welling, ICML 2018), ``"mlp"`` is :math:`w^\top \mathrm{ReLU}(V z)`, the non-linear attention of
    PaSCient (Liu et al., 2024); the score becomes a weight by a softmax within the bag.

    Parameters
    ----------
    generators
        One random generator per replica.
    n_latent, n_hidden
        Features of a cell and width of the hidden layer (k and p in the formula).
    kind
        ``"tanh"``, ``"gated"`` or ``"mlp"``.
    strength
        Scores are multiplied by it. As they start at 0, so is how fast attention leaves the mean over cells, by the
        square; at 0 it stays there.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        n_latent: int,
        n_hidden: int,
        kind: str = "tanh",
        strength: float = 1.0,
    ):
        super().__init__()
        self.kind, self.strength = kind, strength
        self.v = StackedLinear(generators, n_latent, n_hidden)
        self.u = StackedLinear(generators, n_latent, n_hidden) if kind == "gated" else None
        # A bias would cancel in the softmax. From zero, attention starts uniform and moves where the labels pull it;
        # from random weights it starts at random cells, and in a small cohort often stays with them.
        self.w = StackedLinear(generators, n_hidden, 1, bias=False, zero=True)

    def forward(self, z: Tensor) -> Tensor:
        """Scores ``(replica, cell)`` of cells ``(replica or 1, cell, n_latent)``."""
        hidden = torch.relu(self.v(z)) if self.kind == "mlp" else torch.tanh(self.v(z))
        if self.u is not None:
            hidden = hidden * torch.sigmoid(self.u(z))
        scores = self.w(hidden).squeeze(-1)
        return scores if self.strength == 1 else self.strength * scores


#: Least variance over a bag's cells: the root has no slope at 0.
MIN_VARIANCE = 1e-6


def pool_bags(scores: Tensor, z: Tensor, present: Tensor, moments: str = "mean") -> tuple[Tensor, Tensor]:
    """Attention within each bag and the bag's embedding, the attention-weighted mean of its cells.

    Parameters
    ----------
    scores
        ``(replica, bag, cell)``.
    z
        ``(replica or 1, bag, cell, feature)``.
    present
        ``(replica or 1, bag, cell)``, False where a short bag is padded.
    moments
        ``"mean"``, or ``"mean_sd"``: the standard deviation, weighted in the same way, stands beside the mean.

    Returns
    -------
    Embedding ``(replica, bag, feature)``, or twice as many features with ``"mean_sd"``, and attention
    ``(replica, bag, cell)``, which sums to 1 over a bag's cells.
    """
    attention = scores.masked_fill(~present, -torch.inf).softmax(dim=-1)
    replicas, bags, cells = attention.shape
    z = z.expand(replicas, -1, -1, -1).reshape(replicas * bags, cells, -1)
    weights = attention.reshape(replicas * bags, 1, cells)
    mean = torch.bmm(weights, z)
    if moments == "mean_sd":
        # About the mean, not the mean of squares: of latents far from 0 little would be left of the difference.
        variance = torch.bmm(weights, (z - mean).square())
        mean = torch.cat([mean, variance.clamp(min=MIN_VARIANCE).sqrt()], dim=-1)
    return mean.view(replicas, bags, -1), attention


def max_of_bags(z: Tensor, present: Tensor) -> tuple[Tensor, Tensor]:
    """The largest value of each feature over a bag's cells, and the share of features in which a cell has it.

    Parameters
    ----------
    z
        ``(replica, bag, cell, feature)``.
    present
        ``(replica or 1, bag, cell)``, False where a short bag is padded.

    Returns
    -------
    Embedding ``(replica, bag, feature)`` and, in place of attention, ``(replica, bag, cell)`` that sums to 1.
    """
    embedding, holder = z.masked_fill(~present[..., None], -torch.inf).max(dim=2)
    share = torch.zeros(z.shape[:3], dtype=z.dtype, device=z.device)
    return embedding, share.scatter_add_(2, holder, torch.ones_like(embedding) / z.shape[-1])
