"""Change of the predictions with the size of the perturbation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys
from tcellmil._checks import check_count
from tcellmil._results import counted, doubt_of_fit, fit_of, outcome_of_fit
from tcellmil.get import perturb as get_perturb
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._explain._perturb import BY_SD, BY_SD_IN_WORDS, TITLES, change_label, shifted_by_sd
from tcellmil.pl._palette import cycled, line_styles
from tcellmil.pl._panels import longest, say, shorten, unframe

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

ALPHA = 0.05


@picture
def perturb_dose(
    adata: AnnData,
    n_top: int = 6,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    regulons: str | Sequence[str] | None = None,
) -> None:
    """Draw the change of the predictions against the size of the perturbation.

    Reads ``uns[key + "_perturbation"]``, of several doses. A line is the median over
    patients of one regulon, starting from no shift and no change, its band from the first to the third quartile over
    patients. Points are filled where the change is significant (adjusted p < 0.05). A line that flattens has reached
    the end of the scores' range in many cells, or of what the model responds to. Where the model may know nothing, a
    line of text says so, and all points are filled. Behind the name of a regulon whose median absolute deviation is 0,
    which is shifted by 0.6745 standard deviations in its place, is a dagger.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.perturb`, with several ``n_mad``.
    n_top
        At most this many regulons, those with the largest absolute median change at any dose in any direction.
    %(key)s
    %(result_key)s
    regulons
        Draw this regulon, or these, instead.

    Returns
    -------
    An array of axes, one per direction; the axes alone if there is one direction.

    Raises
    ------
    KeyError
        If there is no such result, or a regulon was not perturbed.
    ValueError
        If ``n_top`` is below 1, or there is one dose only.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.perturb(adata, n_mad=[1, 2, 3, 5, 10])
    >>> len(tm.pl.perturb_dose(adata, show=False))
    2
    """
    check_count(n_top, "n_top")
    keys = {"key": key, "result_key": result_key}
    stats = get_perturb(adata, "stats", regulons=regulons, **keys).reset_index()
    changes = get_perturb(adata, **keys).reset_index()
    doses = np.sort(stats["n_mad"].unique())
    if len(doses) < 2:
        raise ValueError(f"there is one dose only, n_mad={doses[0]:g}; run tl.perturb(adata, n_mad=[1, 2, 3, 5, 10])")
    directions = [d for d in TITLES if (stats["direction"] == d).any()]
    names = _drawn(stats, n_top if regulons is None else len(stats))

    width = 3.6 + 0.08 * longest(names, 28) / len(directions)
    axes = canvas.axes(len(directions), (width, max(3.4, 1.6 + 0.19 * len(names))))
    styles = line_styles(canvas.colors(cycled(names)))
    fit = fit_of(adata, "perturb", key, result_key)
    canvas.doubt(doubt := doubt_of_fit(adata, fit))
    for panel, direction in zip(axes, directions, strict=True):
        of_direction = stats[(stats["direction"] == direction) & stats["regulon"].isin(names)]
        _draw(panel, of_direction, changes[changes["direction"] == direction], styles, doses, mark=not doubt)
        n_patients = int(stats.loc[stats["direction"] == direction, "n_patients"].max())
        panel.set_title(f"{TITLES[direction]}\nn = {counted(adata, fit, n_patients)}", fontsize="medium")
        panel.set_xlabel("Shift (median absolute deviations)")
    axes[0].set_ylabel(change_label(stats, outcome_of_fit(adata, fit)))
    limits = [limit for panel in axes for limit in panel.get_ylim()]
    for panel in axes:
        panel.set_ylim(min(limits), max(limits))
    _explain(canvas, axes, styles, shifted_by_sd(stats), mark=not doubt)


def _drawn(stats: pd.DataFrame, n_top: int) -> list[str]:
    """The regulons with the largest change; the unmovable have none."""
    largest = stats["median_delta"].abs().groupby(stats["regulon"], sort=False).max().dropna()
    return largest.sort_values(ascending=False, kind="stable").index[:n_top].tolist()


def _draw(ax: Axes, stats: pd.DataFrame, changes: pd.DataFrame, styles: dict, doses: np.ndarray, *, mark: bool) -> None:
    by_regulon = stats.set_index(["regulon", "n_mad"])
    quartiles = changes[changes["regulon"].isin(styles)].groupby(["regulon", "n_mad"])["delta"].quantile([0.25, 0.75])
    for name, style in styles.items():
        of_regulon = by_regulon.loc[name].reindex(doses)
        low, high = (quartiles.xs(q, level=2).loc[name].reindex(doses).to_numpy() for q in (0.25, 0.75))
        median = of_regulon["median_delta"].to_numpy()
        ax.fill_between(
            [0, *doses], [0, *low], [0, *high], color=style["color"], alpha=min(0.15, 0.8 / len(styles)), linewidth=0
        )
        ax.plot([0, *doses], [0, *median], **style, linewidth=1.6)
        for significant in (True, False):
            rows = ((of_regulon["padj"] < ALPHA) == significant).to_numpy() & np.isfinite(median)
            face = style["color"] if significant or not mark else "white"
            ax.plot(doses[rows], median[rows], "o", color=style["color"], markerfacecolor=face, markersize=4.5)
    ax.axhline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ticks = np.array([0, *doses])
    if np.diff(ticks).min() > 0.08 * ticks.max():  # else the numbers would run into each other
        ax.set_xticks(ticks, [f"{dose:g}" for dose in ticks])
    unframe(ax)
    if not styles:
        say(ax, "no regulon can be moved")


def _explain(canvas: Canvas, axes: np.ndarray, styles: dict, by_sd: set[str], *, mark: bool) -> None:
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    labels = {name: shorten(name, 28) + (BY_SD if name in by_sd else "") for name in styles}
    lines = [Line2D([], [], **style, label=labels[name]) for name, style in styles.items()]
    grey = {"color": "#666666", "marker": "o", "markersize": 4.5}
    medians = [
        Line2D([], [], **grey, label="median, adjusted p < 0.05"),
        Line2D([], [], **grey, markerfacecolor="white", label="median, not significant"),
    ]
    marks = medians if mark else [Line2D([], [], **grey, label="median")]
    marks.append(Patch(color="#666666", alpha=0.25, linewidth=0, label="quartiles over patients"))
    if by_sd.intersection(styles):
        marks.append(Patch(visible=False, label=BY_SD_IN_WORDS))
    if canvas.own:
        canvas.legend(axes[-1], lines, "right center")
        canvas.legend(axes[-1], marks, "lower center", ncols=len(axes) + 1)
    else:
        canvas.legend(axes[-1], [*lines, *marks], beside=(1, 1))
