"""Intervals of the metrics over patients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tcellmil.stats._metrics import METRICS, checked_predictions, weighted_metrics

MAX_DRAWS = 1_000  # rounds of drawing again before saying that the classes are too small


def bootstrap_metrics(
    y_true: np.ndarray,
    proba: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    pair_order: np.ndarray | None = None,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Metrics of a classifier with percentile bootstrap intervals over patients.

    A resample draws ``n_patients`` patients with replacement; the interval of a metric is between the
    ``(1 - level) / 2`` and ``(1 + level) / 2`` quantiles of its values over the resamples. A resample that lacks a
    class has no AUROC and is drawn again, so the intervals are conditional on seeing every class. They tell how the
    metrics would vary over patients for these predictions; they do not include refitting the model.

    Resamples are weightings of the same patients by how often each was drawn, so all are computed at once.

    Parameters
    ----------
    y_true
        Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1``; class 1 of two is the positive one.
    proba
        Probability of each class, ``(n_patients, n_classes)``.
    n_boot
        Number of resamples, at least 1.
    level
        Coverage that the intervals aim at, in (0, 1).
    seed
        Seed of the resamples.
    pair_order
        ``(n_positive, n_negative)`` in [0, 1], rows and columns in the order of ``y_true``: 1 where the positive
        patient of a pair was ranked above the negative by a model that saw neither, 0.5 for a tie (or the mean over
        seeds).
        The AUROC is then the mean over these pairs (leave-pair-out), because probabilities of different models
        need not be comparable. Two classes only.
    groups
        ``(n_patients,)`` codes: rows that are drawn together, such as several samples of a patient.

    Returns
    -------
    One row a metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`classification_metrics`.

    Raises
    ------
    ValueError
        If a class has no patient, or an argument is out of range.

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
    y_true, proba = checked_predictions(y_true, proba)
    check_bootstrap(n_boot, level)
    if pair_order is not None:
        pair_order = _checked_pair_order(pair_order, y_true, proba.shape[1])

    counts = class_resamples(y_true, proba.shape[1], n_boot, seed, groups)
    value = weighted_metrics(y_true, proba, np.ones((1, len(y_true))), pair_order)[0]
    resampled = weighted_metrics(y_true, proba, counts, pair_order)
    return interval_table(METRICS, value, resampled, level, len(y_true))


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

    The same patients are drawn for both in every resample, as :func:`bootstrap_metrics` draws them.

    Parameters
    ----------
    y_true
        Class codes, ``(n_patients,)``.
    proba, reference
        Class probabilities of each classifier, ``(n_patients, n_classes)``.
    n_boot, level, seed, groups
        As in :func:`bootstrap_metrics`.

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


def check_bootstrap(n_boot: int, level: float) -> None:
    """ValueError if there is no such number of resamples or no such level."""
    if n_boot < 1:
        raise ValueError(f"n_boot={n_boot} must be at least 1")
    if not 0 < level < 1:
        raise ValueError(f"level={level} must be between 0 and 1, such as 0.95")


def interval_table(
    metrics: Sequence[str], value: np.ndarray, resampled: np.ndarray, level: float, n_patients: int
) -> pd.DataFrame:
    """A row a metric, from its value and its values over the resamples, ``(n_boot, n_metrics)``."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame({"metric": metrics, "value": value, "ci_low": low, "ci_high": high, "n": n_patients})


def draw_resamples(
    n_patients: int,
    n_boot: int,
    seed: int,
    groups: np.ndarray | None,
    usable: Callable[[np.ndarray], np.ndarray],
    complaint: str,
) -> np.ndarray:
    """How often each resample drew each patient, ``(n_boot, n_patients)``.

    ``usable`` says of such counts which rows will do; the others are drawn again. ``complaint`` is the ValueError if
    some never will.
    """
    if groups is not None and np.shape(groups) != (n_patients,):
        raise ValueError(f"groups has shape {np.shape(groups)}, but there are {n_patients} patients")
    rng = np.random.default_rng(seed)
    member = np.arange(n_patients) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_groups = int(member.max()) + 1
    counts = np.zeros((n_boot, n_patients))
    lacking = np.arange(n_boot)
    for _ in range(MAX_DRAWS):
        counts[lacking] = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=len(lacking))[:, member]
        lacking = lacking[~usable(counts[lacking])]
        if not lacking.size:
            return counts
    raise ValueError(complaint)


def class_resamples(
    y_true: np.ndarray, n_classes: int, n_boot: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """As :func:`draw_resamples`; every class is in every resample."""
    is_class = np.eye(n_classes)[y_true]
    return draw_resamples(
        len(y_true),
        n_boot,
        seed,
        groups,
        lambda counts: (counts @ is_class > 0).all(axis=1),
        f"resamples of {len(y_true)} patients in {n_classes} classes hardly ever hold every class "
        f"(the smallest has {int(np.bincount(y_true).min())}); merge classes or add patients",
    )


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
