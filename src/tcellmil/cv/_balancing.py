"""Weights of training patients, or patients to drop, that keep the mean of their outcomes where it is."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

#: Least effective number of patients that weights may leave, as a share of those trained on.
MIN_EFFECTIVE_SHARE = 0.5

#: Largest strength of the exponential weighting, in standard deviations. Patients far from an outlier and near to each
#: other need a strong one; patients with equal numbers are separated by none.
STRONGEST = 2.0**30


def balancing_weights(residuals: np.ndarray) -> np.ndarray:
    r"""Weights of training patients under which their residuals have a mean of 0.

    Exponential weights, :math:`w_j \propto e^{\lambda r_j}`, change the patients least in relative entropy. The
    strength is limited where the effective number of patients, :math:`(\sum_j w_j)^2 / \sum_j w_j^2`, would fall below
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

    def weights(strength: float) -> np.ndarray:
        exponent = direction * strength * r
        w = np.exp(np.maximum(exponent - exponent.max(), -700))  # a float is not 0 yet
        return n * w / w.sum()

    def spare(strength: float) -> float:
        return n**2 / (weights(strength) ** 2).sum() - MIN_EFFECTIVE_SHARE * n

    most = 1.0
    while spare(most) > 0 and most < STRONGEST:
        most *= 2
    most = brentq(spare, 0, most) if spare(most) < 0 else most
    if direction * (weights(most) @ r) <= 0:  # the mean is still on its side of 0, or just there
        return weights(most)
    return weights(brentq(lambda strength: weights(strength) @ r, 0, most, xtol=1e-14))


def drop_samples(
    rest: np.ndarray, labels: np.ndarray, groups: np.ndarray, n_of_class: Mapping[int, int], rng: np.random.Generator
) -> np.ndarray:
    """Which training samples to drop, at random: so many of each class, and no half of a pair where that can be.

    Samples of groups that have one class only come first; then whole groups with one sample of each class, while every
    class has some left to drop; then any.

    Parameters
    ----------
    rest
        Indices of the samples to choose from.
    labels, groups
        Of all samples, ``(n_samples,)``.
    n_of_class
        How many to drop of each class.

    Examples
    --------
    >>> labels, groups = np.array([0, 1, 0, 1, 0, 1]), np.array([7, 7, 8, 8, 9, 10])  # two pairs, and two alone
    >>> drop_samples(np.arange(6), labels, groups, {0: 1, 1: 0}, np.random.default_rng(0)).tolist()
    [4]
    >>> len(set(groups[drop_samples(np.arange(4), labels, groups, {0: 1, 1: 1}, np.random.default_rng(0))]))
    1
    """
    of_group = {g: labels[rest[groups[rest] == g]] for g in np.unique(groups[rest])}
    one_class = np.array([len(np.unique(of_group[g])) == 1 for g in groups[rest]], dtype=bool)
    dropped: list[int] = []
    left = dict(n_of_class)
    for c, n in n_of_class.items():
        alone = rest[one_class & (labels[rest] == c)]
        dropped += _choose(alone, min(n, len(alone)), rng)
        left[c] -= min(n, len(alone))
    pairs = [g for g, own in of_group.items() if len(own) == len(left) == len(np.unique(own))]
    for g in _choose(np.array(pairs), min(min(left.values()), len(pairs)), rng):
        dropped += rest[groups[rest] == g].tolist()
        left = {c: n - 1 for c, n in left.items()}
    for c, n in left.items():
        dropped += _choose(np.setdiff1d(rest[labels[rest] == c], dropped), n, rng)
    return np.array(sorted(dropped), dtype=int)


def _choose(values: np.ndarray, n: int, rng: np.random.Generator) -> list:
    """``n`` of the values; no random number is drawn for none."""
    if n == 0:
        return []
    return [rng.choice(values)] if n == 1 else rng.choice(values, n, replace=False).tolist()
