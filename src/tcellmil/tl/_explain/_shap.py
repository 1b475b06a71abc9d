"""SHAP values of cells and regulons."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_count
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._results import counted, warn_without_skill
from tcellmil._verbs import Result, verb
from tcellmil.tl._explain._explained import open_explained, training_of
from tcellmil.tl._explain._largest import largest

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from tcellmil.data import Bags
    from tcellmil.fitted import Explanation, FittedEnsemble
    from tcellmil.model import TcellMIL
    from tcellmil.model._fitted_model import FittedModel
    from tcellmil.outcomes import Outcome

Level = Literal["cell", "bag"]
Output = Literal["probability", "logit", "value"]
MAX_ERROR = 0.05  # of the range of the predictions


@documented
@verb(obsm=["", "by_class"])
def shap(
    adata: AnnData | MuData,
    level: Level = "bag",
    background: int = 5000,
    *,
    output: Output | None = None,
    n_samples: int = 400,
    n_steps: int = 32,
    target_class: str | None = None,
    seed: int = 0,
    model: AnnData | MuData | TcellMIL | None = None,
    key: str = _keys.TCELLMIL,
    key_added: str | None = None,
    progress: bool = True,
    copy: bool = False,
) -> Result:
    r"""Attribute predictions to regulons, cell by cell.

    The whole model after the regulon scores is explained, encoder, attention and classifier, and each patient by
    the replicas that held it out (the mean over them), against training cells of the same replica that are balanced by
    class and patient. The background gets the patient's own cohort, so that cohorts explain nothing.

    ``level="cell"`` is the paper's: each cell by itself, as a bag of one. Attention is then 1, and it is for the
    summary of a patient to weigh cells by their attention. Values come from :class:`shap.GradientExplainer`, which
    draws points at random: a cell's values add up to within a few percent, and their means over a patient to far less.

    ``level="bag"`` explains the patient's prediction and lets each regulon of each cell share in it, through what the
    cell does to the attention of all others as well. Values of all cells and regulons of a patient add up to its
    prediction minus the background's mean prediction, to within 1%: the integral is taken by quadrature, because random
    draws are too few for a whole bag. Background bags have as many cells as the patient's, and each comes from
    one training patient.

    In both, a value is :math:`\phi_{jr} = \mathbb{E}_b [(x_{jr} - b_{jr}) \int_0^1 \partial_{jr} f(b + \alpha (x -
    b)) \, d\alpha]` (expected gradients). Its sign says which way the regulon's activity *as it is in this cell* is
    associated with the prediction, compared with the background; it is not the slope: where activity above the
    background lowers the prediction, activity below it has a positive value. Patients on either side of the background
    cancel in a mean over patients, and in its test, however much a regulon matters to each of them: for that, read
    ``median_abs``. It is so for a number, whose background is all training patients, even more than for classes.

    Reads what :func:`tcellmil.tl.fit_mil` wrote and the representation that it was fitted on. New patients, after
    :func:`tcellmil.tl.predict`, are explained by all replicas of ``model``, against the cells that it was trained on,
    so that it has to hold these.

    Parameters
    ----------
    adata
        An AnnData or a MuData with a fitted model in ``uns[key]``, or with predictions of :func:`tcellmil.tl.predict`.
    level
        ``"bag"`` (24 patients of 300 cells and 60 regulons: 3 seconds) or ``"cell"`` (200 seconds).
    background
        Number of training cells to compare with.
    output
        What values are parts of: ``"probability"`` of a class, the default for classes, or ``"logit"``, its log-odds
        against all other classes. Where the outcome is a number or a time to event there is only ``"value"``: values
        are parts of the number, in its own units, or of the log hazard, and there is no other class.
    n_samples
        For ``level="cell"``: random points per cell. The error falls with the square root, the time is proportional.
    n_steps
        For ``level="bag"``: quadrature points on each path to begin with; doubled where values do not add up.
    target_class
        The class of ``obsm`` and of ``stats``; the positive one by default. Without meaning for other outcomes.
    seed
        For the background and the points.
    %(model_that_predicted)s
    %(key)s
    key_added
        Name of what is written: ``obsm["X_" + key_added]``, ``uns[key_added]``; ``f"{key}_shap"`` by default.
    progress
        Show a progress bar over patients.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written:

    - ``obsm["X_tcellmil_shap"]``: float32, cells x regulons, of the target class; NaN for patients that no replica held
      out. With two classes, values of the other class are the same with the opposite sign. With more,
      ``obsm["X_tcellmil_shap_by_class"]`` is cells x classes x regulons;
    - ``uns["tcellmil_shap"]["patients"]``: one row per patient, regulon and class: ``mean`` over the patient's cells,
      ``weighted_mean`` by attention, ``weighted_abs``, the attention-weighted mean of the absolute values, and
      ``total``, the sum over cells (with ``level="bag"``, the regulon's share of the prediction);
    - ``["difference"]``: one row per patient and regulon, target class minus the others' mean, of ``mean``,
      ``weighted_mean`` and ``total``; where there are no classes, these themselves;
    - ``["stats"]``: one row per regulon: ``mean_difference`` and ``weighted_difference`` (means over patients),
      ``median_abs`` (median over patients of the absolute ``weighted_mean``; of ``total`` with ``level="bag"``),
      ``weighted_abs``, and a Wilcoxon signed-rank test over patients of the weighted difference, Benjamini-Hochberg
      over regulons;
    - ``["additivity"]``: one row per patient, of the target class: the background's ``expected`` output, the
      ``output``, the ``explained`` difference, and the mean absolute ``error`` over what was explained;
    - ``["params"]``: the arguments, ``outcome``, and ``additivity_error``, the largest error of a patient relative to
      the range of the predictions.

    Raises
    ------
    KeyError, ValueError, TypeError
        If the model is not there or an option is out of range; ``adata`` is then unchanged.

    Warns
    -----
    UserWarning
        If values miss what they should add up to by more than 5% of the range of the predictions.
    %(no_skill)s

    References
    ----------
    Tsui et al. (2025), tcellMIL, section 6.6. Lundberg and Lee (2017), SHAP. Erion et al. (2021), expected gradients.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.shap(adata, level="bag", background=400, progress=False)
    >>> adata.obsm["X_tcellmil_shap"].shape == adata.obsm["X_regulons"].shape
    True
    """
    check_choice(level, get_args(Level), "level")
    for name, value in {"background": background, "n_samples": n_samples, "n_steps": n_steps}.items():
        check_count(value, name)
    fitted, bags = open_explained(adata, key, model)
    trained = (fitted.stack, bags) if model is None else training_of(model, adata, key)
    code = fitted.class_code(target_class)
    output = _output(output, bags.outcome)
    options = {"background": background, "output": output, "seed": seed}
    options |= {"n_samples": n_samples} if level == "cell" else {"n_steps": n_steps}
    attention = fitted.out_of_fold(bags).attention.astype(np.float64)
    values, additivity = _explain(fitted, bags, trained, code, level, options, progress)

    names, classes = fitted.feature_names(), bags.outcome.outputs
    patients = _by_patient(bags, values, attention, names, classes)
    difference = _difference(patients, classes, classes[code])
    parts = {
        "patients": patients,
        "difference": difference,
        "stats": _statistics(patients[patients["class"] == classes[code]], difference, names, level),
        "additivity": additivity,
    }
    params = {"output": output, "target_class": classes[code], "outcome": bags.outcome.kind}
    params["additivity_error"] = _warn_of_error(additivity, level)
    obsm = {"": bags.to_input_order(np.ascontiguousarray(values[:, code]))}
    obsm |= {"by_class": bags.to_input_order(values)} if len(classes) > 2 else {}
    params["no_skill"] = warn_without_skill(adata, key)
    message = (
        f"{len(names)} regulons in {counted(adata, key, additivity['patient'])}, level={level!r}; largest median "
        f"|SHAP| of a patient: "
        f"{largest(parts['stats']['regulon'], parts['stats']['median_abs'], signed=False)}"
    )
    return Result(parts, message, params, obsm)


def _output(output: str | None, outcome: Outcome) -> str:
    """What is explained, or a ValueError that says what there is."""
    possible = outcome.explained
    if output is not None and output not in get_args(Output):
        check_choice(output, possible, "output")
    if output is not None and output not in possible:
        raise ValueError(
            f"output={output!r} does not go with outcome={outcome.kind!r}; choose from {', '.join(map(repr, possible))}"
        )
    return possible[0] if output is None else output


def _explain(
    model: FittedModel,
    bags: Bags,
    trained: tuple[FittedEnsemble, Bags],
    code: int,
    level: str,
    options: dict,
    progress: bool,
) -> tuple[np.ndarray, pd.DataFrame]:
    """Values ``(cell, class, feature)``, the mean over each patient's replicas, and how well they add up.

    ``trained`` are the replicas and the patients among whom they were trained.
    """
    from tqdm.auto import tqdm

    from tcellmil.fitted import explain_bag, explain_cells

    explain = explain_cells if level == "cell" else explain_bag
    (stack, training), shown_to = trained, model.shown_to()
    values = np.full((len(bags.x), bags.n_outputs, model.stack.n_features), np.nan, dtype=np.float32)
    rows = []
    for i in tqdm(np.flatnonzero(shown_to.any(axis=0)), desc="shap", unit="patient", disable=not progress):
        replicas = np.flatnonzero(shown_to[:, i])
        parts = [explain(stack.select(np.array([k])), bags, i, training=training, **options) for k in replicas]
        values[bags.bag(i)] = np.mean([part.values for part in parts], axis=0)
        rows.append(_additivity(str(bags.names[i]), parts, code))
    return values, pd.DataFrame(rows)


def _additivity(patient: str, parts: list[Explanation], code: int) -> dict:
    """Of the target class: what its values start from, what they should add up to, and what they do."""
    expected = np.mean([part.expected[code] for part in parts])
    output = np.mean([part.output[:, code] for part in parts], axis=0)
    error = np.mean([part.error[:, code] for part in parts], axis=0)
    return {
        "patient": patient,
        "expected": expected,
        "output": output.mean(),
        "explained": (output - expected + error).mean(),
        "error": np.abs(error).mean(),
        "output_min": output.min(),
        "output_max": output.max(),
    }


def _warn_of_error(additivity: pd.DataFrame, level: str) -> float:
    """Largest error of a patient relative to the range of what was explained, over all patients."""
    span = additivity["output_max"].max() - additivity["output_min"].min()
    relative = float(additivity["error"].max() / max(span, np.finfo(float).tiny))
    if relative > MAX_ERROR:
        worst = additivity.loc[additivity["error"].idxmax(), "patient"]
        more = "n_samples" if level == "cell" else "n_steps"
        warn(
            f"SHAP values miss what they should add up to by up to {relative:.1%} of the range of the predictions "
            f"(patient {worst!r}, more than {MAX_ERROR:.0%}); raise {more}",
        )
    return relative


def _by_patient(bags: Bags, values: np.ndarray, attention: np.ndarray, names, classes) -> pd.DataFrame:
    """Summaries over the cells of each patient, one row per patient, class and regulon."""
    blocks = []
    for i in range(bags.n_bags):
        own, weight = values[bags.bag(i)].astype(np.float64), attention[bags.bag(i)]
        if np.isnan(own).any():
            continue
        summaries = {
            "mean": own.mean(axis=0),
            "weighted_mean": np.tensordot(weight, own, 1),
            "weighted_abs": np.tensordot(weight, np.abs(own), 1),
            "total": own.sum(axis=0),
        }
        for c, name in enumerate(classes):
            columns = {summary: table[c] for summary, table in summaries.items()}
            blocks.append(pd.DataFrame({"patient": str(bags.names[i]), "regulon": names, "class": name, **columns}))
    return pd.concat(blocks, ignore_index=True)


def _difference(patients: pd.DataFrame, classes, target: str) -> pd.DataFrame:
    summaries = ["mean", "weighted_mean", "total"]
    of_target = patients["class"] == target
    index = ["patient", "regulon"]
    if of_target.all():
        return patients[[*index, *summaries]].reset_index(drop=True)
    others = patients[~of_target].groupby(index, sort=False)[summaries].mean()
    return (patients[of_target].set_index(index)[summaries] - others).reset_index()


def _statistics(patients: pd.DataFrame, difference: pd.DataFrame, names, level: str) -> pd.DataFrame:
    from tcellmil.stats import benjamini_hochberg, signed_rank_by_column

    def wide(table: pd.DataFrame, column: str) -> np.ndarray:
        return table.pivot(index="patient", columns="regulon", values=column).reindex(columns=names).to_numpy()

    weighted = wide(difference, "weighted_mean")
    statistic, p = signed_rank_by_column(weighted)
    contribution = "weighted_mean" if level == "cell" else "total"
    return pd.DataFrame(
        {
            "regulon": names,
            "n_patients": len(weighted),
            "mean_difference": wide(difference, "mean").mean(axis=0),
            "weighted_difference": weighted.mean(axis=0),
            "median_abs": np.median(np.abs(wide(patients, contribution)), axis=0),
            "weighted_abs": wide(patients, "weighted_abs").mean(axis=0),
            "statistic": statistic,
            "p": p,
            "padj": benjamini_hochberg(p),
        }
    )
