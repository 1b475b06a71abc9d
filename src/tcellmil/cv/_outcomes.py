"""How patients with a number or a time in place of a class are balanced between training and test."""

from __future__ import annotations

import numpy as np

from tcellmil._outcome_kinds import CONTINUOUS, OF_CLASSES, SURVIVAL

from ._bags import Bags


def null_residuals(bags: Bags, outcome: str) -> np.ndarray | None:
    r"""How each patient departs from what would be predicted of anyone; over the patients, it sums to 0.

    Of a number, its distance from the mean. Of a time to event, the martingale residual without covariates,
    :math:`\delta_i - \hat\Lambda(t_i)`, with the Nelson-Aalen estimate of the cumulative hazard (Therneau, Grambsch and
    Fleming, Biometrika 1990).

    Parameters
    ----------
    bags
        The data.
    outcome
        One of :data:`tcellmil._outcome_kinds.OUTCOMES`.

    Returns
    -------
    ``(n_bags,)``, NaN for patients without an outcome; ``None`` for classes, which are balanced by their numbers.
    """
    if outcome in OF_CLASSES:
        return None
    known = bags.labels >= 0
    found = np.full(bags.n_bags, np.nan)
    own = bags.targets[known].astype(np.float64)
    if outcome == CONTINUOUS:
        found[known] = own[:, 0] - own[:, 0].mean()
    else:
        found[known] = own[:, 1] - nelson_aalen(own[:, 0], own[:, 1])
    return found


def nelson_aalen(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    r"""Cumulative hazard at each patient's own time, :math:`\sum_{t_j \le t_i} d_j / n_j`.

    Parameters
    ----------
    time
        ``(n_patients,)``.
    event
        ``(n_patients,)``: 1 for an event, 0 where the patient was censored.

    Examples
    --------
    >>> nelson_aalen(np.array([1.0, 2.0, 4.0]), np.array([1, 0, 1])).round(2).tolist()
    [0.33, 0.33, 1.33]
    """
    times, row = np.unique(time, return_inverse=True)
    at_risk = len(time) - np.searchsorted(np.sort(time), times)
    return np.cumsum(np.bincount(row, weights=event) / at_risk)[row]


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
        patients where there are enough of both.

    Returns
    -------
    ``(n_bags,)``, -1 for patients without an outcome.
    """
    known = bags.labels >= 0
    if outcome in OF_CLASSES or not known.any():
        return bags.labels
    codes = np.full(bags.n_bags, -1)
    counted = isinstance(n_folds, int | np.integer)
    if outcome == SURVIVAL:
        event = bags.targets[known, 1].astype(int)
        rarer = np.bincount(event, minlength=2).min()
        codes[known] = 0 if counted and rarer < n_folds else event  # too few to be in every fold
    elif counted and n_folds > 1:
        rank = bags.targets[known, 0].argsort(kind="stable").argsort(kind="stable")
        codes[known] = rank * max(1, known.sum() // int(n_folds)) // known.sum()
    else:
        codes[known] = 0
    return codes
