"""Methods side by side, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._checks import check_choice, some
from tcellmil.get import benchmark as get_benchmark
from tcellmil.pl._canvas import BLUE, GREY, PALETTE, finish, make_axes, shorten

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

TITLES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "brier": "Brier score (lower is better)",
}


def benchmark(
    adata: AnnData,
    metrics: str | Sequence[str] = ("auroc", "auprc", "accuracy"),
    methods: Sequence[str] | None = None,
    key: str = _keys.BENCHMARK,
    *,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
) -> Axes | np.ndarray:
    """Draw metrics of compared methods with their 95% intervals, a panel a metric.

    Reads ``uns[key]``. Rows are in the order of the first metric, the best first; colours are representations. The
    dotted line is at the reference, whose name is marked; a star is at methods that differ from it with p < 0.05
    (paired, over patients, not adjusted for the number of methods).

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.benchmark` wrote to.
    metrics
        One metric, or several.
    methods
        Only these methods.
    key
        The ``key_added`` of :func:`tcellmil.tl.benchmark`.
    ax
        Axes to draw on, one a metric; a new figure without.
    show
        Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.

    Returns
    -------
    The axes; an array of them for several metrics.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.
    ValueError
        If a metric or a method is not known.

    References
    ----------
    After table 1 of Tsui et al. (2025).

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.benchmark(adata, "patient", "response", methods=["gaussian_nb", "majority"], reps=["X_regulons"], cv=2)
    >>> len(tm.pl.benchmark(adata, show=False))
    3
    """
    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in metrics:
        check_choice(metric, tuple(TITLES), "metrics")
    table, params = get_benchmark(adata, key=key), adata.uns[key]["params"]
    if methods is not None:
        unknown = [name for name in methods if name not in set(table["method"])]
        if unknown:
            raise ValueError(f"methods {some(unknown)} were not compared; there are {some(table['method'].unique())}")
        table = table[table["method"].isin(list(methods))]
    first = table[table["metric"] == metrics[0]]
    first = first.sort_values("value", ascending=metrics[0] == "brier", kind="stable")
    rows = list(first[["method", "rep"]].itertuples(index=False, name=None))
    reps = [rep for rep in dict.fromkeys(table["rep"]) if rep]
    colors = {**dict(zip(reps, _colors(len(reps)), strict=True)), "": GREY}
    reference = params["reference"], params["reference_rep"]

    axes = make_axes(len(metrics), ax, (3.0 if len(metrics) > 1 else 4.2, 1.3 + 0.26 * len(rows)))
    for panel, metric in zip(axes, metrics, strict=True):
        of_metric = table[table["metric"] == metric].set_index(["method", "rep"]).loc[rows]
        _draw_metric(panel, of_metric, rows, colors, reference)
        panel.set_xlabel(TITLES[metric])
        panel.set_yticks(range(len(rows)), [""] * len(rows))
    names = [shorten(method) + (" (reference)" if (method, rep) == reference else "") for method, rep in rows]
    axes[0].set_yticks(range(len(rows)), names)
    axes[0].set_title(f"n = {int(table['n'].max())} patients", fontsize="medium", loc="left")
    if len(reps) > 1:
        _explain_colors(axes, colors, own=ax is None)
    return finish(axes, show, own=ax is None)


def _colors(n: int) -> list[str]:
    return [BLUE] if n == 1 else [PALETTE[i % len(PALETTE)] for i in range(n)]


def _draw_metric(ax: Axes, table: pd.DataFrame, rows: list, colors: dict, reference: tuple[str, str]) -> None:
    for y, (method, rep) in enumerate(rows):
        row = table.iloc[y]
        ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=colors[rep], linewidth=1.5, alpha=0.6)
        ax.scatter(row["value"], y, color=colors[rep], s=26, zorder=3, linewidths=0)
        if row["p"] < 0.05:
            ax.text(1.01, y, "*", transform=ax.get_yaxis_transform(), va="center")
        if (method, rep) == reference:
            ax.axvline(row["value"], color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xlim=(-0.02, max(1.02, table["ci_high"].max() * 1.02)), ylim=(len(rows) - 0.4, -0.6))
    ax.spines[["top", "right"]].set_visible(False)


def _explain_colors(axes: np.ndarray, colors: dict[str, str], own: bool) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], color=color, marker="o", markersize=5, label=shorten(rep, 24) or "no representation")
        for rep, color in colors.items()
    ]
    if own:
        axes[0].figure.legend(
            handles=handles, loc="outside lower center", ncols=min(3, len(handles)), frameon=False, fontsize="small"
        )
    else:
        axes[0].legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.2), frameon=False, fontsize="small")
