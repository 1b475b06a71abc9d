"""How much clusters of cells follow the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import get
from tcellmil._checks import check_obs_column
from tcellmil._order import in_order
from tcellmil._results import part_of
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import draw_cells, label_embedding, place_cells, point_size
from tcellmil.pl._palette import PALETTE, class_colors, cycled
from tcellmil.pl._panels import beside_row, draw_boxes_with_points, longest, name_rows, shorten

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

MAX_BATCHES = 40  # in a legend
SHORTEST_AXIS = 0.1  # of the index: where all are near 0, differences between them should look as small as they are


@picture
def batch_effect(
    adata: AnnData,
    basis: str | Sequence[str] | None = None,
    *,
    canvas: Canvas,
    result_key: str | None = None,
) -> None:
    """Draw how much clusters of cells follow the batch in each representation, beside embeddings coloured by batch.

    Reads ``uns["batch_effect"]`` and, for embeddings, ``obsm`` and the column of the batch. A point is an
    initialisation of k-means, a box is over initialisations, with whiskers from the 5th to the 95th percentile; the
    dotted line is what labels drawn at random have. The p-value beside a representation is that of the signed-rank test
    against the first one (adjusted, if there are several). It is over initialisations on these cells and says nothing
    about other patients, see :func:`tcellmil.tl.batch_effect`.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.batch_effect`.
    basis
        Embeddings in ``adata.obsm``, one or several, such as ``("X_umap_pca", "X_umap_regulons")``; ``"umap"`` stands
        for ``obsm["X_umap"]``. The first two columns are drawn. None by default.
    %(own_result_key)s

    Returns
    -------
    An array of axes: embeddings, then the indices; the axes alone without ``basis``.

    Raises
    ------
    KeyError
        If there is no such result, or there is no such embedding.
    ValueError
        If there are more than 40 batches to colour by.

    References
    ----------
    After figure 2 of Tsui et al. (2025).

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.batch_effect(adata, "cohort", n_init=5)
    >>> tm.pl.batch_effect(adata, show=False).get_xlabel()
    'Adjusted Rand index with cohort'
    """
    ari, tests = (get.batch_effect(adata, part, result_key=result_key).reset_index() for part in ("ari", "tests"))
    batch_key = str(part_of(adata, "batch_effect", "params", result_key=result_key)["batch_key"])
    bases = [] if basis is None else [basis] if isinstance(basis, str) else list(basis)
    places = [place_cells(adata, name) for name in bases]
    batch = _batches(adata, batch_key) if bases else None

    use_reps = ari["representation"].unique().tolist()
    width, height = 3.4 + 0.075 * longest(use_reps, 24), 1.5 + 0.5 * len(use_reps)
    if bases:
        columns = _columns(batch, (len(bases) + 1) * width)
        height = max(height, 3.4) + 0.6
    axes = canvas.axes(len(bases) + 1, (width, height))
    of_reps = canvas.colors(cycled(use_reps))
    colors = canvas.colors(_colors(batch)) if bases else {}
    for panel, name, place in zip(axes, bases, places, strict=False):
        _draw_embedding(panel, name, place, batch, colors)
    if bases:
        _explain_batches(canvas, axes[0], colors, batch_key, columns)
    _draw_indices(axes[-1], ari, tests, of_reps, batch_key)


def _batches(adata: AnnData, batch_key: str) -> pd.Series:
    batch = check_obs_column(adata, batch_key, "batch_key")
    if batch.nunique() > MAX_BATCHES:
        raise ValueError(
            f"{batch_key!r} has {batch.nunique()} batches; at most {MAX_BATCHES} can be distinguished. Leave basis out"
        )
    return in_order(batch)


def _colors(batch: pd.Series) -> dict[str, str]:
    names = list(batch.cat.categories)
    return cycled(names) if len(names) <= len(PALETTE) else class_colors(names)


def _columns(batch: pd.Series, width: float) -> int:
    """Columns of a legend in a figure so many inches wide."""
    names = list(batch.cat.categories)
    return int(np.clip((width - 0.5) / (0.5 + 0.085 * longest(names, 24)), 1, len(names)))


def _draw_embedding(ax: Axes, name: str, place: np.ndarray, batch: pd.Series, colors: dict) -> None:
    from matplotlib.colors import ListedColormap

    known = batch.notna().to_numpy()
    codes = batch.cat.codes.to_numpy(dtype=float)[known]
    if (~known).any():
        ax.scatter(*place[~known].T, s=point_size(len(place)), color="#DDDDDD", linewidths=0, rasterized=True)
    cmap = ListedColormap([*colors.values()])
    draw_cells(ax, place[known], codes, cmap=cmap, vmin=-0.5, vmax=len(colors) - 0.5)
    label_embedding(ax, name)
    ax.set_title(shorten(name.removeprefix("X_"), 28), fontsize="medium")


def _explain_batches(canvas: Canvas, ax: Axes, colors: dict, batch_key: str, columns: int) -> None:
    from matplotlib.lines import Line2D

    handles = [
        Line2D([], [], marker="o", linestyle="", color=color, label=shorten(name, 24)) for name, color in colors.items()
    ]
    style = {"title": shorten(batch_key, 28), "title_fontsize": "small", "alignment": "left"}
    canvas.legend(ax, handles, "lower left", ncols=columns, **style)


def _draw_indices(ax: Axes, ari: pd.DataFrame, tests: pd.DataFrame, colors: dict, batch_key: str) -> None:
    from matplotlib.ticker import MaxNLocator

    use_reps = list(colors)
    values = [ari.loc[ari["representation"] == rep, "ari"].to_numpy() for rep in use_reps]
    draw_boxes_with_points(ax, values, range(len(use_reps)), list(colors.values()), 0.5, reach=0.18, size=9)
    column = "signed_rank_padj" if len(tests) > 1 else "signed_rank_p"
    for rep, p in zip(tests["representation"], tests[column], strict=True):
        beside_row(ax, use_reps.index(rep), _p_value(p), x=1.02, fontsize="small")
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    low, high = ax.get_xlim()
    ax.set_xlim(min(low, -0.05 * SHORTEST_AXIS), max(high, SHORTEST_AXIS))
    name_rows(ax, [shorten(rep, 24) for rep in use_reps])
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.set_xlabel(f"Adjusted Rand index with {shorten(batch_key, 20)}")
    ax.set_title(f"{len(values[0])} initialisations of k-means", fontsize="medium")


def _p_value(p: float) -> str:
    if np.isnan(p):
        return "no difference"
    return f"p = {p:.2g}" if p >= 0.001 else f"p = {p:.0e}".replace("e-0", "e-")
