r"""In-silico perturbation: shift one feature in every cell, and ask again.

Section 2.8 of Tsui et al. (tcellMIL, 2025): with the median absolute deviation of feature j over cells,
:math:`z'_{ij} = \min(1, z_{ij} + 3 \mathrm{MAD}_j)` up and :math:`\max(-1, z_{ij} - 3 \mathrm{MAD}_j)` down, on the
networks' scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from ._bags import Bags
from ._fitted import FittedStack

#: Perturbed copies of a bag are run together up to about this many values.
_CHUNK_VALUES = 2e7


def perturb_bags(
    stack: FittedStack, bags: Bags, shifts: np.ndarray, touched: np.ndarray, shown_to: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities of bags before and after each shift, by the replicas that each bag is shown to.

    Parameters
    ----------
    stack
        Fitted replicas.
    bags
        Patients as bags of cells.
    shifts
        ``(n_shifts, n_bags, n_features)``: what is added to each feature *by itself*, in units of the representation;
        each value other than NaN is one experiment on one bag. NaN: the feature is not perturbed.
    touched
        ``(n_cells,)`` bool: the cells that are shifted, in the order of ``bags``.
    shown_to
        ``(n_replicas, n_bags)`` bool.

    Returns
    -------
    Base ``(n_bags, n_classes)`` and perturbed ``(n_shifts, n_bags, n_features, n_classes)``
    probabilities, means over the bag's replicas; NaN where nothing was asked.
    """
    n_shifts, n_bags, n_features = shifts.shape
    base = np.full((n_bags, bags.n_classes), np.nan)
    perturbed = np.full((n_shifts, n_bags, n_features, bags.n_classes), np.nan)
    for i in range(n_bags):
        index = np.flatnonzero(shown_to[:, i])
        if len(index) == 0:
            continue
        own, rows = stack.select(index), bags.bag(i)
        scaled = own.scale(bags.x[rows])  # (encoder or 1, cell, feature)
        cohort = bags.cohort_onehot[i]
        base[i] = _probabilities(own, scaled[:, None], cohort)[0]
        shift, feature = np.nonzero(np.isfinite(shifts[:, i]))
        unit = torch.from_numpy(own.scaling.scale)
        where = torch.from_numpy(touched[rows])
        size = max(1, int(_CHUNK_VALUES / (scaled.numel() * len(own.encoder_of_replica))))
        for s, f in _pieces(shift, feature, size):
            amount = torch.from_numpy(shifts[s, i, f].astype(np.float32)) / unit[:, f]  # (encoder or 1, experiment)
            copies = scaled[:, None].repeat(1, len(f), 1, 1)
            experiment = torch.arange(len(f))
            column = copies[:, experiment, :, f] + torch.where(where, amount[..., None], 0.0).transpose(0, 1)
            copies[:, experiment, :, f] = column.clamp(-1, 1)
            perturbed[s, i, f] = _probabilities(own, copies, cohort)
    return base, perturbed


def _pieces(shift: np.ndarray, feature: np.ndarray, size: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, len(shift), size):
        yield shift[start : start + size], feature[start : start + size]


def _probabilities(stack: FittedStack, bags: torch.Tensor, cohort: np.ndarray) -> np.ndarray:
    """Mean over replicas of the class probabilities of bags ``(encoder or 1, bag, cell, feature)``."""
    z = stack.encode(bags.flatten(1, 2)).unflatten(1, bags.shape[1:3])
    return stack.classify(z, cohort)[0].mean(axis=0)
