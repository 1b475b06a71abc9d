"""Do two methods differ on the same patients?"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, check_count
from tcellmil._docs import documented
from tcellmil.stats._evaluation._classes import (
    METRICS,
    Metric,
    bootstrap_differences,
    checked_predictions,
    pairs_won,
    weighted_metrics,
)


def delong_test(y_true: np.ndarray, scores: np.ndarray, reference: np.ndarray) -> tuple[float, float]:
    r"""DeLong's test of the difference between two AUROCs on the same patients.

    With the structural components of a score, :math:`V_i = \frac{1}{n} \sum_j \psi(x_i, y_j)` of the m positive
    patients and :math:`W_j = \frac{1}{m} \sum_i \psi(x_i, y_j)` of the n negative ones (:math:`\psi` is 1 where the
    positive scores higher, 0.5 where equal), the difference of the AUROCs has the variance

    .. math:: \frac{\mathrm{var}(V - V')}{m} + \frac{\mathrm{var}(W - W')}{n}

    and is compared with a normal distribution.

    Parameters
    ----------
    y_true
        ``(n_patients,)``: 1 for positive, 0 for negative.
    scores, reference
        Two scores of each patient, ``(n_patients,)``, higher for positive.

    Returns
    -------
    Difference ``AUROC(scores) - AUROC(reference)`` and the two-sided p-value. Where the variance is 0, as for two
    scores that rank alike, p is 1 if the difference is 0, and NaN otherwise.

    Raises
    ------
    ValueError
        If lengths do not fit, or a class has fewer than two patients.

    References
    ----------
    DeLong, DeLong and Clarke-Pearson (1988), Biometrics 44, 837.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0, 0, 0, 1, 1, 1])
    >>> good, bad = np.array([0.1, 0.4, 0.3, 0.8, 0.7, 0.2]), np.array([0.6, 0.4, 0.3, 0.5, 0.7, 0.2])
    >>> difference, p = delong_test(y, good, bad)
    >>> round(difference, 2), round(p, 2)
    (0.22, 0.37)
    """
    from scipy.stats import norm

    y_true, scores, reference = (np.asarray(values) for values in (y_true, scores, reference))
    if not y_true.shape == scores.shape == reference.shape or y_true.ndim != 1:
        raise ValueError(f"shapes {y_true.shape}, {scores.shape} and {reference.shape} do not fit")
    positive = y_true == 1
    if positive.sum() < 2 or (~positive).sum() < 2:
        raise ValueError(
            f"DeLong's test needs two patients of each class, got {positive.sum()} and {(~positive).sum()}"
        )
    order = pairs_won(scores, positive) - pairs_won(reference, positive)
    difference = float(order.mean())
    of_positive, of_negative = order.mean(axis=1), order.mean(axis=0)
    variance = of_positive.var(ddof=1) / len(of_positive) + of_negative.var(ddof=1) / len(of_negative)
    if variance < 1e-15:
        return difference, 1.0 if abs(difference) < 1e-12 else np.nan
    return difference, float(2 * norm.sf(abs(difference) / np.sqrt(variance)))


def mcnemar_test(right: np.ndarray, right_reference: np.ndarray) -> tuple[float, float]:
    """McNemar's exact test of the difference between two accuracies on the same patients.

    Parameters
    ----------
    right, right_reference
        ``(n_patients,)`` bool: whether each patient was classified correctly by one method, and by the other.

    Returns
    -------
    Difference of the accuracies, and the two-sided p-value: among patients on which the methods differ, a binomial test
    of one half.

    Raises
    ------
    ValueError
        If lengths do not fit.

    References
    ----------
    McNemar (1947), Psychometrika 12, 153; computed by statsmodels.

    Examples
    --------
    >>> import numpy as np
    >>> mcnemar_test(np.array([True, True, True, False]), np.array([False, False, True, False]))
    (0.5, 0.5)
    """
    from statsmodels.stats.contingency_tables import mcnemar

    right, right_reference = np.asarray(right, dtype=bool), np.asarray(right_reference, dtype=bool)
    if right.shape != right_reference.shape or right.ndim != 1:
        raise ValueError(f"shapes {right.shape} and {right_reference.shape} do not fit")
    table = [[(right & right_reference).sum(), (right & ~right_reference).sum()]]
    table.append([(~right & right_reference).sum(), (~right & ~right_reference).sum()])
    p = float(mcnemar(table, exact=True).pvalue)
    return float(right.mean() - right_reference.mean()), min(p, 1.0)


@documented
def swap_test(
    y_true: np.ndarray,
    proba: np.ndarray,
    reference: np.ndarray,
    *,
    metrics: Sequence[Metric] = METRICS,
    n_permutations: int = 2000,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    r"""Paired permutation test over patients: what if the two methods' predictions of a patient were swapped?

    Under the null hypothesis it does not matter which method a prediction is from. Each permutation exchanges the
    predictions of each patient between the methods or not, at random, and computes the difference d of the metric
    again; two-sided :math:`p = (1 + \#\{|d^*| \ge |d|\}) / (1 + n)`.

    Parameters
    ----------
    %(y_true)s
    %(proba_reference)s
    metrics
        Which of :func:`classification_metrics`.
    n_permutations
        Number of permutations, at least 1.
    seed
        Seed of the exchanges.
    groups
        ``(n_patients,)`` codes: rows whose predictions are exchanged together, such as several samples of a patient.

    Returns
    -------
    Differences ``proba - reference`` and p-values, each ``(n_metrics,)``.

    Raises
    ------
    ValueError
        If shapes do not fit, a metric is not known, or there is no permutation.

    Examples
    --------
    >>> import numpy as np
    >>> y = np.array([0, 0, 1, 1])
    >>> good, bad = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.6, 0.2, 0.8, 0.3])
    >>> d, p = swap_test(y, np.column_stack([1 - good, good]), np.column_stack([1 - bad, bad]), metrics=["accuracy"])
    >>> d.tolist(), bool(p[0] > 0.4)
    ([0.5], True)
    """
    y_true, proba = checked_predictions(y_true, proba)
    _, reference = checked_predictions(y_true, reference)
    if proba.shape != reference.shape:
        raise ValueError(f"proba has shape {proba.shape}, reference {reference.shape}")
    n_permutations = check_count(n_permutations, "n_permutations")
    for name in metrics:
        check_choice(name, METRICS, "metrics")
    columns = [METRICS.index(name) for name in metrics]
    weights = np.ones((1, len(y_true)))

    def difference(a: np.ndarray, b: np.ndarray) -> np.ndarray:
        return (weighted_metrics(y_true, a, weights) - weighted_metrics(y_true, b, weights))[0, columns]

    observed = difference(proba, reference)
    member = np.arange(len(y_true)) if groups is None else np.unique(groups, return_inverse=True)[1]
    swaps = (np.random.default_rng(seed).random((n_permutations, member.max() + 1)) < 0.5)[:, member]
    permuted = [
        difference(np.where(swap[:, None], reference, proba), np.where(swap[:, None], proba, reference))
        for swap in swaps
    ]
    # A permutation that gives the same difference counts, whatever rounding does to it.
    as_large = (np.abs(permuted) >= np.abs(observed) - 1e-12).sum(axis=0)
    return observed, (1 + as_large) / (1 + n_permutations)


@documented
def compare_predictions(
    y_true: np.ndarray,
    proba: np.ndarray,
    reference: np.ndarray,
    *,
    in_pairs: bool = False,
    groups: np.ndarray | None = None,
    n_boot: int = 2000,
    n_permutations: int = 2000,
    seed: int = 0,
) -> pd.DataFrame:
    """Compare two methods on the same patients: interval and p-value of the difference of every metric.

    AUROC of two classes by :func:`delong_test`, accuracy by :func:`mcnemar_test`, all else by :func:`swap_test`. With
    groups, whose samples are not independent, all by :func:`swap_test`.

    Parameters
    ----------
    %(y_true)s
    %(proba_reference)s
    in_pairs
        AUROC was computed over pairs, each ranked by networks of its own (leave-pair-out). These pairs depend on each
        other in a way that no test here allows for, so that AUROC has no p-value.
    groups, n_boot, n_permutations, seed
        As in :func:`bootstrap_differences` and :func:`swap_test`.

    Returns
    -------
    One row per metric, in the order of :func:`classification_metrics`: ``difference_ci_low``, ``difference_ci_high``,
    ``p`` and ``test`` (``"DeLong"``, ``"McNemar"``, ``"exchange"`` or empty).

    Examples
    --------
    >>> import numpy as np
    >>> y, p = np.arange(8) % 2, np.linspace(0.1, 0.9, 8)
    >>> p = np.column_stack([1 - p, p])
    >>> compare_predictions(y, p, p[:, ::-1], n_boot=50, n_permutations=50)["test"].tolist()[:3]
    ['DeLong', 'exchange', 'McNemar']
    """
    low, high = bootstrap_differences(y_true, proba, reference, n_boot=n_boot, seed=seed, groups=groups)
    _, p = swap_test(y_true, proba, reference, n_permutations=n_permutations, seed=seed, groups=groups)
    test = np.full(len(METRICS), "exchange", dtype=object)
    accuracy, auroc = METRICS.index("accuracy"), METRICS.index("auroc")
    if groups is None:
        right = [(table.argmax(axis=1) == y_true) for table in (proba, reference)]
        p[accuracy], test[accuracy] = mcnemar_test(*right)[1], "McNemar"
    if in_pairs:
        low[auroc] = high[auroc] = p[auroc] = np.nan
        test[auroc] = ""
    elif groups is None and proba.shape[1] == 2 and np.bincount(y_true).min() > 1:
        p[auroc], test[auroc] = delong_test(y_true, proba[:, 1], reference[:, 1])[1], "DeLong"
    return pd.DataFrame({"difference_ci_low": low, "difference_ci_high": high, "p": p, "test": test})
