"""False discovery rate over many tests."""

from __future__ import annotations

import numpy as np


def benjamini_hochberg(p: np.ndarray) -> np.ndarray:
    r"""Adjust p-values for the false discovery rate; NaN, a test that was not made, stays NaN and is not counted.

    The i-th smallest of :math:`m` p-values becomes :math:`\min_{j \ge i} \min(1, p_{(j)} \, m / j)`.

    Parameters
    ----------
    p
        p-values of any shape, in [0, 1] or NaN; all are adjusted together.

    Returns
    -------
    Adjusted p-values, float64, in the shape of ``p``.

    Raises
    ------
    ValueError
        If a p-value lies outside of [0, 1].

    References
    ----------
    Benjamini & Hochberg (1995), Journal of the Royal Statistical Society B 57, 289.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import benjamini_hochberg
    >>> benjamini_hochberg(np.array([0.01, np.nan, 0.04]))
    array([0.02,  nan, 0.04])
    """
    from scipy.stats import false_discovery_control

    p = np.asarray(p, dtype=float)
    tested = ~np.isnan(p)
    outside = tested & ~((p >= 0) & (p <= 1))
    if outside.any():
        raise ValueError(f"p-values must lie in [0, 1], got {p[outside][0]}")
    adjusted = np.full(p.shape, np.nan)
    if tested.any():
        adjusted[tested] = false_discovery_control(p[tested], method="bh")
    return adjusted
