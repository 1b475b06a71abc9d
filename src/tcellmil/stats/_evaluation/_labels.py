"""How well labels that were given to cells match their true ones, where neither need know all of the other's."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tcellmil.stats._evaluation._arrays import ratio
from tcellmil.stats._evaluation._resampling import check_bootstrap, interval_table

LABEL_METRICS = ("accuracy", "balanced_accuracy", "macro_f1")


def bootstrap_labels(
    true: np.ndarray,
    predicted: np.ndarray,
    groups: np.ndarray | None = None,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
) -> pd.DataFrame:
    """Metrics of labels with percentile bootstrap intervals, in time and memory that do not grow with resampled cells.

    A resample is how often each distinct pair of a true and a predicted label was drawn or, with ``groups``, each
    group of cells. The means of balanced accuracy and macro F1 are over the labels that a resample has, as in
    scikit-learn. Of accuracy over cells the interval is Wilson's, which does not vanish where all labels are right.

    Parameters
    ----------
    true, predicted
        Codes of the labels in one list of names, ``(n_cells,)``, at least 0.
    groups
        ``(n_cells,)`` codes: cells that are drawn together, such as those of a donor.
    n_boot, level, seed
        As of :func:`tcellmil.stats.bootstrap_metrics`.

    Returns
    -------
    One row per metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (of what was drawn).

    Raises
    ------
    ValueError
        If an argument is out of range.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13; Wilson (1927), Journal of the American
    Statistical Association 22, 209.
    """
    check_bootstrap(n_boot, level)
    n_labels, rng = int(max(true.max(), predicted.max())) + 1, np.random.default_rng(seed)
    pairs, n_cells = np.unique(np.column_stack([true, predicted]), axis=0, return_counts=True)
    if groups is None:
        n, held = len(true), np.eye(len(pairs))
        drawn = rng.multinomial(n, n_cells / n, size=n_boot)
    else:
        n, pair_of_cell = int(groups.max()) + 1, np.unique(true * n_labels + predicted, return_inverse=True)[1]
        held = np.bincount(groups * len(pairs) + pair_of_cell, minlength=n * len(pairs)).reshape(n, len(pairs))
        drawn = rng.multinomial(n, np.full(n, 1 / n), size=n_boot)
    value = _metrics(n_cells[None], pairs, n_labels)[0]
    table = interval_table(LABEL_METRICS, value, _metrics(drawn @ held, pairs, n_labels), level, n)
    if groups is None:
        from statsmodels.stats.proportion import proportion_confint

        right = int((true == predicted).sum())
        table.loc[0, ["ci_low", "ci_high"]] = proportion_confint(right, n, alpha=1 - level, method="wilson")
    return table


def _metrics(n_cells: np.ndarray, pairs: np.ndarray, n_labels: int) -> np.ndarray:
    """The metrics of each row of ``n_cells``, ``(n_rows, n_pairs)``: how many cells there are of each pair."""
    true, predicted = (n_cells @ np.eye(n_labels)[codes] for codes in pairs.T)  # (row, label)
    right = (n_cells * (pairs[:, 0] == pairs[:, 1])) @ np.eye(n_labels)[pairs[:, 0]]
    recall = ratio(right, true, true > 0)
    f1 = ratio(2 * right, true + predicted, true + predicted > 0)
    return np.column_stack([right.sum(axis=1) / true.sum(axis=1), np.nanmean(recall, axis=1), np.nanmean(f1, axis=1)])
