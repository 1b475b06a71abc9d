"""Correlation of regulons with attention."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np

from tcellmil import _keys, get
from tcellmil._checks import check_choice
from tcellmil._results import counted, doubt_of_fit, fit_of
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import GREY, SIGNS
from tcellmil.pl._panels import longest, say, shorten, unframe

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.text import Text

Statistic = Literal["tau_within", "rho_within", "tau", "rho", "mixed"]
STATISTICS = {
    "tau": ("tau", "Kendall's τ with attention, over all cells"),
    "rho": ("rho", "Spearman's ρ with attention, over all cells"),
    "tau_within": ("tau_within", "Kendall's τ with attention, mean over patients"),
    "rho_within": ("rho_within", "Spearman's ρ with attention, mean over patients"),
    "mixed": ("mixed_coef", "Slope on log attention (SD per SD), mixed model"),
}
SIGNIFICANT = 0.05
UNSURE = f"adjusted p ≥ {SIGNIFICANT}"
WIDEST_COLUMN = 1 / 3  # of the axes, for the names of one side
NAME_MARGIN = 13  # points (1/72 inch) between names and points
LOWEST = np.finfo(float).tiny  # below this a float has no full precision, and soon none


@picture
def attention_correlation(
    adata: AnnData,
    statistic: Statistic = "tau_within",
    n_top: int = 10,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
) -> None:
    """Draw a volcano of the regulons: how they go with attention, and how surely.

    Reads ``uns[key + "_attention_correlation"]``. A point is a regulon; significant ones (adjusted p < 0.05) are blue
    (positive) or orange (negative). Names are those of the lowest adjusted p-values, of equal ones the strongest. The
    default is the test over patients; p-values over all cells count cells of one patient as independent (see
    :func:`tcellmil.tl.attention_correlation`). An adjusted p-value that is too low for a float is a triangle at the
    lowest that is not. Where the model may know nothing, a line says so, all points are grey, and names are those of
    the strongest correlations.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.attention_correlation`.
    statistic
        Which effect and p-value: ``"tau_within"``, ``"rho_within"`` (over patients), ``"tau"``, ``"rho"`` (over all
        cells) or ``"mixed"`` (mixed model).
    n_top
        Number of regulons with a name, at least 0. No more are named on a side than there is room for.
    %(key)s
    %(result_key)s

    Returns
    -------
    The axes.

    Raises
    ------
    KeyError
        If there is no such result, or the mixed models were not fitted.
    ValueError
        If ``statistic`` is not known or ``n_top`` is below 0.

    References
    ----------
    After figure 8 and, for the mean over patients, figure 4b of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.attention_correlation(adata, mixed_model=False)
    >>> tm.pl.attention_correlation(adata, "tau", show=False).get_xlabel()
    "Kendall's τ with attention, over all cells"
    """
    check_choice(statistic, get_args(Statistic), "statistic")
    if n_top < 0:
        raise ValueError(f"n_top={n_top} must be at least 0")
    table = get.attention_correlation(adata, key=key, result_key=result_key).reset_index()
    if statistic == "mixed" and "mixed_coef" not in table:
        raise KeyError("the mixed models were not fitted; run tl.attention_correlation(adata, mixed_model=True)")
    fit = fit_of(adata, "attention_correlation", key, result_key)
    canvas.doubt(doubt := doubt_of_fit(adata, fit))
    points = _points(table, statistic, canvas.colors(SIGNS, {UNSURE: GREY}))
    if doubt:
        points["color"] = GREY

    top = _top(points, n_top, by_size=bool(doubt))
    letters = sum(longest(top.loc[side, "regulon"]) for side in (top["x"] < 0, top["x"] >= 0))
    panel = canvas.axis((4.0 + 0.085 * letters, 4.4))
    _draw_points(panel, points)
    panel.set_xlabel(STATISTICS[statistic][1])
    panel.set_title(_title(counted(adata, fit, int(table["n_patients"].max())), table, points), fontsize="medium")
    if not doubt:
        _draw_legend(canvas, panel, points)
    _draw_names(panel, top)


def _points(table: pd.DataFrame, statistic: str, colors: dict) -> pd.DataFrame:
    """Where each regulon with a test lies, and its colour."""
    padj = table[f"{statistic}_padj"]
    points = table[["regulon"]].assign(x=table[STATISTICS[statistic][0]], padj=padj)[padj.notna()].copy()
    points["beyond"] = points["padj"] < LOWEST
    points["y"] = -np.log10(np.maximum(points["padj"], LOWEST))
    sided = np.where(points["x"] > 0, "positive", "negative")
    points["group"] = np.where(points["padj"] < SIGNIFICANT, sided, UNSURE)
    points["color"] = points["group"].map(colors)
    return points


def _top(points: pd.DataFrame, n_top: int, *, by_size: bool) -> pd.DataFrame:
    """The regulons to name, the surest first and of equally sure ones the strongest; or the strongest first."""
    order = np.lexsort((-points["x"].abs(), 0 * points["padj"] if by_size else points["padj"]))
    return points.iloc[order[:n_top]]


def _draw_points(ax: Axes, points: pd.DataFrame) -> None:
    for beyond, marker in ((False, "o"), (True, "^")):
        some = points[points["beyond"] == beyond]
        ax.scatter(
            some["x"], some["y"], s=18, c=some["color"].tolist(), marker=marker, alpha=0.8, linewidths=0, zorder=3
        )
    threshold = -np.log10(SIGNIFICANT)
    ax.axhline(threshold, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    reach = 1.1 * points["x"].abs().max() if len(points) and points["x"].abs().max() > 0 else 1.0
    ax.set_xlim(-reach, reach)
    highest = max(points["y"].max() if len(points) else 0, threshold)
    ax.set_ylim(-0.03 * highest, 1.08 * highest)
    ax.set_ylabel("−log₁₀ adjusted p")
    unframe(ax)
    if not len(points):
        say(ax, "no regulon could be tested")


def _title(patients: str, table: pd.DataFrame, points: pd.DataFrame) -> str:
    title = f"n = {patients}, {len(points)} regulons"
    untested = len(table) - len(points)
    return f"{title} ({untested} more without a test)" if untested else title


def _draw_legend(canvas: Canvas, ax: Axes, points: pd.DataFrame) -> None:
    from matplotlib.lines import Line2D

    def handle(color: str, label: str, marker: str = "o") -> Line2D:
        return Line2D([], [], color=color, marker=marker, linestyle="", markersize=5, label=label)

    colors = canvas.colors(SIGNS, {UNSURE: GREY})
    handles = [
        handle(colors[name], f"{name}, {int((points['group'] == name).sum())}")
        for name in ("negative", UNSURE, "positive")
    ]
    if points["beyond"].any():
        handles.append(handle("#444444", f"adjusted p < {LOWEST:.0e}", "^"))
    ncols = 2 if len(handles) > 3 else 3
    canvas.legend(ax, handles, ncols=ncols, ncols_beside=2, handletextpad=0.2)


def _draw_names(ax: Axes, top: pd.DataFrame) -> None:
    """Names in two columns beside the points, the negative on the left, each joined to its point.

    The axis is widened by the width of the names, so that they cover no point, and they are pushed apart by their
    height, so that they cover no other.
    """
    if not len(top):
        return
    sides = {"right": top[top["x"] < 0], "left": top[top["x"] >= 0]}  # a name's side that faces its point
    style = {"fontsize": "small", "va": "center", "zorder": 4, "bbox": {"fc": "white", "ec": "none", "pad": 0.5}}
    texts = {side: [ax.text(0, 0, shorten(name), **style) for name in rows["regulon"]] for side, rows in sides.items()}
    ax.figure.draw_without_rendering()  # a layout, so that sizes are known
    area, margin = ax.get_window_extent(), NAME_MARGIN * ax.figure.dpi / 72
    for text in [text for of_side in texts.values() for text in of_side]:
        _fit(text, WIDEST_COLUMN * area.width - margin)
    boxes = {side: [text.get_window_extent() for text in of_side] for side, of_side in texts.items()}
    gap = 1.1 * max(box.height for of_side in boxes.values() for box in of_side) / area.height
    width = {side: max((box.width + margin for box in boxes[side]), default=0) / area.width for side in sides}
    _widen(ax, width["right"], width["left"])
    bottom, ceiling = ax.get_ylim()
    for side, rows in sides.items():
        edge = width["right"] if side == "right" else 1 - width["left"]
        outwards = -0.01 if side == "right" else 0.01
        places = _pushed_apart((rows["y"].to_numpy() - bottom) / (ceiling - bottom), gap)
        for text, row, place in zip(texts[side], rows.itertuples(), places, strict=True):
            if np.isnan(place):
                text.remove()
                continue
            color = "#555555" if row.group == UNSURE else row.color
            text.set(transform=ax.transAxes, position=(edge + outwards, place), ha=side, color=color)
            line = {"arrowstyle": "-", "color": row.color, "linewidth": 0.5, "alpha": 0.6, "shrinkA": 0, "shrinkB": 2}
            ax.annotate(
                "", (row.x, row.y), (edge + outwards / 2, place), textcoords=ax.transAxes, arrowprops=line, zorder=2
            )


def _fit(text: Text, width: float) -> None:
    """Shorten a name that is wider than ``width`` pixels, to no fewer than 8 letters."""
    name = text.get_text()
    for limit in range(len(name), 7, -1):
        text.set_text(shorten(name, limit))
        if text.get_window_extent().width <= width:
            return


def _widen(ax: Axes, left: float, right: float) -> None:
    """Make room beside the points, in shares of the new axis; it keeps its numbers where the points are."""
    from matplotlib.ticker import MaxNLocator

    reach = ax.get_xlim()[1]
    ax.set_xticks([tick for tick in MaxNLocator(4, symmetric=True).tick_values(-reach, reach) if abs(tick) <= reach])
    span = 2 * reach / (1 - left - right)
    ax.set_xlim(-reach - left * span, reach + right * span)


def _pushed_apart(heights: np.ndarray, gap: float) -> np.ndarray:
    """Places in (0, 1), at least ``gap`` apart and near ``heights``, in their order; NaN for those without room.

    Who comes last in ``heights`` goes without.
    """
    places = np.full(len(heights), np.nan)
    kept = np.arange(len(heights))[: max(int(1 / gap) - 1, 1)]
    order = kept[np.argsort(-heights[kept], kind="stable")]
    ceiling = 1 - gap / 2
    for i in order:
        places[i] = ceiling = min(heights[i], ceiling)
        ceiling -= gap
    floor = gap / 2
    for i in order[::-1]:
        places[i] = floor = max(places[i], floor)
        floor += gap
    return places
