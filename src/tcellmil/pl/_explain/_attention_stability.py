"""Agreement of attention and regulators between replicas."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal

import numpy as np

from tcellmil import _keys, get
from tcellmil._checks import check_choice
from tcellmil._outcome_kinds import quantity
from tcellmil.get._attention_stability import stability
from tcellmil.pl._canvas import BLUE, GREY, VERMILLION, draw_boxes, finish, make_axes, shorten

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

ROWS = {"seeds": ("between seeds", "#009E73"), "folds": ("between folds", "#CC79A7")}


def attention_stability(
    adata: AnnData,
    n_top: int | None = None,
    across: Literal["seeds", "folds"] | None = None,
    key: str = _keys.TCELLMIL,
    *,
    stability_key: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
) -> np.ndarray:
    """Draw how far attention agrees between replicas, and the most important regulators with their spread.

    Left, the rank correlation of the attention of each patient's cells between seeds and between folds: a point is a
    patient, a box is over patients, with whiskers from the 5th to the 95th percentile. Right, the regulators of largest
    importance, the half difference of the prediction between up and down: a point is the mean, a line the standard
    deviation over seeds (folds), and beside it the share of them that has the regulon among its most important ones.
    Open points have another sign in some of them.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.attention_stability` wrote to.
    n_top
        At most this many regulons, as many as the top of :func:`tcellmil.tl.attention_stability` by default.
    across
        Spread over ``"seeds"`` or ``"folds"``; seeds by default, if there are several.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    stability_key
        The ``key_added`` of :func:`tcellmil.tl.attention_stability`, where one was given.
    ax
        Two axes to draw on; a new figure without.
    show
        Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.

    Returns
    -------
    An array of two axes: attention, regulators.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.
    ValueError
        If ``n_top`` is below 1, or nothing was compared ``across`` these.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, n_seeds=2, max_epochs=3, progress=False)
    >>> tm.tl.attention_stability(adata)
    >>> [ax.get_xlabel() for ax in tm.pl.attention_stability(adata, show=False)]
    ['Spearman correlation of attention', 'Change in probability of R']
    """
    params = stability(adata, key, stability_key)["params"]
    attention, regulators, top = (
        get.attention_stability(adata, key, part, stability_key) for part in ("attention", "regulators", "top")
    )
    n_top = int(params["n_top"]) if n_top is None else n_top
    if n_top < 1:
        raise ValueError(f"n_top={n_top} must be at least 1")
    compared = regulators["across"].tolist()
    across = compared[0] if across is None else across
    check_choice(across, compared, "across")
    drawn = top[top["across"] == across].head(n_top)

    longest = max((len(shorten(name)) for name in drawn["regulon"]), default=0)
    axes = make_axes(2, ax, (3.6 + 0.06 * longest, max(3.0, 2.2 + 0.24 * len(drawn))))
    _draw_attention(axes[0], attention)
    summary = regulators.set_index("across").loc[across]
    _draw_regulators(axes[1], drawn, summary, across)
    axes[1].set_xlabel(f"Change in {quantity(params, shorten(params['target_class'], 24))}")
    _explain(axes, across, int(summary["n_top"]), own=ax is None)
    return finish(axes, show, own=ax is None)


def _draw_attention(ax: Axes, attention: pd.DataFrame) -> None:
    present = [across for across in ROWS if (attention["across"] == across).any()]
    of_row = [attention.loc[attention["across"] == across, "spearman"].dropna().to_numpy() for across in present]
    rows, colors = np.arange(len(present)), [ROWS[across][1] for across in present]
    draw_boxes(ax, of_row, rows, colors, height=0.3)
    for row, rho, color in zip(rows, of_row, colors, strict=True):
        spread = np.random.default_rng(0).uniform(-0.12, 0.12, len(rho))
        ax.scatter(rho, row + spread, s=9, color=color, alpha=0.7, linewidths=0, zorder=3)
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_yticks(rows, [ROWS[across][0] for across in present])
    ax.set(ylim=(max(len(rows), 1) - 0.4, -0.6), xlim=(min(-0.05, ax.get_xlim()[0]), 1.02))
    ax.set_xlabel("Spearman correlation of attention")
    ax.set_title(f"n = {attention['patient'].nunique()} patients", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)


def _draw_regulators(ax: Axes, top: pd.DataFrame, summary: pd.Series, across: str) -> None:
    from matplotlib.ticker import MaxNLocator

    for row, regulon in enumerate(top.itertuples()):
        color = BLUE if regulon.importance > 0 else VERMILLION
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
        share = f"{regulon.share_top:.0%}"
        ax.text(1.02, row, share, transform=ax.get_yaxis_transform(), va="center", fontsize="small", color=GREY)
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    ax.set_yticks(range(len(top)), [shorten(name) for name in top["regulon"]])
    ax.set_ylim(max(len(top), 1) - 0.4, -0.6)
    ax.spines[["top", "right"]].set_visible(False)
    n_top = int(summary["n_top"])
    ax.set_title(
        f"{int(summary['n_groups'])} {across}, Spearman {summary['spearman_mean']:.2f}\n"
        f"top {n_top} shared {summary['top_overlap']:.0%}, by chance {summary['top_overlap_chance']:.0%}",
        fontsize="medium",
    )
    ax.xaxis.set_major_locator(MaxNLocator(5, steps=[1, 2, 5, 10]))
    if not len(top):
        ax.text(0.5, 0.5, "no regulon can be shifted", transform=ax.transAxes, ha="center", va="center")


def _explain(axes: np.ndarray, across: str, n_top: int, own: bool) -> None:
    from matplotlib.lines import Line2D

    point = {"marker": "o", "markersize": 5, "color": "#666666"}
    handles = [
        Line2D([], [], **point, linewidth=1.2, label=f"mean and sd over {across}"),
        Line2D([], [], **point, linewidth=1.2, markerfacecolor="white", label="sign differs between some"),
        Line2D([], [], linestyle="", label=f"%: share of {across} with it in the top {n_top}"),
    ]
    if own:
        axes[0].figure.legend(handles=handles, loc="outside lower right", ncols=3, frameon=False, fontsize="small")
    else:
        axes[1].legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.2), frameon=False, fontsize="small")
