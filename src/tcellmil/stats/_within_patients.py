"""Which columns go with a value of the cells: correlations inside the patients, tested over patients."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tcellmil.stats._fdr import benjamini_hochberg
from tcellmil.stats._mixed_model import random_intercept
from tcellmil.stats._rank_correlation import rank_correlation
from tcellmil.stats._signed_rank import signed_rank_by_column


def with_tests(table: pd.DataFrame, results: pd.DataFrame, statistics: list[str]) -> pd.DataFrame:
    """Add each statistic with its ``_p`` and ``_padj``, then whatever else there is in ``results``."""
    for statistic in statistics:
        table[statistic] = results[statistic]
        table[f"{statistic}_p"] = results[f"{statistic}_p"]
        table[f"{statistic}_padj"] = benjamini_hochberg(results[f"{statistic}_p"].to_numpy())
    return table.join(results.drop(columns=table.columns, errors="ignore"))


def within_patients(activity: np.ndarray, relative: np.ndarray, patients: np.ndarray, min_cells: int) -> pd.DataFrame:
    """Mean correlation inside the patients, and the signed-rank tests over them; cells are sorted by patient."""
    names, starts, n_cells = np.unique(patients, return_index=True, return_counts=True)
    correlations = np.full((2, len(names), activity.shape[1]), np.nan)  # (statistic, patient, regulon)
    for i in np.flatnonzero(n_cells >= min_cells):
        rows = slice(starts[i], starts[i] + n_cells[i])
        correlations[:, i] = rank_correlation(activity[rows], relative[rows])[["tau", "rho"]].to_numpy().T
    known = np.isfinite(correlations[0])
    n_patients = known.sum(axis=0)
    results = pd.DataFrame({"n_patients": n_patients})
    for name, values in zip(("tau_within", "rho_within"), correlations, strict=True):
        total = np.where(known, values, 0).sum(axis=0)
        results[name] = np.where(n_patients > 0, total / np.maximum(n_patients, 1), np.nan)
        results[f"{name}_p"] = signed_rank_by_column(values)[1]
    return results


def with_mixed_model(
    table: pd.DataFrame, activity: np.ndarray, relative: np.ndarray, patients: np.ndarray
) -> pd.DataFrame:
    """Add the models of :func:`random_intercept` of activity on the logarithm of relative attention."""
    # Softmax can round an attention down to 0, which has no logarithm: it counts as the lowest that is above 0.
    log_relative = np.log(np.maximum(relative, relative[relative > 0].min()))
    fits = random_intercept(activity, log_relative, patients).add_prefix("mixed_")
    fits.insert(3, "mixed_padj", benjamini_hochberg(fits["mixed_p"].to_numpy()))
    return table.join(fits)
