"""Intervals over patients for the metrics of predicted numbers, ordered classes and survival."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tcellmil.stats._bootstrap import check_bootstrap, class_resamples, draw_resamples, interval_table
from tcellmil.stats._metrics import checked_predictions
from tcellmil.stats._outcome_metrics import (
    ORDERED_METRICS,
    REGRESSION_METRICS,
    SURVIVAL_METRICS,
    checked_regression,
    checked_survival,
    comparable_pairs,
    varies,
    weighted_ordered_metrics,
    weighted_regression_metrics,
    weighted_survival_metrics,
)


def bootstrap_regression(
    y: np.ndarray,
    predicted: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Metrics of predicted numbers with percentile bootstrap intervals over patients.

    As :func:`bootstrap_metrics`. A resample in which all patients have one outcome or one prediction has no
    correlation and is drawn again. A metric that is not defined for all patients together is NaN, and so are its ends.

    Parameters
    ----------
    y
        Outcome of each patient, ``(n_patients,)``.
    predicted
        What was predicted for each, ``(n_patients,)``, in the same unit.
    n_boot
        Number of resamples, at least 1.
    level
        Coverage that the intervals aim at, in (0, 1).
    seed
        Seed of the resamples.
    groups
        ``(n_patients,)`` codes: rows that are drawn together, such as several samples of a patient.

    Returns
    -------
    One row a metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`regression_metrics`.

    Raises
    ------
    ValueError
        If outcomes and predictions do not fit, an argument is out of range, or hardly any resample has two different
        outcomes and predictions.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_regression
    >>> y = np.arange(20.0)
    >>> print(bootstrap_regression(y, y + 1).iloc[[1, 3]])
        metric  value  ci_low  ci_high   n
    1  pearson    1.0     1.0      1.0  20
    3      mae    1.0     1.0      1.0  20
    """
    y, predicted = checked_regression(y, predicted)
    check_bootstrap(n_boot, level)
    everybody = np.ones((1, len(y)))
    varying = [values for values in (y, predicted) if varies(values, everybody)[0]]

    def usable(counts):
        return np.all([np.ones(len(counts), dtype=bool), *(varies(values, counts) for values in varying)], axis=0)

    counts = draw_resamples(
        len(y),
        n_boot,
        seed,
        _checked_groups(groups),
        usable,
        f"resamples of {len(y)} patients hardly ever hold two different outcomes and two different predictions; "
        "add patients",
    )
    return _table(REGRESSION_METRICS, lambda weights: weighted_regression_metrics(y, predicted, weights), counts, level)


def bootstrap_ordered(
    y_true: np.ndarray,
    proba: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Metrics of a classifier of ordered classes with percentile bootstrap intervals over patients.

    As :func:`bootstrap_metrics`, with the same resamples and two metrics more; every class is in every resample.

    Parameters
    ----------
    y_true
        Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1`` in the order of the classes.
    proba
        Probability of each class, ``(n_patients, n_classes)``.
    n_boot, level, seed, groups
        As in :func:`bootstrap_regression`.

    Returns
    -------
    One row a metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`ordered_metrics`.

    Raises
    ------
    ValueError
        If a class has no patient, or an argument is out of range.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_ordered
    >>> y = np.arange(30) % 3
    >>> print(bootstrap_ordered(y, np.eye(3)[y]).tail(2))
               metric  value  ci_low  ci_high   n
    8  weighted_kappa    1.0     1.0      1.0  30
    9      mae_levels    0.0     0.0      0.0  30
    """
    y_true, proba = checked_predictions(y_true, proba)
    check_bootstrap(n_boot, level)
    counts = class_resamples(y_true, proba.shape[1], n_boot, seed, _checked_groups(groups))
    return _table(ORDERED_METRICS, lambda weights: weighted_ordered_metrics(y_true, proba, weights), counts, level)


def bootstrap_survival(
    time: np.ndarray,
    event: np.ndarray,
    risk: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Concordance of predicted risks with percentile bootstrap intervals over patients.

    As :func:`bootstrap_metrics`. A resample without a comparable pair is drawn again, and every resample estimates its
    own censoring. With a handful of events the intervals are too narrow.

    Parameters
    ----------
    time
        Time to the event or to the end of observation, ``(n_patients,)``, at least 0, in any unit.
    event
        Whether it was the event (1 or True) or the observation ended without one (0 or False: censored).
    risk
        Predicted risk, ``(n_patients,)``; higher for an earlier event.
    n_boot, level, seed, groups
        As in :func:`bootstrap_regression`.

    Returns
    -------
    One row a metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`survival_metrics`.

    Raises
    ------
    ValueError
        If the arrays do not fit, no or hardly any pair of patients is comparable, or an argument is out of range.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_survival
    >>> time = np.arange(1.0, 21.0)
    >>> print(bootstrap_survival(time, np.arange(20) % 2, -time))
                 metric  value  ci_low  ci_high   n
    0       concordance    1.0     1.0      1.0  20
    1  concordance_ipcw    1.0     1.0      1.0  20
    """
    time, event, risk = checked_survival(time, event, risk)
    check_bootstrap(n_boot, level)
    comparable = comparable_pairs(time, event).astype(float)
    counts = draw_resamples(
        len(time),
        n_boot,
        seed,
        _checked_groups(groups),
        lambda counts: ((counts @ comparable) * counts).sum(axis=1) > 0,
        f"resamples of {len(time)} patients, {int(event.sum())} of them with the event, hardly ever hold a comparable "
        "pair; add patients",
    )
    return _table(
        SURVIVAL_METRICS, lambda weights: weighted_survival_metrics(time, event, risk, weights), counts, level
    )


def _checked_groups(groups: np.ndarray | None) -> np.ndarray | None:
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError("groups puts all rows into one group, so that every resample is the same; give at least two")
    return groups


def _table(
    metrics: Sequence[str], weighted: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, level: float
) -> pd.DataFrame:
    n_patients = counts.shape[1]
    return interval_table(metrics, weighted(np.ones((1, n_patients)))[0], weighted(counts), level, n_patients)
