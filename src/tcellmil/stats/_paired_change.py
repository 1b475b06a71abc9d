"""The change within patients, its mean and its test."""

from __future__ import annotations

import numpy as np

from tcellmil.stats._signed_rank import signed_rank_by_column


def mean_change(changes: np.ndarray, level: float = 0.95) -> dict[str, float]:
    r"""Mean of the patients' changes with Student's interval, and Wilcoxon's signed-rank test that they centre on 0.

    The interval is :math:`\bar d \pm t_{n - 1} \, s / \sqrt n`. A bootstrap of a handful of changes is too narrow: of
    five normal changes, percentiles of the resampled mean cover the true one in 84% of draws at a nominal 95%.

    Parameters
    ----------
    changes
        ``(n_patients,)``, finite.
    level
        Nominal coverage of the interval.

    Returns
    -------
    ``mean_change``, ``ci_low``, ``ci_high`` (NaN for fewer than two patients), ``statistic``, ``p`` (exact up to 50
    patients; NaN where no change differs from 0).

    Examples
    --------
    >>> {name: round(float(value), 3) for name, value in mean_change(np.array([1.0, 2.0, 3.0])).items()}
    {'mean_change': 2.0, 'ci_low': -0.484, 'ci_high': 4.484, 'statistic': 0.0, 'p': 0.25}
    """
    from scipy.stats import t

    changes = np.asarray(changes, dtype=float)
    n = len(changes)
    mean = changes.mean() if n else np.nan
    reach = t.ppf((1 + level) / 2, n - 1) * changes.std(ddof=1) / np.sqrt(n) if n > 1 else np.nan
    statistic, p = signed_rank_by_column(changes[:, None])
    found = {"mean_change": mean, "ci_low": mean - reach, "ci_high": mean + reach}
    return found | {"statistic": statistic[0], "p": p[0]}
