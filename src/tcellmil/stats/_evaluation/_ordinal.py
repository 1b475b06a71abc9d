"""Metrics of a classifier of ordinal classes, and their intervals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.stats._evaluation._arrays import ratio
from tcellmil.stats._evaluation._classes import (
    METRICS,
    Absent,
    checked_predictions,
    resamples_of_present_classes,
    weighted_metrics,
)
from tcellmil.stats._evaluation._resampling import check_bootstrap, checked_groups, weighted_table

ORDINAL_METRICS = (*METRICS, "weighted_kappa", "mae_levels")


@documented
def ordinal_metrics(y_true: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    r"""Measure how well class probabilities match ordinal classes, such as grades of a response.

    Those of :func:`classification_metrics`, which do not see the order, and two that do:

    - ``weighted_kappa``: Cohen's kappa with quadratic weights,
      :math:`1 - \sum_{kl} (k - l)^2 o_{kl} / \sum_{kl} (k - l)^2 e_{kl}`, with :math:`o` the table of true and
      predicted classes and :math:`e` the one expected of the same margins by chance: 1 if all are right, 0 by chance.
    - ``mae_levels``: mean number of levels between the true and the predicted class.

    For these two the predicted class is the median of the probabilities: the first class up to which they sum to at
    least one half. Its expected distance from the true class is the least of all classes, and the most probable class
    may lie far from it: of 0.4, 0.25, 0.35 the median is the middle one. ``accuracy``, ``balanced_accuracy``, ``f1``,
    ``precision`` and ``recall`` keep the most probable class, so that they mean the same as without an order. With two
    classes both rules agree.

    Parameters
    ----------
    y_true
        Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1`` in the order of the classes. Levels are
        taken to be one apart.
    %(proba)s

    Returns
    -------
    The metrics by name: those of :func:`classification_metrics`, then weighted_kappa and mae_levels.

    Raises
    ------
    ValueError
        As :func:`classification_metrics`: among others, if a class has no patient.

    References
    ----------
    Cohen (1968), Psychological Bulletin 70, 213 (weighted kappa); Cao et al. (2020), Pattern Recognition Letters 140,
    325 (the median class, as the number of levels that are exceeded with a probability above one half). Same kappa as
    scikit-learn's ``cohen_kappa_score(weights="quadratic")``.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import ordinal_metrics
    >>> proba = np.array([[0.8, 0.1, 0.1], [0.4, 0.25, 0.35], [0.0, 0.6, 0.4]])
    >>> metrics = ordinal_metrics(np.array([0, 1, 2]), proba)
    >>> round(metrics["accuracy"], 3), round(metrics["mae_levels"], 3), round(metrics["weighted_kappa"], 3)
    (0.333, 0.333, 0.667)
    """
    y_true, proba = checked_predictions(y_true, proba)
    values = weighted_ordinal_metrics(y_true, proba, np.ones((1, len(y_true))))[0]
    return dict(zip(ORDINAL_METRICS, values.tolist(), strict=True))


@documented
def bootstrap_ordinal(
    y_true: np.ndarray,
    proba: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
    absent: Absent = "error",
) -> pd.DataFrame:
    """Metrics of a classifier of ordinal classes with percentile bootstrap intervals over patients.

    The resamples are those of :func:`bootstrap_metrics`: every class is in every resample.

    Parameters
    ----------
    y_true
        Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1`` in the order of the classes.
    %(proba)s
    %(n_boot)s
    %(level)s
    %(bootstrap_seed)s
    %(bootstrap_groups)s
    %(absent)s

    Returns
    -------
    One row per metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`ordinal_metrics`.

    Raises
    ------
    ValueError
        If a class has no patient (with ``absent="error"``), or an argument is out of range.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_ordinal
    >>> y = np.arange(30) % 3
    >>> print(bootstrap_ordinal(y, np.eye(3)[y]).tail(2))
               metric  value  ci_low  ci_high   n
    8  weighted_kappa    1.0     1.0      1.0  30
    9      mae_levels    0.0     0.0      0.0  30
    """
    y_true, proba = checked_predictions(y_true, proba, absent)
    check_bootstrap(n_boot, level)
    counts = resamples_of_present_classes(y_true, n_boot, seed, checked_groups(groups))
    return weighted_table(ORDINAL_METRICS, partial(weighted_ordinal_metrics, y_true, proba), counts, level)


def weighted_ordinal_metrics(y_true: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The metrics under each row of ``weights``.

    Parameters
    ----------
    y_true, proba
        As ``checked_predictions`` returns them.
    weights
        ``(n_weightings, n_patients)``, at least 0, every class that has patients with a positive sum.

    Returns
    -------
    ``(n_weightings, n_metrics)``, columns as ``ORDINAL_METRICS``; NaN as in :func:`weighted_metrics`, and the kappa
    where all patients are of one class.
    """
    n_classes = proba.shape[1]
    called = median_class(proba)
    levels = np.arange(n_classes)
    squared_levels = (levels[:, None] - levels) ** 2
    of_class, of_call = weights @ np.eye(n_classes)[y_true], weights @ np.eye(n_classes)[called]
    total = weights.sum(axis=1)
    observed = weights @ (y_true - called) ** 2
    # Where the true classes differ, some disagreement is always expected by chance.
    expected = ((of_class @ squared_levels) * of_call).sum(axis=1) / total
    kappa = 1 - ratio(observed, expected, (of_class > 0).sum(axis=1) > 1)
    mae_levels = weights @ np.abs(y_true - called) / total
    return np.column_stack([weighted_metrics(y_true, proba, weights), kappa, mae_levels])


def median_class(proba: np.ndarray) -> np.ndarray:
    """The first class up to which the probabilities sum to at least one half, ``(n_patients,)``."""
    cumulative = proba.cumsum(axis=1)
    reached = cumulative / cumulative[:, -1:] >= 0.5 - 1e-12  # what rounding took from a half is still a half
    return reached.argmax(axis=1)
