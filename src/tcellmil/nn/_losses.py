"""Losses of a stack: one value per replica, over that replica's own rows only."""

from __future__ import annotations

import warnings

import torch
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


def bag_squared_error(outputs: Tensor, targets: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean squared error of each replica over its bags.

    Parameters
    ----------
    outputs, targets
        ``(replica, bag)``.
    weights
        ``(replica, bag)``: 0 where the replica does not train on the bag.

    Returns
    -------
    ``(replica,)``; 0 for a replica without a bag in the batch.
    """
    total = weights.sum(dim=-1)
    loss = (outputs - targets).square()
    return (loss * weights).sum(dim=-1) / total.where(total > 0, total.new_ones(()))


def bag_cox_loss(log_hazard: Tensor, time: Tensor, event: Tensor, weights: Tensor) -> Tensor:
    """Negative partial log-likelihood of each replica over its bags, by torchsurv, a mean over its events.

    Risk sets are those of the batch; ties are Efron's.

    Parameters
    ----------
    log_hazard
        ``(replica, bag)``.
    time, event
        ``(replica, bag)``; an event is 1, a censored time 0.
    weights
        ``(replica, bag)``: 0 where the replica does not train on the bag.

    Returns
    -------
    ``(replica,)``; 0 for a replica whose bags in the batch hold no event, or that has one bag.

    References
    ----------
    Cox (1975), Biometrika 62, 269; Efron (1977), JASA 72, 557; Monod et al. (2024), TorchSurv.
    """
    from torchsurv.loss.cox import neg_partial_log_likelihood

    losses = []
    for row, own in enumerate(weights > 0):
        known = event[row, own].bool()
        if not known.any() or len(known) == 1:  # torchsurv takes no patient alone, whose likelihood is 1
            losses.append(log_hazard.new_zeros(()))
            continue
        data = log_hazard[row, own], known, time[row, own]
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", "Ties in `time` detected", UserWarning)  # once a step; they are handled
            losses.append(neg_partial_log_likelihood(*data, ties_method="efron", reduction="sum") / known.sum())
    return torch.stack(losses)


def instance_cross_entropy(
    logits: Tensor, scores: Tensor, labels: Tensor, weights: Tensor, present: Tensor, *, negative: float = 0.3
) -> Tensor:
    r"""Loss of scMILD's cell branch: cells are taught by the attention of the bag branch.

    The pseudo-label of a cell in a positive bag is its attention score, brought to [0, 1] over the batch; a cell of a
    negative bag has 0. With the cell's predicted probability q, the loss is the mean of
    :math:`-(1 - \lambda) a \log q - \lambda (1 - a) \log(1 - q)`.

    Parameters
    ----------
    logits
        ``(replica, bag, cell)`` of the cell branch.
    scores
        ``(replica, bag, cell)``: attention before the softmax; no gradient passes through them.
    labels
        ``(replica, bag)``: 1 for positive bags, 0 for negative ones.
    weights
        ``(replica, bag)``: 0 where the replica does not train on the bag.
    present
        ``(replica or 1, bag, cell)``.
    negative
        Weight of negatives, lambda.

    Returns
    -------
    ``(replica,)``; 0 for a replica without a bag in the batch.

    References
    ----------
    Jeong et al. (2025), scMILD.
    """
    own = present & (weights > 0)[..., None]
    scores = scores.detach()
    low = scores.masked_fill(~own, torch.inf).amin(dim=(1, 2), keepdim=True)
    high = scores.masked_fill(~own, -torch.inf).amax(dim=(1, 2), keepdim=True)
    pseudo = ((scores - low) / (high - low).clamp(min=1e-6)).clamp(0, 1) * labels[..., None]
    pseudo = torch.where(own, pseudo, 0.0)
    loss = -(1 - negative) * pseudo * F.logsigmoid(logits) - negative * (1 - pseudo) * F.logsigmoid(-logits)
    return (loss * own).sum(dim=(1, 2)) / own.sum(dim=(1, 2)).clamp(min=1)
