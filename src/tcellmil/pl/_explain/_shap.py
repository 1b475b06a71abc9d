"""SHAP values of regulons over patients, and of cells on an embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_count
from tcellmil._results import counted, doubt_of_fit, outcome_of_fit
from tcellmil.get import predictions
from tcellmil.get import shap as get_shap
from tcellmil.get._shap import shap_of_cells, shap_params
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import color_bar, draw_cells, label_embedding, place_cells
from tcellmil.pl._palette import GREY, class_colors
from tcellmil.pl._panels import UNLABELLED, draw_boxes_with_points, longest, name_rows, shorten

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

By = Literal["label", "output"]
Summary = Literal["weighted_mean", "mean", "total"]
SUMMARIES = {
    "weighted_mean": "attention-weighted mean over cells",
    "mean": "mean over cells",
    "total": "sum over cells",
}


@picture
def shap(
    adata: AnnData,
    n_top: int = 20,
    basis: str | None = None,
    by: By = "label",
    summary: Summary | None = None,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    regulons: str | Sequence[str] | None = None,
) -> None:
    """Draw SHAP values, over patients by regulon and class, or of each cell on an embedding.

    Reads ``uns[key + "_shap"]``, ``uns[key]`` and, with ``basis``, ``obsm["X_" + key + "_shap"]``. Regulons are in the
    order of their median absolute value over patients, the highest first. A box is over patients, whiskers reach to the
    5th and 95th percentile, a point is a patient. Where the model may know nothing, a line says so.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.shap`.
    n_top
        At most this many regulons; with ``basis``, three unless given by ``regulons``.
    basis
        Embedding in ``adata.obsm``: ``"umap"`` for ``obsm["X_umap"]``, or any key. One panel per regulon, colours from
        the 99th percentile of the absolute values to its negative.
    by
        ``"label"``: values of the target class, a box for the patients of each label. ``"output"``: a box for the
        values of each class, over all patients (as in the paper; with two classes they mirror each other). Where the
        outcome is a number or a time to event, both are a box for all patients with a known outcome.
    summary
        ``"weighted_mean"`` (by attention), ``"mean"`` or ``"total"``; by default what
        :func:`tcellmil.tl.shap` orders by, ``"total"`` for ``level="bag"``.
    %(key)s
    %(result_key)s
    regulons
        This regulon, or these, instead of the top ones.

    Returns
    -------
    The axes; with ``basis`` an array, one per regulon, if there are several.

    Raises
    ------
    KeyError
        If there is no such result, or a regulon or the embedding is not there.
    ValueError
        If an option is not known or ``n_top`` is below 1.

    References
    ----------
    After supplementary figures 9 and 11 of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.pl.shap(adata, show=False).get_yticklabels()[0].get_text()
    'IRF7'
    """
    check_choice(by, get_args(By), "by")
    check_count(n_top, "n_top")
    params = shap_params(adata, key, result_key)
    summary = ("total" if params["level"] == "bag" else "weighted_mean") if summary is None else summary
    check_choice(summary, get_args(Summary), "summary")
    stats = get_shap(adata, "stats", key=key, result_key=result_key, regulons=regulons).reset_index()
    order = stats.sort_values("median_abs", ascending=False, kind="stable")["regulon"].tolist()
    fit = str(params["key"])
    outcome = outcome_of_fit(adata, fit)
    canvas.doubt(doubt_of_fit(adata, fit))
    towards = f"SHAP value for {shorten(outcome.target_in_words(params['target_class']), 24)}"
    if basis is not None:
        names = order if regulons is not None else order[: min(n_top, 3)]
        _draw_on_embedding(canvas, adata, names, basis, towards, shap_of_cells(adata, key, result_key))
        return

    table = get_shap(adata, key=key, result_key=result_key).reset_index()
    by = by if outcome.has_classes else "label"
    table = _boxes_by(table, outcome.group_of_patient(predictions(adata, key=fit)), by, params["target_class"])
    colors = canvas.colors(class_colors(outcome.groups), {UNLABELLED: GREY})
    names = order[:n_top]
    groups = [name for name in colors if (table["group"] == name).any()]
    height = 1.5 + len(names) * (0.1 + 0.11 * len(groups))
    panel = canvas.axis((4.4 + 0.075 * longest(names), height))
    _draw_boxes_by_group(panel, table[table["regulon"].isin(names)], names, groups, colors, summary)
    title = outcome.label_key if by == "label" else "class"
    panel.get_legend().set_title(shorten(title, 24), prop={"size": "small"})
    towards = towards if by == "label" else "SHAP value for the class"
    unit = f"{params['output']}, " if outcome.has_classes else ""  # the name of a number says it
    panel.set_xlabel(f"{towards}\n({unit}{SUMMARIES[summary]})")
    panel.set_title(f"n = {counted(adata, fit, table['patient'].unique())}", fontsize="medium")


def _boxes_by(table: pd.DataFrame, group_of: pd.Series, by: str, target: str) -> pd.DataFrame:
    """The rows to draw, with a column ``group`` that says which box they belong to."""
    if by == "output":
        return table.assign(group=table["class"])
    table = table[table["class"] == target]
    return table.assign(group=group_of.replace("", UNLABELLED).reindex(table["patient"]).to_numpy())


def _draw_boxes_by_group(ax: Axes, table: pd.DataFrame, names, groups, colors, summary: str) -> None:
    from matplotlib.patches import Patch

    height = 0.76 / len(groups)
    by_box = table.groupby(["regulon", "group"])[summary]
    for g, group in enumerate(groups):
        rows = np.arange(len(names)) + height * (g - (len(groups) - 1) / 2)
        values = [by_box.get_group((name, group)).to_numpy() for name in names]
        of_rows = [colors[group]] * len(names)
        draw_boxes_with_points(ax, values, rows, of_rows, 0.85 * height, reach=0.3 * height, size=5)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    name_rows(ax, [shorten(name) for name in names])
    ax.legend(
        handles=[Patch(color=colors[group], alpha=0.55, label=shorten(group, 24)) for group in groups],
        frameon=False,
        fontsize="small",
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )


def _draw_on_embedding(
    canvas: Canvas, adata: AnnData, names: Sequence[str], basis: str, towards: str, values: pd.DataFrame
) -> None:
    from matplotlib.colors import Normalize

    place = place_cells(adata, basis)
    axes = canvas.axes(len(names), (4.2, 3.6))
    cmap = canvas.colormap("coolwarm")
    for panel, name in zip(axes, names, strict=True):
        value = values[name].to_numpy()
        known = np.isfinite(value)
        limit = float(np.quantile(np.abs(value[known]), 0.99)) or 1.0
        label_embedding(panel, basis)
        points = draw_cells(panel, place[known], value[known], cmap=cmap, norm=Normalize(-limit, limit))
        color_bar(points, panel, towards, both_ends=True)
        panel.set_title(shorten(name), fontsize="medium")
