"""Change of the predictions under in-silico perturbation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._outcome_kinds import quantity
from tcellmil.get import perturbation
from tcellmil.get._perturbation import nearest_dose
from tcellmil.pl._canvas import BLUE, VERMILLION, draw_boxes, finish, make_axes, shorten

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

TITLES = {"up": "Upregulated in silico", "down": "Downregulated in silico"}
STARS = ((0.001, "***"), (0.01, "**"), (0.05, "*"))


def perturb(
    adata: AnnData,
    n_top: int = 10,
    key: str = _keys.TCELLMIL,
    *,
    n_mad: float | None = None,
    perturbation_key: str | None = None,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
) -> Axes | np.ndarray:
    """Draw the regulons whose perturbation changes the predictions most.

    Reads ``uns[key + "_perturbation"]`` and the ``_stats`` beside it. For each direction, the regulons with the highest
    (blue) and the lowest (orange) median change of the predicted probability, number (in its own units) or log hazard.
    A box is over patients, whiskers reach to the 5th and 95th percentile, a point is a patient. Filled boxes are
    significant (adjusted p < 0.05), with stars as in the legend. Unmovable regulons are counted in the title, never
    drawn.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.perturb` wrote to.
    n_top
        At most this many regulons with a positive and as many with a negative change.
    key
        The ``key_added`` of :func:`tcellmil.tl.fit_mil`.
    n_mad
        Of several doses, the one to draw; that nearest to 3, the paper's, by default.
    perturbation_key
        The ``key_added`` of :func:`tcellmil.tl.perturb`, where one was given.
    ax
        Axes to draw on, one a direction; a new figure without.
    show
        Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.

    Returns
    -------
    An array of axes, one a direction; the axes alone if there is one direction.

    Raises
    ------
    KeyError
        If nothing was written under ``key``.
    ValueError
        If ``n_top`` is below 1, or ``n_mad`` is none of the doses.

    References
    ----------
    After figure 5 of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, max_epochs=2, progress=False)
    >>> tm.tl.perturb(adata)
    >>> len(tm.pl.perturb(adata, show=False))
    2
    """
    if n_top < 1:
        raise ValueError(f"n_top={n_top} must be at least 1")
    stats = perturbation(adata, key, stats=True, perturbation_key=perturbation_key)
    n_mad = nearest_dose(stats["n_mad"]) if n_mad is None else n_mad
    stats = perturbation(adata, key, stats=True, perturbation_key=perturbation_key, n_mad=n_mad)
    changes = perturbation(adata, key, perturbation_key=perturbation_key, n_mad=n_mad)
    directions = [d for d in TITLES if (stats["direction"] == d).any()]
    tops = {d: _top(stats[stats["direction"] == d], n_top) for d in directions}

    n_rows = max(len(top) for top in tops.values())
    longest = max((len(shorten(name)) for top in tops.values() for name in top["regulon"]), default=0)
    axes = make_axes(len(directions), ax, (3.4 + 0.075 * longest, 1.8 + 0.27 * max(n_rows, 2)))
    for panel, direction in zip(axes, directions, strict=True):
        of_direction = stats["direction"] == direction
        n_unmovable = int((of_direction & ~stats["movable"].astype(bool)).sum())
        _draw_direction(panel, tops[direction], changes[changes["direction"] == direction])
        panel.set_title(_title(direction, stats[of_direction], n_unmovable), fontsize="medium")
        panel.set_xlabel(change_label(stats))
    limits = [limit for panel in axes for limit in panel.get_xlim()]
    for panel in axes:
        panel.set_xlim(min(limits), max(limits))
    _explain_stars(axes, own=ax is None)
    return finish(axes, show, own=ax is None)


def change_label(stats: pd.DataFrame) -> str:
    """What is drawn: a change in the probability of the class that was followed, in the number or the log hazard."""
    target = shorten(stats["target_class"].iloc[0], 24)
    return f"Change in {quantity(stats.iloc[0], target)}"


def _top(stats: pd.DataFrame, n_top: int) -> pd.DataFrame:
    """The regulons to draw, the most positive change first."""
    change = stats["median_delta"].where(stats["movable"].astype(bool))
    highest = change[change > 0].nlargest(n_top)
    lowest = change[change < 0].nsmallest(n_top)
    return stats.loc[[*highest.index, *lowest.index[::-1]]]


def _draw_direction(ax: Axes, top: pd.DataFrame, changes: pd.DataFrame) -> None:
    by_regulon = changes.groupby("regulon")["delta"]
    values = [by_regulon.get_group(name).dropna().to_numpy() for name in top["regulon"]]
    rows = np.arange(len(top))
    colors = [BLUE if change > 0 else VERMILLION for change in top["median_delta"]]
    draw_boxes(ax, values, rows, colors, height=0.6, filled=(top["padj"] < STARS[-1][0]).tolist())
    for row, of_row, color in zip(rows, values, colors, strict=True):
        spread = np.random.default_rng(0).uniform(-0.2, 0.2, len(of_row))
        ax.scatter(of_row, row + spread, s=7, color=color, alpha=0.7, linewidths=0, zorder=3)
    for row, padj in zip(rows, top["padj"], strict=True):
        ax.text(1.01, row, _stars(padj), transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    ax.set_yticks(rows, [shorten(name) for name in top["regulon"]])
    ax.set_ylim(max(len(top), 1) - 0.4, -0.6)
    ax.spines[["top", "right"]].set_visible(False)
    if not len(top):
        ax.text(0.5, 0.5, "no regulon changes the predictions", transform=ax.transAxes, ha="center", va="center")


def _title(direction: str, stats: pd.DataFrame, n_unmovable: int) -> str:
    title = f"{TITLES[direction]} by {stats['n_mad'].iloc[0]:g} MAD\nn = {int(stats['n_patients'].max())} patients"
    return f"{title}\n{n_unmovable} of {len(stats)} regulons unmovable" if n_unmovable else title


def _stars(padj: float) -> str:
    return next((stars for limit, stars in STARS if padj < limit), "")


def _explain_stars(axes: np.ndarray, own: bool) -> None:
    from matplotlib.patches import Patch

    handles = [
        Patch(facecolor="#BBBBBB", edgecolor="#666666", label="adjusted p: * < 0.05, ** < 0.01, *** < 0.001"),
        Patch(facecolor="white", edgecolor="#666666", label="not significant"),
    ]
    if own:
        axes[0].figure.legend(handles=handles, loc="outside lower center", ncols=2, frameon=False, fontsize="small")
    else:
        axes[0].legend(handles=handles, loc="upper left", bbox_to_anchor=(0, -0.2), frameon=False, fontsize="small")
