"""Change of the predictions under in-silico perturbation."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._checks import check_count
from tcellmil._results import counted, doubt_of_fit, fit_of, outcome_of_fit
from tcellmil.get import perturb as get_perturb
from tcellmil.get._perturb import nearest_dose
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import SIGNS
from tcellmil.pl._panels import STARS, beside_row, draw_boxes_with_points, longest, name_rows, say, shorten, stars

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

    from tcellmil.outcomes import Outcome

#: Behind the names of regulons that are shifted by standard deviations, and what it means.
BY_SD, BY_SD_IN_WORDS = "†", "† MAD is 0: 0.6745 standard deviations in its place"
TITLES = {"up": "Upregulated in silico", "down": "Downregulated in silico"}


@picture
def perturb(
    adata: AnnData,
    n_top: int = 10,
    *,
    canvas: Canvas,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    n_mad: float | None = None,
) -> None:
    """Draw the regulons whose perturbation changes the predictions most.

    Reads ``uns[key + "_perturbation"]``. For each direction, the regulons with the highest
    (blue) and the lowest (orange) median change of the predicted probability, number (in its own units) or log hazard.
    A box is over patients, whiskers reach to the 5th and 95th percentile, a point is a patient. Filled boxes are
    significant (adjusted p < 0.05), with stars as in the legend. Where the model may know nothing, a line says so, and
    nothing is marked as significant. Behind the name of a regulon whose median absolute deviation is 0, which is
    shifted by 0.6745 standard deviations in its place (``spread`` is ``"sd"``), is a dagger. Unmovable regulons are
    counted in the title, never drawn.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.perturb`.
    n_top
        At most this many regulons with a positive and as many with a negative change.
    %(key)s
    %(result_key)s
    n_mad
        Of several doses, the one to draw; that nearest to 3, the paper's, by default.

    Returns
    -------
    An array of axes, one per direction; the axes alone if there is one direction.

    Raises
    ------
    %(no_result)s
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
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, progress=False)
    >>> tm.tl.perturb(adata)
    >>> len(tm.pl.perturb(adata, show=False))
    2
    """
    check_count(n_top, "n_top")
    keys = {"key": key, "result_key": result_key}
    if n_mad is None:
        n_mad = nearest_dose(get_perturb(adata, "stats", **keys).index.get_level_values("n_mad"))
    stats, changes = (get_perturb(adata, part, n_mad=n_mad, **keys).reset_index() for part in ("stats", "patients"))
    directions = [d for d in TITLES if (stats["direction"] == d).any()]
    by_sd = shifted_by_sd(stats)
    tops = {d: _top(stats[stats["direction"] == d], n_top) for d in directions}

    n_rows = max(len(top) for top in tops.values())
    letters = longest([name for top in tops.values() for name in top["regulon"]])
    axes = canvas.axes(len(directions), (3.4 + 0.075 * letters, 1.8 + 0.27 * max(n_rows, 2)))
    fit = fit_of(adata, "perturb", key, result_key)
    canvas.doubt(doubt := doubt_of_fit(adata, fit))
    colors, change = canvas.colors(SIGNS), change_label(stats, outcome_of_fit(adata, fit))
    for panel, direction in zip(axes, directions, strict=True):
        of_direction = stats["direction"] == direction
        n_unmovable = int((of_direction & ~stats["movable"].astype(bool)).sum())
        of_panel = changes[changes["direction"] == direction]
        _draw_direction(panel, tops[direction], of_panel, colors, by_sd, mark=not doubt)
        patients = counted(adata, fit, int(stats.loc[of_direction, "n_patients"].max()))
        panel.set_title(_title(direction, stats[of_direction], patients, n_unmovable), fontsize="medium")
        panel.set_xlabel(change)
    limits = [limit for panel in axes for limit in panel.get_xlim()]
    for panel in axes:
        panel.set_xlim(min(limits), max(limits))
    marked_by_sd = any(name in by_sd for top in tops.values() for name in top["regulon"])
    _explain_marks(canvas, axes[0], mark=not doubt, by_sd=marked_by_sd)


def shifted_by_sd(stats: pd.DataFrame) -> set[str]:
    """Regulons whose unit is the standard deviation, in some patients at least."""
    return set(stats["regulon"][stats["spread"].str.contains("sd")]) if "spread" in stats else set()


def change_label(stats: pd.DataFrame, outcome: Outcome) -> str:
    """What is drawn: a change in the probability of the class that was followed, in the number or the log hazard."""
    target = shorten(stats["target_class"].iloc[0], 24)
    return f"Change in {outcome.quantity(target)}"


def _top(stats: pd.DataFrame, n_top: int) -> pd.DataFrame:
    """The regulons to draw, the most positive change first."""
    change = stats["median_delta"].where(stats["movable"].astype(bool))
    highest = change[change > 0].nlargest(n_top)
    lowest = change[change < 0].nsmallest(n_top)
    return stats.loc[[*highest.index, *lowest.index[::-1]]]


def _draw_direction(
    ax: Axes, top: pd.DataFrame, changes: pd.DataFrame, colors: dict, by_sd: set[str], *, mark: bool
) -> None:
    by_regulon = changes.groupby("regulon")["delta"]
    values = [by_regulon.get_group(name).dropna().to_numpy() for name in top["regulon"]]
    signs = [colors["positive" if change > 0 else "negative"] for change in top["median_delta"]]
    filled = (top["padj"] < STARS[-1][0]).tolist() if mark else None
    draw_boxes_with_points(ax, values, range(len(top)), signs, 0.6, reach=0.2, size=7, filled=filled)
    for row, padj in enumerate(top["padj"] if mark else []):
        beside_row(ax, row, stars(padj), fontsize="small")
    ax.axvline(0, color="black", linewidth=0.8, zorder=0)
    name_rows(ax, [shorten(name) + (BY_SD if name in by_sd else "") for name in top["regulon"]])
    if not len(top):
        say(ax, "no regulon changes the predictions")


def _title(direction: str, stats: pd.DataFrame, patients: str, n_unmovable: int) -> str:
    title = f"{TITLES[direction]} by {stats['n_mad'].iloc[0]:g} MAD\nn = {patients}"
    return f"{title}\n{n_unmovable} of {len(stats)} regulons unmovable" if n_unmovable else title


def _explain_marks(canvas: Canvas, ax: Axes, *, mark: bool, by_sd: bool) -> None:
    from matplotlib.patches import Patch

    significance = [
        Patch(facecolor="#BBBBBB", edgecolor="#666666", label="adjusted p: * < 0.05, ** < 0.01, *** < 0.001"),
        Patch(facecolor="white", edgecolor="#666666", label="not significant"),
    ]
    handles = significance if mark else []
    handles += [Patch(visible=False, label=BY_SD_IN_WORDS)] if by_sd else []
    if handles:
        canvas.legend(ax, handles, ncols=2)
