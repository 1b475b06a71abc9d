r"""In-silico perturbation: shift one or several features in every cell, and predict again.

Section 2.8 of Tsui et al. (tcellMIL, 2025): with the median absolute deviation of feature j over cells,
:math:`z'_{ij} = \min(1, z_{ij} + 3 \mathrm{MAD}_j)` up and :math:`\max(-1, z_{ij} - 3 \mathrm{MAD}_j)` down, on the
networks' scale.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from tcellmil.data._bags import Bags

from ._ensemble import FittedEnsemble, ensemble_of
from ._stack import FittedStack

#: Perturbed copies of a bag are run together up to about this many values; more would not stay in the cache.
_CHUNK_VALUES = 1e6

#: Seconds before a progress bar appears.
_DELAY = 3


def perturb_bags(
    stack: FittedStack | FittedEnsemble,
    bags: Bags,
    features: np.ndarray,
    amounts: np.ndarray,
    touched: np.ndarray,
    shown_to: np.ndarray,
    *,
    progress: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Class probabilities of bags before and after each experiment, by the replicas that each bag is shown to.

    An experiment shifts one feature, or several together, each by its own amount.

    Parameters
    ----------
    stack
        Fitted replicas.
    bags
        Patients as bags of cells.
    features
        ``(n_experiments, n_shifted)`` int: the features that each experiment shifts, all of them different.
    amounts
        ``(n_experiments, n_bags, n_shifted)``: what is added to each of these features, in units of the representation;
        clipped to [-1, 1] on the networks' scale. An experiment with a NaN among its amounts is not made on that bag.
    touched
        ``(n_cells,)`` bool: the cells that are shifted, in the order of ``bags``.
    shown_to
        ``(n_replicas, n_bags)`` bool.
    progress
        Show a progress bar over the bags once it has taken a few seconds.

    Returns
    -------
    Base ``(n_bags, n_classes)`` and perturbed ``(n_experiments, n_bags, n_classes)`` probabilities, means over the
    bag's replicas; NaN for experiments that were not made.

    Raises
    ------
    ValueError
        If the shapes do not fit, or an experiment names a feature twice.
    """
    from tqdm.auto import tqdm

    stack, features, amounts = ensemble_of(stack), np.asarray(features), np.asarray(amounts)
    _check_experiments(features, amounts, bags.n_bags)
    base = np.full((bags.n_bags, bags.n_outputs), np.nan)
    perturbed = np.full((len(features), bags.n_bags, bags.n_outputs), np.nan)
    for i in tqdm(range(bags.n_bags), desc="perturb", unit="patient", delay=_DELAY, disable=not progress):
        index = np.flatnonzero(shown_to[:, i])
        if len(index) == 0:
            continue
        own, rows = stack.select(index), bags.bag(i)
        scaled = own.scale(bags.x[rows])  # (encoder or 1, cell, feature)
        cohort = bags.bag_covariates[i]
        base[i] = _probabilities(own, scaled[:, None], cohort)[0]
        made = np.flatnonzero(np.isfinite(amounts[:, i]).all(axis=1))
        where = torch.from_numpy(touched[rows])
        unit = torch.from_numpy(own.scaling.scale)
        size = max(1, int(_CHUNK_VALUES / (scaled[0].numel() * len(own))))
        for e in _pieces(made, size):
            columns = torch.from_numpy(features[e])
            step = torch.from_numpy(amounts[e, i].astype(np.float32)) / unit[:, columns]
            copies = _shifted(scaled, columns, torch.where(where, step[..., None], 0.0))
            perturbed[e, i] = _probabilities(own, copies, cohort)
    return base, perturbed


def _check_experiments(features: np.ndarray, amounts: np.ndarray, n_bags: int) -> None:
    if features.ndim != 2 or amounts.shape != (len(features), n_bags, features.shape[1]):
        raise ValueError(
            f"features must be (n_experiments, n_shifted) and amounts (n_experiments, {n_bags} bags, n_shifted), "
            f"got shapes {features.shape} and {amounts.shape}"
        )
    ordered = np.sort(features, axis=1)
    twice = np.flatnonzero((ordered[:, 1:] == ordered[:, :-1]).any(axis=1))
    if len(twice):
        raise ValueError(f"experiment {twice[0]} shifts a feature twice: {features[twice[0]].tolist()}")


def _pieces(experiments: np.ndarray, size: int) -> Iterator[np.ndarray]:
    for start in range(0, len(experiments), size):
        yield experiments[start : start + size]


def _shifted(scaled: torch.Tensor, columns: torch.Tensor, step: torch.Tensor) -> torch.Tensor:
    """A copy of the cells ``(encoder or 1, cell, feature)`` for each experiment, in the second axis.

    ``columns`` is ``(experiment, shifted)`` and ``step`` ``(encoder or 1, experiment, shifted, cell)``.
    """
    copies = scaled[:, None].repeat(1, len(columns), 1, 1)
    experiment = torch.arange(len(columns))[:, None]
    # An index on either side of a slice puts the indexed axes first: (experiment, shifted, encoder or 1, cell).
    shifted = copies[:, experiment, :, columns] + step.permute(1, 2, 0, 3)
    copies[:, experiment, :, columns] = shifted.clamp(-1, 1)
    return copies


def _probabilities(stack: FittedStack | FittedEnsemble, bags: torch.Tensor, cohort: np.ndarray) -> np.ndarray:
    """Mean over replicas of the class probabilities of bags ``(encoder or 1, bag, cell, feature)``."""
    return stack.classify(bags, cohort)[0].mean(axis=0)
