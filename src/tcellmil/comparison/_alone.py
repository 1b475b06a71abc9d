"""How well the cohort and the covariates of a patient predict the outcome without any cell."""

from __future__ import annotations

import numpy as np
import pandas as pd

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.fitted._predict import mean_over_replicas, pair_order

from ._baselines import fit_baseline

COHORT, COVARIATES, BOTH = "cohort", "covariates", "cohort and covariates"
#: From this AUROC on, what is known of a patient nearly determines the class.
NEARLY = 0.9
#: A model is no better than what is known without cells if its AUROC is not higher by more than this.
MARGIN = 0.02


def metrics_alone(
    bags: Bags, replicas: Replicas, *, in_pairs: bool = False, n_boot: int = 2000, seed: int = 0
) -> pd.DataFrame | None:
    """Metrics of logistic regressions on the cohort, on the covariates and on both, on the splits of a model.

    Each is trained on every replica's training patients, and predicts those that the replica held out. Leave-one-out
    pulls the AUROC of something that says nothing below 0.5: the held-out patient's own cohort then always has one
    patient less of that patient's class.

    Parameters
    ----------
    bags, replicas
        The patients, and the splits.
    in_pairs
        The splits left pairs out, whose order is what counts.
    n_boot, seed
        Of the bootstrap over patients.

    Returns
    -------
    One row per predictor and metric: ``predictor``, then the columns of :func:`tcellmil.stats.bootstrap_metrics`.
    ``None`` where there are neither cohorts nor covariates, or the outcome is no class.
    """
    known_of_patients = _known_of_patients(bags)
    if not known_of_patients or not bags.outcome.has_classes:
        return None
    tables = []
    for name, columns in known_of_patients.items():
        nothing = np.zeros((bags.n_bags, 0))
        predicted = fit_baseline("logistic_regression", nothing, bags.labels, replicas, columns)
        mean = mean_over_replicas(predicted)
        known = (bags.labels >= 0) & np.isfinite(mean).all(axis=1)
        order = pair_order(predicted, replicas, bags.labels) if in_pairs else None
        groups = None if bags.groups is None else bags.groups[known]
        options = {"n_boot": n_boot, "seed": seed, "groups": groups}
        table = bags.outcome.measure_with_intervals(bags.labels[known], None, mean[known], order, **options)
        table.insert(0, "predictor", name)
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def alone_in_words(table: pd.DataFrame | None) -> str:
    """AUROC of each predictor with its interval, such as ``"cohort alone 0.95 [0.86, 1.00]"``; empty without any."""
    return ", ".join(
        f"{row.predictor} alone {_interval(row)}" + (" (below 0.5: it says nothing)" if row.value < 0.5 else "")
        for row in _auroc(table).itertuples()
    )


def confounded(table: pd.DataFrame | None, auroc: float) -> str:
    """What a warning says where the cohort or covariates predict the class nearly by themselves, or as well as a model.

    Parameters
    ----------
    table
        As :func:`metrics_alone` returns it.
    auroc
        Of the model.
    """
    rows = list(_auroc(table).itertuples())
    for row in sorted(rows, key=lambda row: -row.value)[:1]:
        what = f"the {row.predictor} alone, without any cell, predicts the class with AUROC {_interval(row)}"
        advice = "a model that is given it need not have learned anything else; look at "
        advice += "metrics within cohorts, and at cv='cohort'" if COHORT in row.predictor else "patients alike in it"
        if row.value >= NEARLY:
            return f"{what}, so that it nearly determines the class (the model: {auroc:.2f}); {advice}"
        if row.ci_low > 0.5 and auroc <= row.value + MARGIN:
            return f"{what}, and the model is no better: {auroc:.2f}; {advice}"
    return ""


def _known_of_patients(bags: Bags) -> dict[str, np.ndarray]:
    """Columns of what is known beside the cells, by its name."""
    known = {COHORT: bags.cohort_onehot} if bags.n_cohorts > 1 else {}
    known |= {COVARIATES: bags.covariates} if bags.n_covariates else {}
    return known | ({BOTH: np.hstack(list(known.values()))} if len(known) > 1 else {})


def _auroc(table: pd.DataFrame | None) -> pd.DataFrame:
    return pd.DataFrame() if table is None else table[table["metric"] == "auroc"]


def _interval(row) -> str:
    return f"{row.value:.2f} [{row.ci_low:.2f}, {row.ci_high:.2f}]"
