"""How patients with a number or a time in place of a class are balanced between training and test."""

from __future__ import annotations

import numpy as np

from tcellmil._outcome_kinds import CONTINUOUS, OF_CLASSES, SURVIVAL

from ._bags import Bags

#: Least effective number of patients that weights may leave of those trained on.
MIN_EFFECTIVE_SHARE = 0.5

#: Where the search for a tilt ends, in standard deviations: patients who are far apart from an outlier and near to each
#: other need a strong one, and patients with equal numbers are not set apart by any.
STRONGEST = 2.0**30


def null_residuals(bags: Bags, outcome: str) -> np.ndarray | None:
    """Distance of each patient's number from the mean, which is what would be predicted of anyone.

    Parameters
    ----------
    bags
        The data.
    outcome
        One of :data:`tcellmil._outcome_kinds.OUTCOMES`.

    Returns
    -------
    ``(n_bags,)``, NaN for patients without a number. ``None`` for classes, which are balanced by their numbers, and for
    times to event: a hazard has no mean that is learned.
    """
    if outcome != CONTINUOUS:
        return None
    numbers = np.where(bags.labels >= 0, bags.targets[:, 0], np.nan)
    return numbers - np.nanmean(numbers)


def balancing_weights(residuals: np.ndarray) -> np.ndarray:
    r"""Weights of training patients under which their residuals have a mean of 0.

    Exponential tilting, :math:`w_j \propto e^{\lambda r_j}`, is the least change of weights in relative entropy. It
    stops where the effective number of patients, :math:`(\sum_j w_j)^2 / \sum_j w_j^2`, would fall below
    :data:`MIN_EFFECTIVE_SHARE` of them, as it does where nobody is on one side of the mean.

    Parameters
    ----------
    residuals
        ``(n_patients,)``.

    Returns
    -------
    ``(n_patients,)``, with a mean of 1.

    References
    ----------
    Efron (1981), Canadian Journal of Statistics 9, 139.

    Examples
    --------
    >>> weights = balancing_weights(np.array([-1.0, 0.0, 2.0]))
    >>> weights.round(2).tolist(), round(float(weights @ [-1.0, 0.0, 2.0]), 6)
    ([1.31, 1.04, 0.65], 0.0)
    """
    from scipy.optimize import brentq

    n, spread = len(residuals), residuals.std()
    if n < 2 or spread == 0:
        return np.ones(n)
    r = residuals / spread
    direction = -np.sign(r.mean())

    def tilted(strength: float) -> np.ndarray:
        exponent = direction * strength * r
        w = np.exp(np.maximum(exponent - exponent.max(), -700))  # a float is not 0 yet
        return n * w / w.sum()

    def spare(strength: float) -> float:
        return n**2 / (tilted(strength) ** 2).sum() - MIN_EFFECTIVE_SHARE * n

    most = 1.0
    while spare(most) > 0 and most < STRONGEST:
        most *= 2
    most = brentq(spare, 0, most) if spare(most) < 0 else most
    if direction * (tilted(most) @ r) <= 0:  # the mean is still on its side of 0, or just there
        return tilted(most)
    return tilted(brentq(lambda strength: tilted(strength) @ r, 0, most, xtol=1e-14))


def strata(bags: Bags, outcome: str, n_folds: object) -> np.ndarray:
    """Codes whose shares are kept alike in random folds: classes, ranges of a number, censored or not.

    Parameters
    ----------
    bags
        The data.
    outcome
        One of :data:`tcellmil._outcome_kinds.OUTCOMES`.
    n_folds
        What was asked for; a number of folds makes ranges of that many patients, and tells events from censored
        patients where there are enough of both. Samples of one group have one code.

    Returns
    -------
    ``(n_bags,)``, -1 for patients without an outcome.
    """
    known = bags.labels >= 0
    if outcome in OF_CLASSES or not known.any():
        return bags.labels
    codes = np.where(known, 0, -1)
    counted = isinstance(n_folds, int | np.integer) and n_folds > 1
    groups = np.arange(bags.n_bags) if bags.groups is None else bags.groups
    _, group = np.unique(groups[known], return_inverse=True)
    size = np.bincount(group)
    if outcome == SURVIVAL:
        event = np.bincount(group, weights=bags.targets[known, 1]) > 0
        rarer = min(event.sum(), (~event).sum())
        codes[known] = 0 if counted and rarer < n_folds else event[group]  # too few to be in every fold
    elif counted:
        mean = np.bincount(group, weights=bags.targets[known, 0]) / size
        rank = mean.argsort(kind="stable").argsort(kind="stable")
        codes[known] = (rank * max(1, len(size) // int(n_folds)) // len(size))[group]
    return codes
