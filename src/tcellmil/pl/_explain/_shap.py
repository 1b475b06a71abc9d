"""SHAP values of regulons over patients, and of cells on an embedding."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice
from tcellmil._outcome_kinds import has_classes, patient_groups, target_in_words
from tcellmil.get import predictions
from tcellmil.get import shap as get_shap
from tcellmil.get._mil import group_of_patient, stored
from tcellmil.get._shap import shap_of_cells, stored_shap
from tcellmil.pl._canvas import GREY, class_colors, draw_boxes, finish, make_axes, shorten
from tcellmil.pl._embedding import draw_cells, label_embedding, place_cells

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes

SUMMARIES = {
    "weighted_mean": "attention-weighted mean over cells",
    "mean": "mean over cells",
    "total": "sum over cells",
}
UNLABELLED = "unlabelled"


def shap(
    adata: AnnData,
    n_top: int = 20,
    basis: str | None = None,
    regulons: str | Sequence[str] | None = None,
    by: Literal["label", "output"] = "label",
    summary: str | None = None,
    key: str = _keys.TCELLMIL,
    *,
    shap_key: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
) -> Axes | np.ndarray:
    """Draw SHAP values, over patients by regulon and class, or of each cell on an embedding.

    Reads ``uns[key + "_shap"]``, ``uns[key]`` and, with ``basis``, ``obsm["X_shap"]``. Regulons are in the order of
    their median absolute value over patients, the highest first. A box is over patients, whiskers reach to the 5th and
    95th percentile, a point is a patient.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.shap` wrote to.
    n_top
        At most this many regulons; with ``basis``, three unless given by ``regulons``.
    basis
        Embedding in ``adata.obsm``: ``"umap"`` for ``obsm["X_umap"]``, or any key. A panel a regulon, colours from the
        99th percentile of the absolute values to its negative.
    regulons
        These regulons, instead of the top ones.
    by
        ``"label"``: values of the target class, a box for the patients of each label. ``"output"``: a box for the
        values of each class, over all patients (as in the paper; with two classes they mirror each other). Where the
        outcome is a number or a time to event, both are a box for all patients with a known outcome.
    summary
        ``"weighted_mean"`` (by attention), ``"mean"`` or ``"total"``; by default what
        :func:`tcellmil.tl.shap` orders by, ``"total"`` for ``level="bag"``.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    shap_key
        The ``key_added`` of :func:`tcellmil.tl.shap`, where one was given.
    ax
        Axes to draw on, one a panel; a new figure without.
    show
        Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.

    Returns
    -------
    The axes; with ``basis`` an array, one a regulon, if there are several.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or a regulon or the embedding is not there.
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
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.shap(adata, level="bag", background=100, progress=False)
    >>> tm.pl.shap(adata, show=False).get_yticklabels()[0].get_text()
    'IRF7'
    """
    check_choice(by, ("label", "output"), "by")
    if n_top < 1:
        raise ValueError(f"n_top={n_top} must be at least 1")
    params = stored_shap(adata, key, shap_key)["params"]
    summary = ("total" if params["level"] == "bag" else "weighted_mean") if summary is None else summary
    check_choice(summary, tuple(SUMMARIES), "summary")
    stats = get_shap(adata, "stats", key, regulons=regulons, shap_key=shap_key)
    order = stats.sort_values("median_abs", ascending=False, kind="stable")["regulon"].tolist()
    if basis is not None:
        names = order if regulons is not None else order[: min(n_top, 3)]
        return _on_embedding(adata, names, basis, params, shap_of_cells(adata, key, shap_key), ax, show)

    fit = params["key"]
    table = get_shap(adata, "patients", key, shap_key=shap_key)
    of_fit = stored(adata, fit, "params")
    by = by if has_classes(of_fit) else "label"
    table = _boxes_by(table, group_of_patient(predictions(adata, fit), of_fit), by, params["target_class"])
    colors = {**class_colors(patient_groups(of_fit)), UNLABELLED: GREY}
    names = order[:n_top]
    groups = [name for name in colors if (table["group"] == name).any()]
    longest = max(len(shorten(name)) for name in names)
    axes = make_axes(1, ax, (4.4 + 0.075 * longest, 1.5 + len(names) * (0.1 + 0.11 * len(groups))))
    _draw_boxes_by_group(axes[0], table[table["regulon"].isin(names)], names, groups, colors, summary)
    title = of_fit["label_key"] if by == "label" else "class"
    axes[0].get_legend().set_title(shorten(title, 24), prop={"size": "small"})
    towards = _towards(params) if by == "label" else "SHAP value for the class"
    unit = f"{params['output']}, " if has_classes(of_fit) else ""  # the name of a number says it
    axes[0].set_xlabel(f"{towards}\n({unit}{SUMMARIES[summary]})")
    axes[0].set_title(f"n = {table['patient'].nunique()} patients", fontsize="medium")
    return finish(axes, show, own=ax is None)


def _towards(params: Mapping) -> str:
    """What values are of: the class, the number or the log hazard."""
    return f"SHAP value for {shorten(target_in_words(params, params['target_class']), 24)}"


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
        draw_boxes(ax, values, rows, [colors[group]] * len(names), height=0.85 * height)
        for row, of_box in zip(rows, values, strict=True):
            spread = np.random.default_rng(0).uniform(-0.3, 0.3, len(of_box)) * height
            ax.scatter(of_box, row + spread, s=5, color=colors[group], alpha=0.7, linewidths=0, zorder=3)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(names)), [shorten(name) for name in names])
    ax.set_ylim(len(names) - 0.4, -0.6)
    ax.spines[["top", "right"]].set_visible(False)
    ax.legend(
        handles=[Patch(color=colors[group], alpha=0.55, label=shorten(group, 24)) for group in groups],
        frameon=False,
        fontsize="small",
        loc="upper left",
        bbox_to_anchor=(1, 1),
    )


def _on_embedding(adata, names, basis, params, values: pd.DataFrame, ax, show) -> Axes | np.ndarray:
    from matplotlib.colors import Normalize

    place = place_cells(adata, basis)
    axes = make_axes(len(names), ax, (4.2, 3.6))
    for panel, name in zip(axes, names, strict=True):
        value = values[name].to_numpy()
        known = np.isfinite(value)
        limit = float(np.quantile(np.abs(value[known]), 0.99)) or 1.0
        points = draw_cells(panel, place[known], value[known], cmap="coolwarm", norm=Normalize(-limit, limit))
        bar = panel.figure.colorbar(points, ax=panel, shrink=0.8, aspect=25, extend="both")
        bar.set_label(_towards(params))
        bar.outline.set_visible(False)
        label_embedding(panel, basis)
        panel.set_title(shorten(name), fontsize="medium")
    return finish(axes, show, own=ax is None)
