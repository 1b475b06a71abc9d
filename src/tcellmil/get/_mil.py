"""What tl.fit_mil wrote, as tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_obs_column, check_result
from tcellmil._outcome_kinds import ALL_PATIENTS, SURVIVAL, has_classes, outcome_of

if TYPE_CHECKING:
    from anndata import AnnData


def predictions(adata: AnnData, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Out-of-fold prediction of every patient, as :func:`tcellmil.tl.fit_mil` wrote it.

    Parameters
    ----------
    adata
        Cells with ``uns[key]["predictions"]``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.

    Returns
    -------
    A copy, one row a patient: ``label`` (empty if unlabelled), ``predicted``, ``prob_<class>`` (mean over the replicas
    that held the patient out), ``prob_sd`` (spread over the seeds, of the positive class), ``n_cells``, ``n_replicas``
    and, where a batch key was given, ``cohort``. Where the outcome is a number, ``label`` and ``predicted`` are numbers
    (``label`` NaN if unknown), and ``predicted_sd`` is in place of the columns of probabilities. Where it is a time to
    event: ``time``, ``event`` (1, or 0 for a censored time), ``risk`` (the log hazard) and ``risk_sd``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.get.predictions(adata).columns.tolist()
    ['label', 'predicted', 'prob_NR', 'prob_R', 'prob_sd', 'n_cells', 'n_replicas']
    """
    return stored(adata, key, "predictions").copy()


def metrics(adata: AnnData, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Metrics of the out-of-fold predictions with intervals over patients.

    Parameters
    ----------
    adata
        Cells with ``uns[key]["metrics"]``, from :func:`tcellmil.tl.fit_mil`.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.

    Returns
    -------
    A copy, one row a metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`tcellmil.stats.classification_metrics`, of other outcomes :func:`tcellmil.stats.ordinal_metrics`,
    :func:`tcellmil.stats.regression_metrics` and :func:`tcellmil.stats.survival_metrics`.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.get.metrics(adata)["metric"].tolist()
    ['auroc', 'auprc', 'accuracy', 'balanced_accuracy', 'f1', 'precision', 'recall', 'brier']
    """
    return stored(adata, key, "metrics").copy()


def attention(adata: AnnData, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    r"""Out-of-fold attention of every cell beside its patient, label and prediction.

    Attention sums to 1 within a patient, so it is small where a patient has many cells. ``relative`` is comparable
    between patients: attention times the number of cells :math:`n_i` of the patient when the model was fitted,
    :math:`n_i \, \alpha_{ij}`. It is 1 where all cells of a patient get the same attention; its mean over the cells of
    a patient is 1.

    Parameters
    ----------
    adata
        Cells with ``obs[key + "_attention"]`` and ``uns[key]``, from :func:`tcellmil.tl.fit_mil`.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.

    Returns
    -------
    One row a cell, in the order of ``adata``: ``sample``, ``attention``, ``relative``, ``label`` (empty if unlabelled),
    ``predicted``. Attention is NaN, and ``predicted`` empty, for cells of patients that no replica held out. Where the
    outcome is a number or a time to event, ``label`` is ``"all patients"`` (empty if the outcome is unknown), and
    ``predicted`` is the number or the log hazard, NaN for patients that no replica held out.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or the sample column is gone from ``adata.obs``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.get.attention(adata).groupby("sample")["relative"].mean().round(3).unique().tolist()
    [1.0]
    """
    patients = stored(adata, key, "predictions")
    params = stored(adata, key, "params")
    sample_key = str(params["sample_key"])
    column = _keys.attention(key)
    if column not in adata.obs:
        raise KeyError(f"adata.obs has no {column!r}; run {_verb(key)} first")
    sample = check_obs_column(adata, sample_key, "sample_key").astype(str)
    of_cell = patients.reindex(sample)
    value = adata.obs[column].to_numpy(dtype=float)
    return pd.DataFrame(
        {
            "sample": sample.to_numpy(),
            "attention": value,
            "relative": value * of_cell["n_cells"].to_numpy(dtype=float),
            "label": group_of_patient(patients, params).reindex(sample).fillna("").to_numpy(),
            "predicted": (
                of_cell["predicted"].astype(object).fillna("")
                if has_classes(params)
                else of_cell[predicted_column(params)].astype(float)
            ).to_numpy(),
        },
        index=adata.obs_names.copy(),
    )


def group_of_patient(patients: pd.DataFrame, params: Mapping) -> pd.Series:
    """Group of each patient of a table of predictions, one of :func:`patient_groups`; empty without an outcome."""
    if has_classes(params):
        return patients["label"].astype(object).fillna("")
    known = patients[observed_columns(params)].notna().all(axis=1)
    return known.map({True: ALL_PATIENTS, False: ""}).astype(object)


def observed_columns(params: Mapping) -> list[str]:
    """Columns of the predictions with what was observed."""
    return ["time", "event"] if outcome_of(params) == SURVIVAL else ["label"]


def expected_level(patients: pd.DataFrame, classes: Sequence[str]) -> pd.Series:
    """Mean of the levels of ordered classes, 0 for the lowest, weighed by their probabilities."""
    return sum(level * patients[f"prob_{name}"] for level, name in enumerate(classes))


def predicted_column(params: Mapping) -> str:
    """Column of the predictions with what was predicted."""
    return "risk" if outcome_of(params) == SURVIVAL else "predicted"


def stored(adata: AnnData, key: str, part: str) -> dict | pd.DataFrame:
    """One part of ``adata.uns[key]`` itself, not a copy, or a KeyError that names the verb that writes it."""
    result = check_result(adata, key, _verb(key))
    if part not in result:
        raise KeyError(f"adata.uns[{key!r}] has no {part!r}; run {_verb(key)} first")
    return result[part]


def _verb(key: str) -> str:
    return "tl.fit_mil(adata, ...)" if key == _keys.TCELLMIL else f"tl.fit_mil(adata, ..., key_added={key!r})"
