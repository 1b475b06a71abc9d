"""Predictions of the patients beside what was observed."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys, get
from tcellmil._checks import check_choice
from tcellmil._order import names_in_order
from tcellmil._provenance import verb_of
from tcellmil._results import counted, fit_part
from tcellmil.outcomes import Outcome, outcome_of
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, GREY, class_colors
from tcellmil.pl._panels import UNLABELLED, plural, shorten, unframe, written
from tcellmil.pl._patients._intervals import interval_in_words
from tcellmil.pl._patients._risk_groups import draw_risk_groups, log_rank_in_words

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.outcomes import Ordinal

UNKNOWN = "not known"
POINTS = {"s": 26, "alpha": 0.8, "linewidths": 0, "zorder": 3}


@picture
def predictions(
    adata: AnnData,
    target_class: str | None = None,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
) -> None:
    """Draw the prediction of every patient, out of fold or of new ones, beside what was observed.

    Reads ``uns[key]``. The picture depends on the outcome; the title has its main metric with the 95% interval, from
    the metrics table. Patients without an outcome are grey where it is a class, and cannot be drawn where it is not.

    - *Classes*: the probability of the positive class; a point is a patient, side by side by observed class, the
      lowest first. With a ``group_key``, a point is a sample, and lines join the samples of a patient that are
      of different classes; of two classes, the title has the mean change within these patients and its test
      (:func:`tcellmil.get.paired_change`).
    - *Ordered classes*: the same with the expected level, the mean of the levels weighed by their probabilities. A
      short line is where all points of the class would be if all were right.
    - *A number*: observed against predicted, with a dashed line where both are the same; coloured by cohort if the
      model knows cohorts.
    - *A time to event*: Kaplan-Meier curves of the patients below and above the median risk, with pointwise 95%
      intervals, a tick for every censored patient, the numbers at risk below the axis, and a log-rank test that takes
      the groups as given: read :func:`tcellmil.get.risk_groups` before quoting its p-value.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.fit_mil` or :func:`tcellmil.tl.predict`.
    target_class
        For classes: the one whose probability is drawn, the positive one by default; of ordered classes, its
        probability in place of the expected level.
    %(key)s

    Returns
    -------
    The axes.

    Raises
    ------
    %(no_result)s
    ValueError
        If the class is not known, or no patient has both a prediction and an outcome.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=2, training={"max_epochs": 3}, progress=False)
    >>> tm.pl.predictions(adata, show=False).get_ylabel()
    'Predicted probability of R (out of fold)'
    """
    table, params = get.predictions(adata, key=key), fit_part(adata, key, "params")
    outcome = outcome_of(params)
    _check_target(target_class, outcome)
    columns = list(outcome.plotted_columns())
    known = table[table[columns].notna().all(axis=1)]
    if known.empty:
        raise ValueError(f"no patient of {key!r} has all of {', '.join(columns)}; there is nothing to draw")
    # Of ordinal classes, one class is drawn as of any.
    drawing = DRAWINGS["classes" if target_class is not None else outcome.picture]
    panel, words = drawing(canvas, adata, key, known, outcome, target_class)
    n_more = len(table) - len(known)
    lines = [*words, f"n = {counted(adata, key, known.index)}" + (f", {n_more} more cannot be drawn" if n_more else "")]
    panel.set_title("\n".join(lines), fontsize="medium")
    unframe(panel)


def _check_target(target_class: str | None, outcome: Outcome) -> None:
    if target_class is None:
        return
    if not outcome.has_classes:
        raise ValueError(f"target_class={target_class!r} is for classes, the outcome is {outcome.kind!r}")
    check_choice(target_class, outcome.outputs, "target_class")


def _metric(adata: AnnData, key: str, outcome: Outcome) -> list[str]:
    """The main metric with its interval, where there is a table of metrics."""
    if "metrics" not in adata.uns[key]:
        return []
    table = get.metrics(adata, key=key)
    metric, name = outcome.metric_shown(list(table.index))
    mean = "mean " if metric == "auroc" and len(outcome.outputs) > 2 else ""
    words = f"{mean}{name} {interval_in_words(table.loc[metric])}"
    return [words[0].upper() + words[1:]]


def _out_of_fold(adata: AnnData, key: str) -> str:
    """Predictions of a fit come from networks that held the patients out; new patients are in no fold."""
    return " (out of fold)" if "metrics" in adata.uns[key] and verb_of(adata.uns[key]) != "predict" else ""


def _draw_classes(
    canvas: Canvas, adata: AnnData, key: str, known: pd.DataFrame, outcome: Outcome, target_class: str | None
):
    """Probability of a class, by observed class."""
    target = outcome.outputs[-1] if target_class is None else target_class
    panel, _ = _draw_groups(canvas, known, known[f"prob_{target}"], outcome)
    panel.set(ylim=(-0.03, 1.03), ylabel=f"Predicted probability of {shorten(target, 24)}{_out_of_fold(adata, key)}")
    return panel, [*_metric(adata, key, outcome), *_change(adata, key, known, outcome)]


def _change(adata: AnnData, key: str, known: pd.DataFrame, outcome: Outcome) -> list[str]:
    """The change within the patients who have samples of both of two classes."""
    if len(outcome.outputs) != 2 or not _pairs(known, outcome):
        return []
    row = get.paired_change(adata, key=key).iloc[0]
    mean = f"{row['mean_change']:+.2f}"
    if np.isfinite(row["ci_low"]):
        mean += f" [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
    p = f", {written(row['p'])}" if np.isfinite(row["p"]) else ""
    return [f"Within {plural(int(row['n_patients']), 'patient')}: change of logit {mean}{p}"]


def _pairs(known: pd.DataFrame, outcome: Outcome) -> list[pd.Index]:
    """Samples of each patient who has some of several classes."""
    if "group" not in known:
        return []
    classes = outcome.group_of_patient(known)
    labelled = known[classes != ""]
    return [own.index for _, own in labelled.groupby("group", sort=True) if classes[own.index].nunique() > 1]


def _draw_levels(canvas: Canvas, adata: AnnData, key: str, known: pd.DataFrame, outcome: Ordinal, target_class: None):
    """Expected level, by observed class; a short line where all points of the class would be if all were right."""
    panel, groups = _draw_groups(canvas, known, outcome.expected_level(known), outcome)
    levels = list(outcome.outputs)
    for place, name in enumerate(groups):
        if name in levels:
            panel.hlines(levels.index(name), place - 0.42, place + 0.42, color=GREY, linestyle="--", linewidth=1)
    panel.set_yticks(range(len(levels)), [shorten(name, 16) for name in levels])
    margin = 0.08 * (len(levels) - 1)
    panel.set(ylim=(-margin, len(levels) - 1 + margin), ylabel=f"Expected level{_out_of_fold(adata, key)}")
    return panel, _metric(adata, key, outcome)


def _draw_groups(canvas: Canvas, known: pd.DataFrame, value: pd.Series, outcome: Outcome):
    """Patients by observed class, each class from its lowest prediction to its highest."""
    group = outcome.group_of_patient(known).replace("", UNLABELLED)
    groups = [name for name in (*outcome.groups, UNLABELLED) if (group == name).any()]
    colors = canvas.colors(class_colors(outcome.groups), {UNLABELLED: GREY})
    pairs = _pairs(known, outcome)
    panel = canvas.axis((1.8 + 1.1 * max(len(groups), 2) + (1.0 if pairs else 0), 4.2))
    across = pd.Series(np.nan, index=known.index)
    for place, name in enumerate(groups):
        ranked = value[group == name].sort_values(kind="stable")
        across[ranked.index] = place + (np.linspace(-0.36, 0.36, len(ranked)) if len(ranked) > 1 else np.zeros(1))
        panel.scatter(across[ranked.index], ranked, color=colors[name], **POINTS)
    for own in pairs:
        own = across[own].sort_values().index
        panel.plot(across[own], value[own], color=GREY, linewidth=0.8, alpha=0.7, zorder=2)
    counts = [f"{shorten(name, 16)}\nn = {(group == name).sum()}" for name in groups]
    panel.set_xticks(range(len(groups)), counts, fontsize="small")
    panel.set(xlim=(-0.6, len(groups) - 0.4), xlabel=f"Observed {shorten(outcome.label_key, 24)}")
    return panel, groups


def _draw_numbers(canvas: Canvas, adata: AnnData, key: str, known: pd.DataFrame, outcome: Outcome, target_class: None):
    """Observed against predicted, on the same scale, by cohort."""
    from matplotlib.ticker import MaxNLocator

    names = names_in_order(known["cohort"][known["cohort"] != ""]) if "cohort" in known else []
    panel = canvas.axis((4.2, 4.4 + (0.6 if names else 0)))
    if not names:
        (color,) = canvas.colors({"patients": BLUE}).values()
        panel.scatter(known["predicted"], known["label"], color=color, **POINTS)
    else:
        colors, handles = canvas.colors(class_colors(names), {UNKNOWN: GREY}), []
        for cohort in (*names, ""):
            own = known[known["cohort"] == cohort]
            name = cohort or UNKNOWN
            label = f"{shorten(name, 28)}, n = {len(own)}"
            if len(own):
                points = panel.scatter(own["predicted"], own["label"], color=colors[name], label=label, **POINTS)
                handles.append(points)
        batch_key = fit_part(adata, key, "params")["batch_key"]
        title = {"title": shorten(batch_key, 28), "title_fontsize": "small", "alignment": "left"}
    both = known[["predicted", "label"]].to_numpy()
    margin = 0.05 * (np.ptp(both) or 1)
    limits = (both.min() - margin, both.max() + margin)
    panel.plot(limits, limits, color=GREY, linestyle="--", linewidth=1, zorder=1)
    name = shorten(outcome.label_key, 24)
    panel.set(xlim=limits, ylim=limits)
    for axis in (panel.xaxis, panel.yaxis):
        axis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    panel.set(xlabel=f"Predicted {name}{_out_of_fold(adata, key)}", ylabel=f"Observed {name}")
    if names:
        canvas.legend(panel, handles, **title)
    return panel, _metric(adata, key, outcome)


def _draw_survival(canvas: Canvas, adata: AnnData, key: str, known: pd.DataFrame, outcome: Outcome, target_class: None):
    """Kaplan-Meier curves of two groups by risk, with intervals and numbers at risk."""
    curves, test = (get.risk_groups(adata, part, key=key) for part in ("curves", "test"))
    panel = draw_risk_groups(canvas, curves, outcome.label_key)
    return panel, [*_metric(adata, key, outcome), log_rank_in_words(test, _out_of_fold(adata, key))]


#: By :attr:`Outcome.picture`.
DRAWINGS = {"classes": _draw_classes, "levels": _draw_levels, "numbers": _draw_numbers, "survival": _draw_survival}
