"""Mean activity of regulons in groups of cells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import get
from tcellmil._checks import check_obs_column
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import color_bar
from tcellmil.pl._panels import longest, plural, shorten
from tcellmil.pl._scenic._regulons import chosen, method_in_words

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.image import AxesImage
    from mudata import MuData

MAX_GROUPS = 100
LETTERS = 28  # of a name
CELL = 0.13  # inches of a row or a column, at least
TALLEST = 11.0  # inches of rows above each other; beyond, several panels
MISSING = "#DDDDDD"


@picture
def regulon_heatmap(
    adata: AnnData | MuData,
    groupby: str,
    regulons: str | Sequence[str] | None = None,
    n_top: int | None = None,
    standardised: bool = False,
    *,
    canvas: Canvas,
    result_key: str | None = None,
) -> None:
    """Draw the mean activity of regulons in groups of cells, such as cell types, clusters or patients.

    Reads ``obsm["X_regulons"]``, ``uns["regulons"]`` and a column of ``obs``; the numbers are those of
    :func:`tcellmil.get.regulons` with ``groupby``. A row is a regulon, a column a group, in the order of the
    categories. Regulons are in the order of the group in which they are most active, those of the first group on top,
    the most active first; those that you choose keep your order. Rows that are too many for one panel go on in the
    next, on one scale of colours. Grey is a group without values.

    A mean is over cells: a patient with many cells weighs more, and groups of few patients differ by chance. For a
    difference between patients' labels, test over patients (:func:`tcellmil.tl.perturb`, :func:`tcellmil.tl.shap`).

    Parameters
    ----------
    adata
        AnnData or MuData with a result of :func:`tcellmil.tl.regulons`.
    groupby
        Column of ``adata.obs``, with at most 100 groups. Cells without a value are left out.
    regulons
        Only these; all by default.
    n_top
        At most this many regulons: those whose mean differs most between groups, by its standard deviation over groups.
    standardised
        Colours are standard deviations over groups from the mean over groups, of each regulon on its own, in place of
        the mean activity. Shows regulons of low activity, and makes small differences look large.
    %(own_result_key)s

    Returns
    -------
    The axes; an array if there are several.

    Raises
    ------
    KeyError
        If there is no such result, or there is no such regulon or column.
    ValueError
        If ``n_top`` is below 1, or ``groupby`` has more than 100 values or none.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> ax = tm.pl.regulon_heatmap(adata, "response", show=False)
    >>> [text.get_text() for text in ax.get_xticklabels()]
    ['NR', 'R']
    """
    means = get.regulons(adata, groupby=groupby, result_key=result_key)
    if len(means) > MAX_GROUPS:
        raise ValueError(f"groupby={groupby!r} has {len(means)} values; at most {MAX_GROUPS} groups can be drawn")
    names = list(chosen(means, regulons, n_top))
    names = names if regulons is not None else _by_group(means[names])
    shown = get.regulons(adata, groupby=groupby, result_key=result_key, standardised=True) if standardised else means
    values = shown[names].T

    n_panels, size = _layout(names, list(values))
    n_panels = n_panels if canvas.own else canvas.n_given
    if n_panels > len(names):
        raise ValueError(f"ax holds {n_panels} axes, but there are {len(names)} regulons to draw")
    axes = canvas.axes(n_panels, size)
    limits = _limits(values.to_numpy(), standardised)
    cmap = canvas.colormap("RdBu_r" if standardised else "viridis")
    for panel, rows in zip(axes, np.array_split(np.arange(len(names)), n_panels), strict=True):
        image = _draw(panel, values.iloc[rows], cmap, limits)
        panel.set_xlabel(shorten(groupby, LETTERS))
    label = "Mean activity, standardised" if standardised else "Mean activity"
    color_bar(image, axes[-1], f"{label}{method_in_words(adata, result_key)}", both_ends=False)
    n_there = means.shape[1]
    counted = f"{len(names)} of {plural(n_there, 'regulon')}" if len(names) < n_there else plural(n_there, "regulon")
    n_cells = int(check_obs_column(adata, groupby, "groupby").notna().sum())
    title = f"{counted}\n{plural(values.shape[1], 'group')}, {n_cells:,} cells"
    axes[0].set_title(title, fontsize="medium", loc="left")


def _by_group(means: pd.DataFrame) -> list[str]:
    """Regulons by the group of their highest mean, and there from the highest to the lowest."""
    values = np.where(np.isfinite(means), means, -np.inf)
    order = np.lexsort((-values.max(axis=0), values.argmax(axis=0)))
    return means.columns[order].tolist()


def _layout(names: list[str], groups: list[str]) -> tuple[int, tuple[float, float]]:
    """How many panels, and the inches of one: a figure about one and a half times as wide as it is high."""
    width = max(1.0, len(groups) * (0.28 if len(groups) <= 20 else CELL + 0.03)) + 1.1 + 0.07 * longest(names, LETTERS)
    height = len(names) * (0.22 if len(names) <= 30 else CELL)
    n_panels = 1 if height <= TALLEST else max(2, round(np.sqrt(1.5 * height / width)))
    around = 1.1 + 0.075 * (longest(groups, LETTERS) if _upright(groups) else 1)
    return n_panels, (width, max(2.4, around + height / n_panels))


def _upright(groups: list[str]) -> bool:
    return longest(groups, LETTERS) > 3


def _limits(values: np.ndarray, standardised: bool) -> tuple[float, float]:
    known = values[np.isfinite(values)]
    if standardised:
        reach = float(np.abs(known).max(initial=0)) or 1.0
        return -reach, reach
    low, high = (float(known.min()), float(known.max())) if known.size else (0.0, 1.0)
    return low, high if high > low else low + 1.0


def _draw(ax: Axes, values: pd.DataFrame, cmap: object, limits: tuple[float, float]) -> AxesImage:
    import matplotlib as mpl

    cmap = (mpl.colormaps[cmap] if isinstance(cmap, str) else cmap).with_extremes(bad=MISSING)
    image = ax.imshow(values, cmap=cmap, vmin=limits[0], vmax=limits[1], aspect="auto", interpolation="nearest")
    n_rows, n_groups = values.shape
    groups = [shorten(name, LETTERS) for name in values.columns]
    ax.set_xticks(range(n_groups), groups, rotation=90 if _upright(groups) else 0)
    ax.set_yticks(range(n_rows), [shorten(name, LETTERS) for name in values.index])
    ax.tick_params(axis="x", length=0, labelsize="small" if n_groups <= 20 else "x-small")
    ax.tick_params(axis="y", length=0, labelsize="small" if n_rows <= 30 else "x-small")
    ax.grid(visible=False)
    ax.spines[:].set_visible(False)
    return image
