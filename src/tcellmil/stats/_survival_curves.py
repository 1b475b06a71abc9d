"""How many patients are still without the event, and whether groups of patients differ in that."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.stats._evaluation._resampling import check_level
from tcellmil.stats._evaluation._survival import checked_times


class LogRank(NamedTuple):
    """Result of :func:`logrank_test`.

    Parameters
    ----------
    statistic
        Chi-squared, with one degree of freedom fewer than there are groups.
    p
        Its p-value.
    """

    statistic: float
    p: float


@documented
def kaplan_meier(time: np.ndarray, event: np.ndarray, level: float = 0.95) -> pd.DataFrame:
    r"""Estimated share of patients without the event, at each time.

    With :math:`d_j` events and :math:`n_j` patients at risk at time :math:`t_j`, :math:`\hat S(t) = \prod_{t_j \le t}
    (1 - d_j / n_j)`. At equal times an event comes before a censoring. Intervals are pointwise, on the scale of
    :math:`\log(-\log \hat S)` and with Greenwood's variance, so that they stay within [0, 1].

    Parameters
    ----------
    %(time)s
    %(event)s
    %(level)s

    Returns
    -------
    One row for time 0, before anything happened, and one per distinct time: ``time``; ``survival``, in [0, 1], from
    this time on; ``ci_low`` and ``ci_high`` (both 1 before the first event, NaN where no patient is left without the
    event); ``n_at_risk``, just before this time; ``n_events`` and ``n_censored``, at this time.

    Raises
    ------
    ValueError
        If shapes do not fit, there is no patient, a value is not finite, a time is negative, ``event`` holds other than
        0 and 1, or ``level`` is out of range.

    References
    ----------
    Kaplan & Meier (1958), JASA 53, 457; Kalbfleisch & Prentice (2002), The Statistical Analysis of Failure Time Data.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import kaplan_meier
    >>> print(kaplan_meier(np.array([2.0, 3.0, 5.0]), np.array([1, 0, 1]))[["time", "survival", "n_at_risk"]].round(2))
       time  survival  n_at_risk
    0   0.0      1.00          3
    1   2.0      0.67          3
    2   3.0      0.67          2
    3   5.0      0.00          1
    """
    from scipy.stats import norm

    check_level(level)
    time, event = checked_times(time, event, at_least=1)
    times, row = np.unique(time, return_inverse=True)
    events = np.bincount(row, weights=event)
    leaving = np.bincount(row)
    at_risk = leaving[::-1].cumsum()[::-1]
    survival = np.cumprod(1 - events / at_risk)
    survival[at_risk == events] = 0  # exactly, without rounding
    with np.errstate(divide="ignore", invalid="ignore"):  # no log where S is 0 or 1
        spread = np.sqrt(np.cumsum(events / (at_risk * (at_risk - events)))) / np.abs(np.log(survival))
        low, high = (survival ** np.exp(sign * norm.ppf((1 + level) / 2) * spread) for sign in (1, -1))
    none_left, none_yet = survival == 0, np.cumsum(events) == 0
    low, high = (np.select([none_left, none_yet], [np.nan, 1.0], default=end) for end in (low, high))
    table = {
        "time": times,
        "survival": survival,
        "ci_low": low,
        "ci_high": high,
        "n_at_risk": at_risk,
        "n_events": events.astype(int),
        "n_censored": leaving - events.astype(int),
    }
    start = dict.fromkeys(table, 0) | {"survival": 1, "ci_low": 1, "ci_high": 1, "n_at_risk": len(time)}
    return pd.DataFrame({name: np.concatenate([[start[name]], values]) for name, values in table.items()})


def logrank_test(time: np.ndarray, event: np.ndarray, group: np.ndarray) -> LogRank:
    """Log-rank test that groups of patients have the same hazard at every time, by statsmodels.

    The groups must have been formed without the outcome, and censoring must not depend on the outcome.

    Parameters
    ----------
    time, event
        As in :func:`kaplan_meier`.
    group
        Group of each patient, ``(n_patients,)``; two or more.

    Raises
    ------
    ValueError
        If shapes or values are not possible, there are fewer than two groups, or no patient had the event while
        patients of two groups were at risk.

    References
    ----------
    Mantel (1966), Cancer Chemotherapy Reports 50, 163.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import logrank_test
    >>> result = logrank_test(np.arange(1.0, 9.0), np.ones(8), np.repeat(["early", "late"], 4))
    >>> round(result.statistic, 2), round(result.p, 4)
    (7.34, 0.0067)
    """
    from statsmodels.duration.survfunc import survdiff

    time, event = checked_times(time, event)
    group = np.asarray(group)
    if group.shape != time.shape:
        raise ValueError(f"group has shape {group.shape}, time {time.shape}; both must be (n_patients,)")
    names, code = np.unique(group, return_inverse=True)
    if len(names) < 2:
        raise ValueError(f"the log-rank test compares groups, but all {len(group)} patients are in one")
    compared = [len(np.unique(code[time >= t])) > 1 for t in np.unique(time[event])]
    if not any(compared):
        raise ValueError("no patient had the event while two groups were at risk; there is nothing to compare")
    statistic, p = survdiff(time, event.astype(int), code)
    return LogRank(float(statistic), float(p))
