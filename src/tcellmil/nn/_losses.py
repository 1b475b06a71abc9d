"""Losses of a stack: one value a replica, over that replica's own rows only."""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional as F


def masked_mse(output: Tensor, target: Tensor, member: Tensor) -> Tensor:
    """Mean squared error of each replica over its member cells.

    Parameters
    ----------
    output, target
        ``(replica, cell, feature)`` and ``(replica or 1, cell, feature)``.
    member
        ``(replica, cell)``, 1 for cells that the replica trains on, 0 for the rest.

    Returns
    -------
    ``(replica,)``; 0 for a replica without a member in the batch.
    """
    error = (output - target).square().mean(dim=-1)
    return (error * member).sum(dim=-1) / member.sum(dim=-1).clamp(min=1)


def bag_cross_entropy(logits: Tensor, labels: Tensor, weights: Tensor) -> Tensor:
    """Weighted cross-entropy of each replica over its bags, normalised by the weights.

    Parameters
    ----------
    logits
        ``(replica, bag, class)``.
    labels
        ``(replica, bag)`` class codes.
    weights
        ``(replica, bag)``: the class weight, or 0 where the replica does not train on the bag.

    Returns
    -------
    ``(replica,)``; 0 for a replica without a bag in the batch.
    """
    replicas, bags, _ = logits.shape
    loss = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), reduction="none").view(replicas, bags)
    total = weights.sum(dim=-1)
    return (loss * weights).sum(dim=-1) / total.where(total > 0, total.new_ones(()))
