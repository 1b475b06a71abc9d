"""Metrics of the patients that have an outcome and a prediction."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tcellmil.data import Bags


def evaluate(bags: Bags, predicted: np.ndarray, pair_order: np.ndarray | None = None) -> dict[str, float]:
    """Metrics by name.

    Parameters
    ----------
    bags
        Holds what was observed.
    predicted
        ``(n_bags, n_outputs)``, NaN without a prediction.
    pair_order
        Of leave-pair-out, as in :func:`tcellmil.stats.bootstrap_metrics`.
    """
    known, codes, targets = _known(bags, predicted)
    return bags.outcome.measure(codes, targets, predicted[known], pair_order)


def evaluate_with_intervals(
    bags: Bags, predicted: np.ndarray, pair_order: np.ndarray | None = None, **options
) -> pd.DataFrame:
    """The same as a table with intervals over patients; ``options`` are those of the bootstrap.

    Raises
    ------
    ValueError
        If no patient has both an outcome and a prediction.
    """
    known, codes, targets = _known(bags, predicted)
    if not known.any():
        raise ValueError("no labelled patient was held out by any fold; there is nothing to measure")
    options["groups"] = None if bags.groups is None else bags.groups[known]
    return bags.outcome.measure_with_intervals(codes, targets, predicted[known], pair_order, **options)


def evaluate_new(bags: Bags, predicted: np.ndarray, **options) -> tuple[pd.DataFrame | None, str]:
    """Metrics of new patients with intervals, of whom there may be too few.

    Parameters
    ----------
    bags, predicted
        As in :func:`evaluate`.
    **options
        Those of the bootstrap, in their ranges.

    Returns
    -------
    The table, or ``None`` where there is nothing to measure; and what is not defined and why, empty where all is. Of a
    single patient there is no interval.
    """
    known, codes, targets = _known(bags, predicted)
    if not known.any():
        return None, "no patient has a known outcome"
    groups = None if bags.groups is None else bags.groups[known]
    table, lacking = bags.outcome.measure_new(codes, targets, predicted[known], groups=groups, **options)
    n_patients = int(known.sum()) if groups is None else len(np.unique(groups))
    if table is not None and n_patients == 1:
        table[["ci_low", "ci_high"]] = np.nan
    return table, lacking


def _known(bags: Bags, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Which patients count, and their codes and targets."""
    known = (bags.labels >= 0) & np.isfinite(predicted).all(axis=1)
    return known, bags.labels[known], None if bags.targets is None else bags.targets[known].astype(float)
