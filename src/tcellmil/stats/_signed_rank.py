"""Paired changes of the patients, one test per column."""

from __future__ import annotations

import numpy as np

MAX_EXACT = 50  # changes; beyond, the normal approximation is as good (scipy's limit)


def signed_rank_by_column(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""Wilcoxon signed-rank test of each column: are the patients' changes symmetric about 0?

    With the ranks :math:`r_i` of :math:`|d_i|` (ties share their mean rank) among the changes of a column that are
    neither 0 nor NaN, the statistic is

    .. math:: W = \min\Big(\sum_{d_i > 0} r_i, \; \sum_{d_i < 0} r_i\Big)

    and the p-value is two-sided: exact, also with ties, up to 50 changes, and from the normal approximation beyond.
    Each column is tested on its own: ``scipy.stats.wilcoxon`` on a table chooses the method once for all columns, and
    with ties it is exact only up to 13 changes.

    Parameters
    ----------
    values
        Changes, ``(n_patients, n_tests)``. NaN is a patient without a value.

    Returns
    -------
    statistic, p
        Each ``(n_tests,)``; NaN where no change differs from 0, because nothing was tested.

    Raises
    ------
    ValueError
        If ``values`` is not a table or holds infinite values.

    References
    ----------
    Wilcoxon (1945), Biometrics Bulletin 1, 80; Streitberg & Röhmel (1986), Statistical Software Newsletter 12, 10
    (exact distribution with ties, by shifting and adding).

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import signed_rank_by_column
    >>> statistic, p = signed_rank_by_column(np.array([[0.1, 0.0], [0.3, 0.0], [0.2, 0.0], [0.5, 0.0]]))
    >>> statistic, p
    (array([ 0., nan]), array([0.125,   nan]))
    """
    from scipy.stats import wilcoxon

    values = np.asarray(values, dtype=float)
    if values.ndim != 2:
        raise ValueError(f"values must be (n_patients, n_tests), got shape {values.shape}")
    if np.isinf(values).any():
        raise ValueError(f"values holds {int(np.isinf(values).sum())} infinite values; a change must be finite or NaN")
    statistic, p = np.full((2, values.shape[1]), np.nan)
    for column, changes in enumerate(values.T):
        changes = changes[(changes != 0) & ~np.isnan(changes)]
        if changes.size > MAX_EXACT:
            statistic[column], p[column] = wilcoxon(changes, method="asymptotic")
        elif changes.size:
            statistic[column], p[column] = _exact(changes)
    return statistic, p


def _exact(changes: np.ndarray) -> tuple[float, float]:
    """Statistic and p-value over all 2**n assignments of signs to the ranks."""
    from scipy.stats import rankdata

    doubled_ranks = (2 * rankdata(np.abs(changes))).astype(int)  # mean ranks of ties end in .5
    of_positive = doubled_ranks[changes > 0].sum()
    probability = np.ones(1)  # of each sum of the doubled ranks with a positive sign
    for rank in doubled_ranks:
        probability = (np.pad(probability, (0, rank)) + np.pad(probability, (rank, 0))) / 2
    tail = min(probability[: of_positive + 1].sum(), probability[of_positive:].sum())
    return min(of_positive, doubled_ranks.sum() - of_positive) / 2, min(1.0, 2 * tail)
