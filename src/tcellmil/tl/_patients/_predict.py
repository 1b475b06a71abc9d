"""Predict patients that no replica has seen."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._checks import check_count
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._provenance import scores_of
from tcellmil._results import patients_in_words
from tcellmil._verbs import Result, verb
from tcellmil.tl._patients._evaluate import evaluate_new
from tcellmil.tl._patients._new_columns import COLUMNS, check_columns, groups_of, with_columns, with_groups
from tcellmil.tl._patients._predicted import OF_CELLS, counted_in_words, of_cells, of_patients

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data import Bags
    from tcellmil.model import TcellMIL


@documented
@verb(obsm=[""], obs=OF_CELLS)
def predict(
    adata: AnnData | MuData,
    model: AnnData | MuData | TcellMIL,
    *,
    sample_key: str | None = None,
    label_key: str | None = None,
    batch_key: str | None = None,
    event_key: str | None = None,
    group_key: str | None = None,
    continuous_covariate_keys: Sequence[str] | None = None,
    categorical_covariate_keys: Sequence[str] | None = None,
    n_boot: int = 2000,
    seed: int = 0,
    key: str = _keys.TCELLMIL,
    key_added: str = _keys.TCELLMIL,
    copy: bool = False,
) -> Result:
    """Predict new patients with every replica of a fitted model, and measure how well where outcomes are known.

    The prediction is the mean over all replicas. Reads the columns and the representation that the model was set up
    with; a label is not needed. The new cells must be in the same representation: score them with the first data set's
    regulons, ``tl.regulons(new, net=adata.uns["regulons"]["targets"])``. A cohort that the model does not know counts
    as none.

    Of the patients with a known outcome there are metrics, with 95% intervals over patients as in
    :func:`tcellmil.tl.fit_mil`. None of them was in the training, so this is an external validation, as long as
    nothing was chosen by their outcomes. Nothing is fitted: not on these patients, and not again.

    Tables and pictures of predictions (:func:`tcellmil.get.metrics`, :func:`tcellmil.pl.roc`, ...) and of attention
    read the result as that of a fit. :func:`tcellmil.tl.perturb` and :func:`tcellmil.tl.shap` take the same ``model``.

    Parameters
    ----------
    adata
        Cells of the new patients; a MuData where the model was fitted on one.
    model
        The AnnData or MuData that :func:`tcellmil.tl.fit_mil` wrote to, or a fitted :class:`tcellmil.model.TcellMIL`.
    sample_key, label_key, batch_key, event_key
        Columns of ``adata.obs`` with the patient, the outcome and the cohort; those of the model by default.
    group_key
        Column that says which samples are of one patient: intervals are then over patients, and
        :func:`tcellmil.get.paired_change` compares samples of different classes within each.
    continuous_covariate_keys, categorical_covariate_keys
        Columns with the covariates that the model reads, in its order; those of the model by default.
    n_boot
        Bootstrap resamples of patients for the intervals.
    seed
        Seed of the resamples.
    key
        Name of the result in ``model``, where that is no TcellMIL.
    key_added
        Name of the result in ``adata``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written: ``uns[key_added]["predictions"]`` (one row per patient:
    ``prob_<class>``, the mean over replicas, ``prob_sd``, their standard deviation, ``n_replicas``),
    ``uns[key_added]["embedding"]`` and ``["params"]``, ``obs["tcellmil_attention"]``,
    ``obs["tcellmil_attention_relative"]`` and ``obsm["X_tcellmil"]``, as :func:`tcellmil.tl.fit_mil` describes them;
    and, if any outcome is known, ``uns[key_added]["metrics"]``, one row per metric. ``params`` has the names of the
    columns that were read.

    Raises
    ------
    KeyError, ValueError
        If something that the model reads is missing, not finite or has other features, a label is none of the model's
        classes, or a column that was named is not there or cannot be read; ``adata`` is then unchanged.

    Warns
    -----
    UserWarning
        If patients have names of patients that the model was trained on; if outcomes are known and some metric is not
        defined, such as the AUROC of patients of one class, which is then NaN; if a column of ``obs`` says that samples
        share patients, and there is no ``group_key``; or if numbers or times in a column that was not named cannot be
        read.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> new = tm.datasets.pbmc_cohort(n_patients=6, n_cells=40, seed=1)
    >>> new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    >>> tm.tl.regulons(new, net=adata.uns["regulons"]["targets"])
    >>> tm.tl.predict(new, adata)
    >>> tm.get.predictions(new).shape[0]
    6
    >>> tm.get.metrics(new).loc["auroc", "n"].item()
    6

    Columns of other names:

    >>> new.obs = new.obs.rename(columns={"patient": "donor", "response": "outcome"})
    >>> tm.tl.predict(new, adata, sample_key="donor", label_key="outcome", key_added="validation")
    >>> tm.get.metrics(new, key="validation").loc["auroc", "n"].item()
    6
    """
    from tcellmil.data._read import read
    from tcellmil.data._shared_patients import warn_of_shared_patients
    from tcellmil.model._open import model_of
    from tcellmil.model._state import to_state

    n_boot = check_count(n_boot, "n_boot")
    if isinstance(seed, bool) or not isinstance(seed, Integral) or seed < 0:
        raise ValueError(f"seed={seed!r} must be a whole number of at least 0")
    keys = (sample_key, batch_key, continuous_covariate_keys, categorical_covariate_keys, label_key, event_key)
    named = dict(zip(COLUMNS, (*keys, group_key), strict=True))
    fitted = model_of(model, key)
    fit = to_state(fitted)["checksum"]
    fitted = with_columns(fitted, named)
    schema, strict = fitted.schema, label_key is not None or event_key is not None
    check_columns(adata, schema.fields, named)
    cohort = read(adata, schema.fields, new=True, strict=strict)
    schema.check_classes(cohort)
    bags, predicted = fitted.predict_cohort(cohort, strict=strict)
    groups = groups_of(adata, schema.fields, measured=bags.n_labelled > 0)
    bags = with_groups(bags, groups)
    if bags.n_labelled:
        warn_of_shared_patients(adata, schema.fields, cohort, fitted=False)
    metrics, lacking = evaluate_new(bags, predicted.probabilities, n_boot=n_boot, seed=seed)
    if bags.n_labelled and lacking:
        warn(f"of the {bags.n_labelled} new patients with a known outcome, not everything can be measured: {lacking}")
    parts = of_patients(fitted, bags, predicted, groups) | ({} if metrics is None else {"metrics": metrics})
    scores = scores_of(adata, schema.fields.use_rep)
    params = {**fitted.params(), "fit": fit, "seed": int(seed), "scores": scores, "not_measured": lacking}
    return Result(parts, _message(bags, metrics, len(fitted.stack)), params, *of_cells(bags, predicted))


def _message(bags: Bags, metrics: pd.DataFrame | None, n_replicas: int) -> str:
    n_patients = bags.n_bags if bags.groups is None else len(np.unique(bags.groups))
    message = f"{patients_in_words(bags.n_bags, n_patients)} by {n_replicas} replicas"
    if metrics is None:
        return f"{message}; no metrics" + ("" if bags.n_labelled else ", no outcome is known")
    metric, name = bags.outcome.metric_shown(list(metrics["metric"]))
    row = metrics.set_index("metric").loc[metric]
    interval = f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    interval = "not defined" if np.isnan(row["value"]) else interval
    return f"{name} {interval}, {counted_in_words(bags, int(row['n']))} with a known outcome; {message}"
