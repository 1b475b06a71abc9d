"""Weights of training patients that keep the mean of their outcomes where it is."""

from __future__ import annotations

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
