"""Distribution of regulon activity over cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import get
from tcellmil._checks import check_count, is_mudata, some
from tcellmil._results import part_of, place_of
from tcellmil.get._scenic import groups_of_cells
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._palette import BLUE, class_colors
from tcellmil.pl._panels import longest, shorten

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

MAX_GROUPS = 8
ALL = "all cells"  # where they are not grouped
N_BINS = 256  # of a density
HALF_WIDTH = 0.46  # of a violin, in rows
TALLEST = 7.0  # inches of violins above each other; beyond, several panels


@picture
def regulons(
    adata: AnnData | MuData,
    regulons: str | Sequence[str] | None = None,
    n_top: int | None = None,
    groupby: str | None = None,
    *,
    canvas: Canvas,
    result_key: str | None = None,
) -> None:
    """Draw violins of the activity of regulons over cells, from the lowest mean to the highest.

    Reads ``obsm["X_regulons"]`` and ``uns["regulons"]``. Each violin is as wide as all others where it is widest, and
    goes from the lowest to the highest score; the tick is the mean. Violins stand above each other, the lowest first,
    in as many panels side by side as they need, each with a scale of its own. With ``groupby``, two groups are the two
    halves of a violin; more have a violin each.

    Cells are not independent: those of one patient look alike, and a patient with many cells weighs more. A difference
    between two violins is something to test over patients (:func:`tcellmil.tl.perturb`, :func:`tcellmil.tl.shap`, or a
    test of the patients' means), not over cells.

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.regulons`.
    regulons
        Only these; all by default.
    n_top
        At most this many regulons: those whose activity differs most between cells, by its standard deviation.
    groupby
        Column of ``adata.obs``, such as the label; at most 8 groups. Cells without a value are left out.
    %(own_result_key)s

    Returns
    -------
    The axes; an array if there are several.

    Raises
    ------
    KeyError
        If there is no such result, or there is no such regulon or column.
    ValueError
        If ``n_top`` is below 1, or ``groupby`` has more than 8 values or none.

    References
    ----------
    After figure 12 of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> ax = tm.pl.regulons(adata, groupby="response", show=False)
    >>> [text.get_text() for text in ax.get_yticklabels()]
    ['IRF7']
    """
    activity = get.regulons(adata, result_key=result_key)
    scores, n_there = chosen(activity, regulons, n_top), activity.shape[1]
    method = method_in_words(adata, result_key)
    groups = _groups(adata, groupby, activity.index)
    if groups is not None:
        scores, groups = scores[groups.notna().to_numpy()], groups.dropna()
    scores = scores[scores.mean().sort_values(kind="stable").index]
    names = [] if groups is None else [str(name) for name in groups.cat.categories]
    colors = canvas.colors(class_colors(names) if names else {ALL: BLUE})

    n_panels, size = _layout(list(scores), len(names))
    n_panels = n_panels if canvas.own else canvas.n_given
    if n_panels > scores.shape[1]:
        raise ValueError(f"ax holds {n_panels} axes, but there are {scores.shape[1]} regulons to draw")
    axes = canvas.axes(n_panels, size)
    for panel, part in zip(axes, np.array_split(np.arange(scores.shape[1]), n_panels), strict=True):
        _draw_violins(panel, scores.iloc[:, part], groups, colors)
        panel.set(xlim=_limits(scores.iloc[:, part]), xlabel=f"Activity{method}")
    shown = f"{scores.shape[1]} of {n_there} regulons" if scores.shape[1] < n_there else f"{n_there} regulons"
    axes[0].set_title(f"{shown if n_there > 1 else '1 regulon'}\n{len(scores):,} cells", fontsize="medium", loc="left")
    if groups is not None:
        _explain(canvas, axes[0], groups, colors)


def chosen(scores: pd.DataFrame, regulons: str | Sequence[str] | None, n_top: int | None) -> pd.DataFrame:
    """The columns that were requested, or those of the highest standard deviation over the rows."""
    if regulons is not None:
        wanted = [regulons] if isinstance(regulons, str) else list(dict.fromkeys(regulons))
        unknown = [name for name in wanted if name not in scores]
        if unknown or not wanted:
            raise KeyError(f"regulons {some(unknown)} are not there; there are {some(scores.columns)}")
        scores = scores[wanted]
    if n_top is not None:
        check_count(n_top, "n_top")
        scores = scores[scores.std().sort_values(ascending=False, kind="stable").index[:n_top]]
    return scores


def _groups(adata: AnnData | MuData, groupby: str | None, cells: pd.Index) -> pd.Series | None:
    if groupby is None:
        return None
    groups = groups_of_cells(adata, groupby, cells)
    if groups.nunique() > MAX_GROUPS:
        raise ValueError(
            f"groupby={groupby!r} has {groups.nunique()} values; 1 to {MAX_GROUPS} groups can be drawn, more with "
            "pl.regulon_heatmap"
        )
    return groups


def _layout(names: list[str], n_groups: int) -> tuple[int, tuple[float, float]]:
    """How many panels, and the inches of one: a figure about one and a half times as wide as it is high."""
    width = 2.4 + 0.07 * longest(names, 28)
    of_row = 0.06 + 0.07 * n_groups if n_groups > 2 else 0.15
    of_row = max(of_row, 0.26) if len(names) <= 30 else of_row
    height = of_row * len(names)
    n_panels = 1 if height <= TALLEST else max(2, round(np.sqrt(1.5 * height / width)))
    return n_panels, (width, max(2.2, 1.2 + height / n_panels))


def _limits(scores: pd.DataFrame) -> tuple[float, float]:
    low, high = scores.min(axis=None), scores.max(axis=None)
    margin = 0.02 * (high - low) or 0.5
    return low - margin, high + margin


def method_in_words(adata: AnnData | MuData, result_key: str | None) -> str:
    """The method of the scores in brackets, as the end of a label."""
    holder = adata.mod[place_of("regulons", result_key=result_key)] if is_mudata(adata) else adata
    method = part_of(holder, "regulons", "params", result_key=result_key).get("method", "")
    return f" ({'AUCell' if method == 'aucell' else method})" if method else ""


def _draw_violins(ax: Axes, scores: pd.DataFrame, groups: pd.Series | None, colors: dict[str, str]) -> None:
    members = {ALL: np.ones(len(scores), dtype=bool)}
    if groups is not None:
        members = {name: (groups.astype(str) == name).to_numpy() for name in colors}
    for row, regulon in enumerate(scores):
        values = scores[regulon].to_numpy(dtype=float)
        for i, (name, of_group) in enumerate(members.items()):
            own = values[of_group]
            centre, above, below = _place(row, i, len(members))
            _draw_violin(ax, own[np.isfinite(own)], centre, above, below, colors[name])
    n_rows = scores.shape[1]
    ax.set_yticks(range(n_rows), [shorten(name, 28) for name in scores])
    ax.tick_params(axis="y", length=0, labelsize="small" if n_rows <= 30 else "x-small")
    ax.set_ylim(n_rows - 0.4, -0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)


def _place(row: int, i: int, n_groups: int) -> tuple[float, float, float]:
    """Centre of a violin, and how far it goes up and down from there."""
    if n_groups == 1:
        return row, HALF_WIDTH, HALF_WIDTH
    if n_groups == 2:
        return row, *((HALF_WIDTH, 0.0) if i == 0 else (0.0, HALF_WIDTH))
    width = 2 * HALF_WIDTH / n_groups
    return row + width * (i - (n_groups - 1) / 2), width / 2, width / 2


def _draw_violin(ax: Axes, values: np.ndarray, centre: float, above: float, below: float, color: str) -> None:
    if not len(values):
        return
    place, density = _density(values)
    ax.fill_between(
        place, centre - above * density, centre + below * density, color=color, alpha=0.75, linewidth=0.4, zorder=2
    )
    ax.plot([values.mean()] * 2, [centre - above, centre + below], color="black", linewidth=1, zorder=3)


def _density(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Kernel density, 1 where it is highest: counts in fine bins, smoothed by a Gaussian of Scott's bandwidth.

    Mass that would leave the range of the values is reflected into it: a score of 0 has no cells below.
    """
    from scipy.ndimage import gaussian_filter1d

    low, high = values.min(), values.max()
    if low == high:
        return np.array([low, high]), np.zeros(2)
    counts, edges = np.histogram(values, bins=N_BINS, range=(low, high))
    bandwidth = values.std() * len(values) ** -0.2
    density = gaussian_filter1d(counts.astype(float), bandwidth / (edges[1] - edges[0]), mode="reflect")
    return (edges[:-1] + edges[1:]) / 2, density / density.max()


def _explain(canvas: Canvas, ax: Axes, groups: pd.Series, colors: dict[str, str]) -> None:
    from matplotlib.patches import Patch

    sizes = groups.astype(str).value_counts()
    handles = [
        Patch(facecolor=color, alpha=0.75, label=f"{shorten(name, 28)}, {sizes[name]:,} cells")
        for name, color in colors.items()
    ]
    canvas.legend(ax, handles, "lower left", alignment="left")
