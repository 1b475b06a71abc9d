"""Methods side by side, with intervals over patients."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tcellmil._checks import check_choice, some
from tcellmil._results import part_of
from tcellmil.get import benchmark as get_benchmark
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, GREY, cycled
from tcellmil.pl._panels import beside_row, shorten, unframe
from tcellmil.pl._patients._intervals import draw_interval, metric_in_words

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

NO_REP = "no representation"
METRICS = ("auroc", "auprc", "accuracy", "balanced_accuracy", "f1", "precision", "recall", "brier")


@picture
def benchmark(
    adata: AnnData,
    metrics: str | Sequence[str] = ("auroc", "auprc", "accuracy"),
    methods: Sequence[str] | None = None,
    *,
    canvas: Canvas,
    result_key: str | None = None,
) -> None:
    """Draw metrics of compared methods with their 95% intervals, one panel per metric.

    Reads ``uns[key]``. Rows are in the order of the first metric, the best first; colours are representations. The
    dotted line is at the reference, whose name is marked; a star is at methods that differ from it with p < 0.05
    (paired, over patients, not adjusted for the number of methods).

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.benchmark`.
    metrics
        One metric, or several.
    methods
        Only these methods.
    %(own_result_key)s

    Returns
    -------
    The axes; an array of them for several metrics.

    Raises
    ------
    %(no_result)s
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
    >>> compared = {"methods": ["gaussian_nb", "majority"], "use_reps": ["X_regulons"]}
    >>> tm.tl.benchmark(adata, "patient", "response", **compared, cv=2, n_boot=100, n_permutations=100)
    >>> len(tm.pl.benchmark(adata, show=False))
    3
    """
    from matplotlib.lines import Line2D

    metrics = [metrics] if isinstance(metrics, str) else list(metrics)
    for metric in metrics:
        check_choice(metric, METRICS, "metrics")
    table = get_benchmark(adata, result_key=result_key).reset_index()
    params = part_of(adata, "benchmark", "params", result_key=result_key)
    if methods is not None:
        unknown = [name for name in methods if name not in set(table["method"])]
        if unknown:
            raise ValueError(f"methods {some(unknown)} were not compared; there are {some(table['method'].unique())}")
        table = table[table["method"].isin(list(methods))]
    first = table[table["metric"] == metrics[0]]
    first = first.sort_values("value", ascending=metrics[0] == "brier", kind="stable")
    rows = list(first[["method", "rep"]].itertuples(index=False, name=None))
    use_reps = [rep for rep in dict.fromkeys(table["rep"]) if rep]
    colors = canvas.colors({use_reps[0]: BLUE} if len(use_reps) == 1 else cycled(use_reps), {NO_REP: GREY})
    reference = params["reference"], params["reference_rep"]

    axes = canvas.axes(len(metrics), (3.0 if len(metrics) > 1 else 4.2, 1.3 + 0.26 * len(rows)))
    for panel, metric in zip(axes, metrics, strict=True):
        of_metric = table[table["metric"] == metric].set_index(["method", "rep"]).loc[rows]
        _draw_metric(panel, of_metric, rows, colors, reference)
        panel.set_xlabel(metric_in_words(metric))
        panel.set_yticks(range(len(rows)), [""] * len(rows))
    names = [shorten(method) + (" (reference)" if (method, rep) == reference else "") for method, rep in rows]
    axes[0].set_yticks(range(len(rows)), names)
    axes[0].set_title(f"n = {int(table['n'].max())} patients", fontsize="medium", loc="left")
    if len(use_reps) > 1:
        handles = [
            Line2D([], [], color=color, marker="o", markersize=5, label=shorten(rep, 24))
            for rep, color in colors.items()
        ]
        canvas.legend(axes[0], handles, ncols=min(3, len(handles)))


def _draw_metric(ax: Axes, table: pd.DataFrame, rows: list, colors: dict, reference: tuple[str, str]) -> None:
    for y, (method, rep) in enumerate(rows):
        row = table.iloc[y]
        draw_interval(ax, row, y, colors[rep or NO_REP])
        if row["p"] < 0.05:
            beside_row(ax, y, "*")
        if (method, rep) == reference:
            ax.axvline(row["value"], color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set(xlim=(-0.02, max(1.02, table["ci_high"].max() * 1.02)), ylim=(len(rows) - 0.4, -0.6))
    unframe(ax)
