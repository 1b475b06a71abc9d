"""Agreement of attention and regulators between replicas."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from tcellmil import _keys, get
from tcellmil._checks import check_choice, check_count
from tcellmil._results import outcome_of_result, part_of
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import GREY, SIGNS
from tcellmil.pl._panels import beside_row, draw_boxes_with_points, longest, name_rows, say, shorten

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

Across = Literal["seeds", "folds"]
ROWS = {"seeds": "between seeds", "folds": "between folds"}
COLORS = {"between seeds": "#009E73", "between folds": "#CC79A7"}


@picture
def attention_stability(
    adata: AnnData,
    n_top: int | None = None,
    across: Across | None = None,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
) -> None:
    """Draw how far attention agrees between replicas, and the most important regulators with their spread.

    Left, the rank correlation of the attention of each patient's cells between seeds and between folds: a point is a
    patient, a box is over patients, with whiskers from the 5th to the 95th percentile. Right, the regulators of largest
    importance, the half difference of the prediction between up and down: a point is the mean, a line the standard
    deviation over seeds (folds), and beside it the share of them that has the regulon among its most important ones.
    Open points have another sign in some of them.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.attention_stability`.
    n_top
        At most this many regulons, as many as the top of :func:`tcellmil.tl.attention_stability` by default.
    across
        Spread over ``"seeds"`` or ``"folds"``; seeds by default, if there are several.
    %(key)s
    %(result_key)s

    Returns
    -------
    An array of two axes: attention, regulators.

    Raises
    ------
    %(no_result)s
    ValueError
        If ``n_top`` is below 1, or nothing was compared ``across`` these.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, n_seeds=2, training={"max_epochs": 3}, progress=False)
    >>> tm.tl.attention_stability(adata)
    >>> [ax.get_xlabel() for ax in tm.pl.attention_stability(adata, show=False)]
    ['Spearman correlation of attention', 'Change in probability of R']
    """
    params = part_of(adata, "attention_stability", "params", key, result_key)
    attention, regulators, top = (
        get.attention_stability(adata, part, key=key, result_key=result_key).reset_index()
        for part in ("attention", "regulators", "top")
    )
    n_top = int(params["n_top"]) if n_top is None else check_count(n_top, "n_top")
    compared = regulators["across"].tolist()
    across = compared[0] if across is None else across
    check_choice(across, compared, "across")
    drawn = top[top["across"] == across].head(n_top)

    axes = canvas.axes(2, (3.6 + 0.06 * longest(drawn["regulon"]), max(3.0, 2.2 + 0.24 * len(drawn))))
    colors = canvas.colors(COLORS | SIGNS)
    _draw_attention(axes[0], attention, colors)
    summary = regulators.set_index("across").loc[across]
    _draw_regulators(axes[1], drawn, summary, across, colors)
    outcome = outcome_of_result(adata, "attention_stability", key, result_key)
    axes[1].set_xlabel(f"Change in {outcome.quantity(shorten(params['target_class'], 24))}")
    _explain(canvas, axes[1], across, int(summary["n_top"]))


def _draw_attention(ax: Axes, attention: pd.DataFrame, colors: dict) -> None:
    present = [across for across in ROWS if (attention["across"] == across).any()]
    of_row = [attention.loc[attention["across"] == across, "spearman"].dropna().to_numpy() for across in present]
    of_rows = [colors[ROWS[across]] for across in present]
    draw_boxes_with_points(ax, of_row, range(len(present)), of_rows, 0.3, reach=0.12, size=9)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    name_rows(ax, [ROWS[across] for across in present])
    ax.set_xlim(min(-0.05, ax.get_xlim()[0]), 1.02)
    ax.set_xlabel("Spearman correlation of attention")
    ax.set_title(f"n = {attention['patient'].nunique()} patients", fontsize="medium")


def _draw_regulators(ax: Axes, top: pd.DataFrame, summary: pd.Series, across: str, colors: dict) -> None:
    from matplotlib.ticker import MaxNLocator

    for row, regulon in enumerate(top.itertuples()):
        color = colors["positive" if regulon.importance > 0 else "negative"]
        ax.errorbar(
            regulon.importance,
            row,
            xerr=regulon.sd,
            fmt="o",
            color=color,
            markerfacecolor=color if regulon.sign_agreement == 1 else "white",
            markersize=5,
            linewidth=1.2,
        )
        beside_row(ax, row, f"{regulon.share_top:.0%}", x=1.02, fontsize="small", color=GREY)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    name_rows(ax, [shorten(name) for name in top["regulon"]])
    n_top = int(summary["n_top"])
    ax.set_title(
        f"{int(summary['n_groups'])} {across}, Spearman {summary['spearman_mean']:.2f}\n"
        f"top {n_top} shared {summary['top_overlap']:.0%}, by chance {summary['top_overlap_chance']:.0%}",
        fontsize="medium",
    )
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if not len(top):
        say(ax, "no regulon can be shifted")


def _explain(canvas: Canvas, ax: Axes, across: str, n_top: int) -> None:
    from matplotlib.lines import Line2D

    point = {"marker": "o", "markersize": 5, "color": "#666666"}
    handles = [
        Line2D([], [], **point, linewidth=1.2, label=f"mean and sd over {across}"),
        Line2D([], [], **point, linewidth=1.2, markerfacecolor="white", label="sign differs between some"),
        Line2D([], [], linestyle="", label=f"%: share of {across} with it in the top {n_top}"),
    ]
    canvas.legend(ax, handles, "lower right", ncols=3)
