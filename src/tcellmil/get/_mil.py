"""What tl.fit_mil wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil._results import attention_of_cells, fit_part, fit_table, named_predictions

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

OfMetrics = Literal["model", "alone"]


@documented
def predictions(adata: AnnData | MuData, *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Out-of-fold prediction of every patient, as :func:`tcellmil.tl.fit_mil` wrote it.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Returns
    -------
    A copy, one row per patient (index ``patient``): ``label`` (empty if unlabelled), ``predicted``, ``prob_<class>``
    (mean over the replicas that held the patient out), ``prob_sd`` (spread over the seeds, of the positive class),
    ``n_cells``, ``n_replicas`` and, where a batch or a group key was given, ``cohort`` and ``group``. Where the outcome
    is a number, ``label`` and ``predicted`` are numbers (``label`` NaN if unknown), and ``predicted_sd`` is in place of
    the columns of probabilities. Where it is a time to event: ``time``, ``event`` (1, or 0 for a censored time),
    ``risk`` (the log hazard) and ``risk_sd``. New patients, after :func:`tcellmil.tl.predict`, are predicted by all
    replicas, and the spread is over these.

    Raises
    ------
    %(no_result)s

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.get.predictions(adata).columns.tolist()
    ['label', 'predicted', 'prob_NR', 'prob_R', 'prob_sd', 'n_cells', 'n_replicas']
    """
    table = named_predictions(fit_table(adata, key, "predictions"), fit_part(adata, key, "params"))
    return table.rename_axis(index="patient")


@documented
def metrics(adata: AnnData | MuData, part: OfMetrics = "model", *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Metrics of the out-of-fold predictions, or of those of new patients, with intervals over patients.

    Parameters
    ----------
    %(adata_of_fit)s
    part
        ``"model"``, or ``"alone"``: of logistic regressions on the cohort, on the covariates and on both, without any
        cell, on the same splits; cells have to add to that. Of classes, where the fit has a cohort or covariates, and
        not of new patients.
        Leave-one-out pulls the AUROC of a cohort that says nothing below 0.5.
    %(key)s

    Returns
    -------
    A copy, one row per metric (index ``metric``; ``"alone"``: ``(predictor, metric)``): ``value``, ``ci_low``,
    ``ci_high`` (95%), ``n`` (patients, or samples where there is a group key). For the metrics see
    :func:`tcellmil.stats.classification_metrics`, of other outcomes :func:`tcellmil.stats.ordinal_metrics`,
    :func:`tcellmil.stats.regression_metrics` and :func:`tcellmil.stats.survival_metrics`.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Warns
    -----
    %(left_out)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.get.metrics(adata).index.tolist()
    ['auroc', 'auprc', 'accuracy', 'balanced_accuracy', 'f1', 'precision', 'recall', 'brier']
    """
    check_choice(part, get_args(OfMetrics), "part")
    if part == "alone":
        return fit_table(adata, key, "metrics_alone", "batch_key=...").set_index(["predictor", "metric"])
    return fit_table(adata, key, "metrics").set_index("metric")


@documented
def history(adata: AnnData | MuData, *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Losses of every replica in every epoch of the training of :func:`tcellmil.tl.fit_mil`.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Returns
    -------
    A copy, one row per stage, replica and epoch (index ``(stage, replica, epoch)``): ``train_loss`` and
    ``validation_loss``, NaN where nothing was held out for early stopping. Stages are ``"mil"``, the bag classifier,
    and ``"autoencoder"`` where there is one (``"autoencoder:<representation>"`` for several representations).

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.get.history(adata).index.names
    FrozenList(['stage', 'replica', 'epoch'])
    """
    return fit_part(adata, key, "history").set_index(["stage", "replica", "epoch"])


@documented
def attention(adata: AnnData | MuData, *, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    r"""Out-of-fold attention of every cell beside its patient, label and prediction.

    Attention sums to 1 within a patient, so it is small where a patient has many cells. ``relative`` is comparable
    between patients: attention times the number of cells :math:`n_i` of the patient when the model was fitted,
    :math:`n_i \, \alpha_{ij}`. It is 1 where all cells of a patient get the same attention; its mean over the cells of
    a patient is 1.

    Parameters
    ----------
    adata
        Cells with ``obs[key + "_attention"]`` and ``uns[key]``, from :func:`tcellmil.tl.fit_mil`.
    %(key)s

    Returns
    -------
    One row per cell (index ``cell``), in the order of ``adata``: ``sample``, ``attention``, ``relative``, ``label``
    (empty if unlabelled), ``predicted``. Attention is NaN, and ``predicted`` empty, for cells of patients that no
    replica held out. Where the outcome is a number or a time to event, ``label`` is ``"all patients"`` (empty if the
    outcome is unknown), and ``predicted`` is the number or the log hazard, NaN for patients that no replica held out.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or the sample column is gone from ``adata.obs``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.get.attention(adata).groupby("sample")["relative"].mean().round(3).unique().tolist()
    [1.0]
    """
    return attention_of_cells(adata, key)
