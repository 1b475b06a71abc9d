"""Metrics of a classifier, for one or many weightings of the same patients at once, and their intervals."""

from __future__ import annotations

from typing import Literal, get_args

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil.stats._evaluation._arrays import ratio
from tcellmil.stats._evaluation._resampling import check_bootstrap, class_resamples, interval_table

Metric = Literal["auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "brier"]
METRICS = get_args(Metric)
#: Metrics that are not defined unless every class has patients.
OF_EVERY_CLASS: tuple[Metric, ...] = ("auroc", "auprc", "balanced_accuracy", "f1", "precision", "recall")

Absent = Literal["error", "nan"]


@documented
def classification_metrics(y_true: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    r"""Measure how well class probabilities match the classes of the patients.

    The predicted class is the most probable one (the first of them, if tied).

    - ``auroc``: share of pairs (a patient of the class, one of the others) that the probability orders correctly; a tie
      counts half.
    - ``auprc``: average precision :math:`\sum_n (R_n - R_{n-1}) P_n` over the distinct thresholds, highest first,
      without interpolation.
    - ``accuracy``; ``balanced_accuracy``: the mean recall over the classes.
    - ``precision``, ``recall``, ``f1``: 0 where nothing was predicted to be of the class.
    - ``brier``: mean of :math:`(p_1 - y)^2`.

    With two classes, class 1 is the positive one. With more, ``auroc`` and ``auprc`` are the means over the classes of
    one against the rest, ``precision``, ``recall`` and ``f1`` the plain means over the classes, and ``brier`` is the
    mean of :math:`\sum_c (p_c - [y = c])^2`, so that it lies in [0, 2] and not in [0, 1] as with two classes.

    Parameters
    ----------
    %(y_true)s
    %(proba)s

    Returns
    -------
    The metrics by name, in the order above: auroc, auprc, accuracy, balanced_accuracy, f1, precision, recall, brier.

    Raises
    ------
    ValueError
        If shapes do not fit, the values are not probabilities, or a class has no patient (its AUROC is undefined).

    References
    ----------
    Hand & Till (2001), Machine Learning 45, 171 (AUROC of several classes); Brier (1950), Monthly Weather Review 78, 1.
    Same definitions as scikit-learn's.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import classification_metrics
    >>> p = np.array([0.1, 0.6, 0.4, 0.9])
    >>> metrics = classification_metrics(np.array([0, 0, 1, 1]), np.column_stack([1 - p, p]))
    >>> metrics["auroc"], metrics["accuracy"]
    (0.75, 0.5)
    """
    y_true, proba = checked_predictions(y_true, proba)
    values = weighted_metrics(y_true, proba, np.ones((1, len(y_true))))[0]
    return dict(zip(METRICS, values.tolist(), strict=True))


@documented
def bootstrap_metrics(
    y_true: np.ndarray,
    proba: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    pair_order: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    absent: Absent = "error",
) -> pd.DataFrame:
    """Metrics of a classifier with percentile bootstrap intervals over patients.

    A resample draws ``n_patients`` patients with replacement; the interval of a metric is between the
    ``(1 - level) / 2`` and ``(1 + level) / 2`` quantiles of its values over the resamples. A resample that lacks a
    class has no AUROC and is drawn again, so the intervals are conditional on seeing every class. They say how the
    metrics would vary over patients for these predictions, and do not include refitting the model.

    A resample is a weighting of the patients by how often each was drawn, so all are computed at once.

    Parameters
    ----------
    %(y_true)s
    %(proba)s
    %(n_boot)s
    %(level)s
    %(bootstrap_seed)s
    pair_order
        ``(n_positive, n_negative)`` in [0, 1], rows and columns in the order of ``y_true``: 1 where the positive
        patient of a pair was ranked above the negative by a model that saw neither, 0.5 for a tie (or the mean over
        seeds). The AUROC is then the mean over these pairs (leave-pair-out), because probabilities of different models
        need not be comparable. Two classes only.
    %(bootstrap_groups)s
    %(absent)s

    Returns
    -------
    One row per metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`classification_metrics`.

    Raises
    ------
    ValueError
        If a class has no patient (with ``absent="error"``), or an argument is out of range.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; Airola et al. (2011), Computational
    Statistics & Data Analysis 55, 1828 (leave-pair-out).

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_metrics
    >>> p = np.linspace(0, 1, 20)
    >>> table = bootstrap_metrics(np.repeat([0, 1], 10), np.column_stack([1 - p, p]))
    >>> print(table.head(1))
      metric  value  ci_low  ci_high   n
    0  auroc    1.0     1.0      1.0  20
    """
    y_true, proba = checked_predictions(y_true, proba, absent)
    check_bootstrap(n_boot, level)
    if pair_order is not None:
        pair_order = _checked_pair_order(pair_order, y_true, proba.shape[1])

    counts = resamples_of_present_classes(y_true, n_boot, seed, groups)
    value = weighted_metrics(y_true, proba, np.ones((1, len(y_true))), pair_order)[0]
    resampled = weighted_metrics(y_true, proba, counts, pair_order)
    return interval_table(METRICS, value, resampled, level, len(y_true))


def resamples_of_present_classes(y_true: np.ndarray, n_boot: int, seed: int, groups: np.ndarray | None) -> np.ndarray:
    """How often each resample drew each patient; every class that has patients is in every resample."""
    present, codes = np.unique(y_true, return_inverse=True)
    return class_resamples(codes, len(present), n_boot, seed, groups)


@documented
def bootstrap_differences(
    y_true: np.ndarray,
    proba: np.ndarray,
    reference: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Intervals of the difference of each metric between two classifiers of the same patients.

    Every resample draws the same patients for both, as in :func:`bootstrap_metrics`.

    Parameters
    ----------
    %(y_true)s
    %(proba_reference)s
    %(n_boot)s
    %(level)s
    %(bootstrap_seed)s
    %(bootstrap_groups)s

    Returns
    -------
    Lower and upper end of ``proba - reference``, each ``(n_metrics,)``, metrics as in :func:`classification_metrics`.

    Examples
    --------
    >>> import numpy as np
    >>> y, p = np.arange(20) % 2, np.linspace(0, 1, 20)
    >>> p = np.column_stack([1 - p, p])
    >>> low, high = bootstrap_differences(y, p, p, n_boot=10)
    >>> bool((low == 0).all() and (high == 0).all())
    True
    """
    y_true, proba = checked_predictions(y_true, proba)
    _, reference = checked_predictions(y_true, reference)
    counts = class_resamples(y_true, proba.shape[1], n_boot, seed, groups)
    difference = weighted_metrics(y_true, proba, counts) - weighted_metrics(y_true, reference, counts)
    low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return low, high


def checked_predictions(
    y_true: np.ndarray, proba: np.ndarray, absent: Absent = "error"
) -> tuple[np.ndarray, np.ndarray]:
    """Both as arrays, int and float64, or a ValueError that says what does not fit."""
    y_true, proba = np.asarray(y_true), np.asarray(proba, dtype=float)
    if proba.ndim != 2 or proba.shape[1] < 2:
        raise ValueError(f"proba must be (n_patients, n_classes) with at least 2 classes, got shape {proba.shape}")
    n_classes = proba.shape[1]
    if y_true.shape != proba.shape[:1]:
        raise ValueError(f"y_true has shape {y_true.shape}, but proba has {len(proba)} patients")
    if y_true.dtype.kind not in "iub":
        raise ValueError(f"y_true must be integer class codes, got {y_true.dtype}")
    y_true = y_true.astype(int)
    if y_true.size and not (0 <= y_true.min() and y_true.max() < n_classes):
        raise ValueError(
            f"y_true must be codes 0 to {n_classes - 1}, got {y_true.min()} to {y_true.max()}; "
            "leave out patients without a label"
        )
    if not np.isfinite(proba).all():
        raise ValueError(f"proba holds {int((~np.isfinite(proba)).sum())} NaN or infinite values")
    if (proba < 0).any() or (np.abs(proba.sum(axis=1) - 1) > 1e-3).any():
        raise ValueError("proba must be probabilities: at least 0, and summing to 1 in every row")
    check_choice(absent, get_args(Absent), "absent")
    without = np.setdiff1d(np.arange(n_classes), y_true)
    if not y_true.size or (without.size and absent == "error"):
        raise ValueError(f"no patient is of class {', '.join(map(str, without))}: AUROC needs patients of every class")
    return y_true, proba


def weighted_metrics(
    y_true: np.ndarray, proba: np.ndarray, weights: np.ndarray, pair_order: np.ndarray | None = None
) -> np.ndarray:
    """The metrics under each row of ``weights``.

    Parameters
    ----------
    y_true, proba
        As :func:`checked_predictions` returns them.
    weights
        ``(n_weightings, n_patients)``, at least 0, every class that has patients with a positive sum; in a bootstrap,
        how often a resample drew each patient.
    pair_order
        ``(n_positive, n_negative)``: used for the AUROC in place of comparing probabilities; two classes only.

    Returns
    -------
    ``(n_weightings, n_metrics)``, columns as ``METRICS``; those of ``OF_EVERY_CLASS`` NaN where a class has no patient.
    """
    n_classes = proba.shape[1]
    every_class = len(np.unique(y_true)) == n_classes
    binary = n_classes == 2
    classes = [1] if binary else range(n_classes)
    is_class = y_true[:, None] == np.arange(n_classes)
    kernels = [pairs_won(proba[:, c], is_class[:, c]) for c in classes] if pair_order is None else [pair_order]
    auroc = auprc = [np.full(len(weights), np.nan)]
    if every_class:
        auroc = [_weighted_auroc(k, is_class[:, c], weights) for k, c in zip(kernels, classes, strict=True)]
        auprc = [_weighted_average_precision(is_class[:, c], proba[:, c], weights) for c in classes]

    # (weighting, true class, predicted class)
    cell = y_true * n_classes + proba.argmax(axis=1)
    confusion = (weights @ np.eye(n_classes**2)[cell]).reshape(-1, n_classes, n_classes)
    right, of_class, called = confusion.diagonal(axis1=1, axis2=2), confusion.sum(axis=2), confusion.sum(axis=1)
    recall = ratio(right, of_class, of_class > 0, otherwise=0.0)
    precision = ratio(right, called, called > 0, otherwise=0.0)
    f1 = ratio(2 * right, of_class + called, of_class + called > 0, otherwise=0.0)

    squared_error = (proba[:, 1] - y_true) ** 2 if binary else ((proba - is_class) ** 2).sum(axis=1)
    by_name = {
        "auroc": np.mean(auroc, axis=0),
        "auprc": np.mean(auprc, axis=0),
        "accuracy": right.sum(axis=1) / weights.sum(axis=1),
        "balanced_accuracy": recall.mean(axis=1),
        "f1": f1[:, classes].mean(axis=1),
        "precision": precision[:, classes].mean(axis=1),
        "recall": recall[:, classes].mean(axis=1),
        "brier": weights @ squared_error / weights.sum(axis=1),
    }
    by_name |= {} if every_class else {name: np.full(len(weights), np.nan) for name in OF_EVERY_CLASS}
    return np.column_stack([by_name[name] for name in METRICS])


def pairs_won(score: np.ndarray, positive: np.ndarray) -> np.ndarray:
    """1 where the positive patient (row) scores above the negative (column), 0.5 where equal, else 0."""
    difference = score[positive][:, None] - score[~positive]
    return (np.sign(difference) + 1) / 2


def _weighted_auroc(pair_order: np.ndarray, positive: np.ndarray, weights: np.ndarray) -> np.ndarray:
    of_positive, of_negative = weights[:, positive], weights[:, ~positive]
    won = ((of_positive @ pair_order) * of_negative).sum(axis=1)
    return won / (of_positive.sum(axis=1) * of_negative.sum(axis=1))


def _weighted_average_precision(positive: np.ndarray, score: np.ndarray, weights: np.ndarray) -> np.ndarray:
    order = np.argsort(-score, kind="stable")
    last_of_tie = np.append(np.diff(score[order]) != 0, True)  # patients of one score pass a threshold together
    called = weights[:, order].cumsum(axis=1)[:, last_of_tie]
    right = (weights * positive)[:, order].cumsum(axis=1)[:, last_of_tie]
    recall = right / right[:, -1:]
    return (np.diff(recall, axis=1, prepend=0) * ratio(right, called, called > 0, otherwise=0.0)).sum(axis=1)


def _checked_pair_order(pair_order: np.ndarray, y_true: np.ndarray, n_classes: int) -> np.ndarray:
    if n_classes != 2:
        raise ValueError(f"pair_order needs two classes, there are {n_classes}")
    pair_order = np.asarray(pair_order, dtype=float)
    expected = (int((y_true == 1).sum()), int((y_true == 0).sum()))
    if pair_order.shape != expected:
        raise ValueError(f"pair_order has shape {pair_order.shape}, expected {expected}: patients of class 1 x class 0")
    if not ((pair_order >= 0) & (pair_order <= 1)).all():
        raise ValueError("pair_order must lie in [0, 1] for every pair; a pair without a prediction has no order")
    return pair_order
