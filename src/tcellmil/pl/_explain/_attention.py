"""Which cells a prediction attends to."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tcellmil import _keys, get
from tcellmil._checks import check_choice, check_obs_column
from tcellmil._results import outcome_of_fit
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import color_bar, draw_cells, label_embedding, place_cells, point_size
from tcellmil.pl._palette import GREY, class_colors
from tcellmil.pl._panels import UNLABELLED, draw_boxes, legend_above, longest, plain_log, plural, shorten, unframe

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.colors import Normalize

ColorScale = Literal["log", "rank", "linear"]
RELATIVE = "Attention relative to uniform"
MAX_GROUPS = 100


@picture
def attention(
    adata: AnnData,
    basis: str | None = None,
    groupby: str | None = None,
    color_scale: ColorScale = "log",
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
) -> None:
    """Draw the attention of the cells on an embedding, by group, or both.

    Reads ``obs[key + "_attention"]`` and ``uns[key]``. Attention is shown relative to uniform, that is times the number
    of cells of the patient: 1 means as much as if all cells of the patient counted the same. Without ``basis`` and
    ``groupby``, cells are grouped by the label of their patient. Where the outcome is a number or a time to event, all
    patients with a known outcome are one group.

    By group, a box is over the cells of a group from patients with one label, with whiskers from the 5th to the 95th
    percentile. Groups are in the order of their median, the highest first.

    Parameters
    ----------
    %(adata_of_fit)s
    basis
        Embedding in ``adata.obsm``: ``"umap"`` for ``obsm["X_umap"]``, or any key. The first two columns are drawn.
    groupby
        Column of ``adata.obs``, such as the cell type.
    color_scale
        Colours of the embedding: ``"log"`` (symmetric around 1, from the 99th percentile to its inverse, so that few
        cells do not hide the rest), ``"rank"`` (percentile among all cells) or ``"linear"``.
    %(key)s

    Returns
    -------
    The axes; an array of two (embedding, groups) with both ``basis`` and ``groupby``.

    Raises
    ------
    KeyError
        If there is no such result, or there is no such embedding or column.
    ValueError
        If ``groupby`` is a column of numbers with many values, or ``color_scale`` is not known.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.pl.attention(adata, groupby="cell_type", show=False).get_xlabel()
    'Attention relative to uniform'
    """
    check_choice(color_scale, get_args(ColorScale), "color_scale")
    cells = get.attention(adata, key=key)
    classes = outcome_of_fit(adata, key).groups
    place = None if basis is None else place_cells(adata, basis)
    by_label = basis is None and groupby is None
    groups = cells["label"].replace("", UNLABELLED) if by_label else _groups(adata, groupby)

    n_panels = (place is not None) + (groups is not None)
    axes = canvas.axes(n_panels, _size(place is not None, groups, cells["label"]))
    if place is not None:
        _draw_embedding(canvas, axes[0], place, cells, color_scale, basis)
    if groups is not None:
        colors = canvas.colors(class_colors(classes), {UNLABELLED: GREY})
        _draw_groups(axes[-1], cells, groups, colors)


def _size(has_embedding: bool, groups: pd.Series | None, label: pd.Series) -> tuple[float, float]:
    """Inches of a panel, with room for the names of the groups and a row for each of their boxes."""
    if groups is None:
        return 4.8, 4.0
    letters = longest(groups.dropna().unique())
    boxes = label.groupby(groups.to_numpy()).nunique()
    height = 1.2 + 0.16 * label.nunique() + 0.12 * len(boxes) + 0.14 * boxes.sum()
    return (4.4 + 0.04 * letters, max(4.0, height)) if has_embedding else (3.8 + 0.08 * letters, max(2.4, height))


def _groups(adata: AnnData, groupby: str | None) -> pd.Series | None:
    if groupby is None:
        return None
    groups = check_obs_column(adata, groupby, "groupby")
    if groups.nunique() > MAX_GROUPS:
        raise ValueError(f"groupby={groupby!r} has {groups.nunique()} values; at most {MAX_GROUPS} groups can be drawn")
    return groups.astype(object).where(groups.notna())


def _draw_embedding(
    canvas: Canvas, ax: Axes, place: np.ndarray, cells: pd.DataFrame, color_scale: str, basis: str
) -> None:
    relative = cells["relative"].to_numpy()
    known = np.isfinite(relative)
    if (~known).any():
        size = point_size(len(place))
        ax.scatter(*place[~known].T, s=size, color="#DDDDDD", linewidths=0, rasterized=True, label="never held out")
        ax.legend(frameon=False, fontsize="small", loc="best")
    label_embedding(ax, basis)
    values, norm, cmap, label = _colors(relative[known], color_scale)
    points = draw_cells(ax, place[known], values, cmap=canvas.colormap(cmap), norm=norm)
    bar = color_bar(points, ax, label, both_ends=color_scale == "log")
    if color_scale == "log":
        plain_log(bar.ax.yaxis)
    ax.set_title(f"n = {cells['sample'][known].nunique()} patients, {known.sum():,} cells", fontsize="medium")


def _colors(relative: np.ndarray, color_scale: str) -> tuple[np.ndarray, Normalize, str, str]:
    """Values to colour by, their norm and colour map, and what to write beside the bar."""
    from matplotlib.colors import LogNorm, Normalize

    if color_scale == "rank":
        from scipy.stats import rankdata

        return 100 * rankdata(relative) / max(len(relative), 1), Normalize(0, 100), "viridis", "Percentile of attention"
    if color_scale == "linear":
        return relative, Normalize(), "viridis", RELATIVE
    values = np.maximum(relative, np.finfo(float).tiny)
    fold = max(1.1, np.quantile(values, 0.99)) if values.size else 1.1
    return values, LogNorm(1 / fold, fold), "coolwarm", RELATIVE


def _draw_groups(ax: Axes, cells: pd.DataFrame, groups: pd.Series, colors: dict) -> None:
    from matplotlib.patches import Patch

    table = cells.assign(group=groups.to_numpy(), label=cells["label"].replace("", UNLABELLED))
    table = table[table["relative"].notna() & table["group"].notna()]
    labels = [label for label in colors if (table["label"] == label).any()]
    order = table.groupby("group")["relative"].median().sort_values(ascending=False, kind="stable").index
    for row, group in enumerate(order):
        of_group = table[table["group"] == group]
        present = [label for label in labels if (of_group["label"] == label).any()]
        height = 0.76 / len(present)
        draw_boxes(
            ax,
            [of_group.loc[of_group["label"] == label, "relative"].to_numpy() for label in present],
            [row + height * (i - (len(present) - 1) / 2) for i in range(len(present))],
            [colors[label] for label in present],
            height=0.85 * height,
        )
    ax.axvline(1, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_xscale("log")
    plain_log(ax.xaxis)
    ax.set_yticks(range(len(order)), [shorten(name) for name in order])
    ax.set(ylim=(max(len(order), 1) - 0.4, -0.6), xlabel=RELATIVE)
    unframe(ax)
    handles = [
        Patch(facecolor=colors[label], alpha=0.55, label=_count(label, table[table["label"] == label]))
        for label in labels
    ]
    legend_above(ax, handles)


def _count(label: str, cells: pd.DataFrame) -> str:
    return f"{shorten(label, 28)}, n = {plural(cells['sample'].nunique(), 'patient')}, {len(cells):,} cells"
