"""How much clusters of cells follow the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil import _keys, get
from tcellmil._checks import check_obs_column
from tcellmil.pl._canvas import PALETTE, class_colors, draw_boxes, finish, make_axes, shorten
from tcellmil.pl._embedding import draw_cells, label_embedding, place_cells, point_size

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes

MAX_BATCHES = 40  # in a legend
SHORTEST_AXIS = 0.1  # of the index: where all are near 0, differences between them should look as small as they are


def batch_effect(
    adata: AnnData,
    basis: str | Sequence[str] | None = None,
    key: str = _keys.BATCH_EFFECT,
    *,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
) -> Axes | np.ndarray:
    """Draw how much clusters of cells follow the batch in each representation, beside embeddings coloured by batch.

    Reads ``uns[key]`` and, for embeddings, ``obsm`` and the column of the batch. A point is an initialisation of
    k-means, a box is over initialisations, with whiskers from the 5th to the 95th percentile; the dotted line is what
    labels drawn at random have. The p-value beside a representation is that of the signed-rank test against the first
    one (adjusted, if there are several). It is over initialisations on these cells and says nothing about other
    patients, see :func:`tcellmil.tl.batch_effect`.

    Parameters
    ----------
    adata
        Cells that :func:`tcellmil.tl.batch_effect` wrote to.
    basis
        Embeddings in ``adata.obsm``, one or several, such as ``("X_umap_pca", "X_umap_regulons")``; ``"umap"`` stands
        for ``obsm["X_umap"]``. The first two columns are drawn. None by default.
    key
        The ``key_added`` of :func:`tcellmil.tl.batch_effect`.
    ax
        Axes to draw on, one an embedding and one more; a new figure without.
    show
        Show the figure; by default as ``scanpy.settings.autoshow`` says, and not when ``ax`` is given.

    Returns
    -------
    An array of axes: embeddings, then the indices; the axes alone without ``basis``.

    Raises
    ------
    KeyError
        If nothing was written under ``key``, or there is no such embedding.
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
    ari, tests = get.batch_effect(adata, key), get.batch_effect(adata, key, tests=True)
    batch_key = str(adata.uns[key]["params"]["batch_key"])
    bases = [] if basis is None else [basis] if isinstance(basis, str) else list(basis)
    places = [place_cells(adata, name) for name in bases]
    batch = _batches(adata, batch_key) if bases else None

    reps = ari["representation"].unique().tolist()
    longest = max(len(shorten(rep, 24)) for rep in reps)
    width, height = 3.4 + 0.075 * longest, 1.5 + 0.5 * len(reps)
    if bases:
        columns, lines = _legend_shape(batch, (len(bases) + 1) * width)
        height = max(height, 3.4) + 0.22 * (lines + 1)
    axes = make_axes(len(bases) + 1, ax, (width, height))
    for panel, name, place in zip(axes, bases, places, strict=False):
        _draw_embedding(panel, name, place, batch)
    if bases:
        _explain_batches(axes[0], batch, batch_key, columns if ax is None else 1, own=ax is None)
    _draw_indices(axes[-1], ari, tests, reps, batch_key)
    return finish(axes, show, own=ax is None)


def _batches(adata: AnnData, batch_key: str) -> pd.Series:
    batch = check_obs_column(adata, batch_key, "batch_key")
    if batch.nunique() > MAX_BATCHES:
        raise ValueError(
            f"{batch_key!r} has {batch.nunique()} batches; at most {MAX_BATCHES} can be told apart. Leave basis out"
        )
    batch = batch.astype("category").cat.remove_unused_categories()
    return batch.cat.rename_categories(batch.cat.categories.astype(str))


def _colors(batch: pd.Series) -> dict[str, str]:
    names = list(batch.cat.categories)
    return dict(zip(names, PALETTE, strict=False)) if len(names) <= len(PALETTE) else class_colors(names)


def _legend_shape(batch: pd.Series, width: float) -> tuple[int, int]:
    """Columns and lines of a legend in a figure so many inches wide."""
    names = [shorten(name, 24) for name in batch.cat.categories]
    columns = int(np.clip((width - 0.5) / (0.5 + 0.085 * max(map(len, names))), 1, len(names)))
    return columns, int(np.ceil(len(names) / columns))


def _draw_embedding(ax: Axes, name: str, place: np.ndarray, batch: pd.Series) -> None:
    from matplotlib.colors import ListedColormap

    colors = _colors(batch)
    known = batch.notna().to_numpy()
    codes = batch.cat.codes.to_numpy(dtype=float)[known]
    if (~known).any():
        ax.scatter(*place[~known].T, s=point_size(len(place)), color="#DDDDDD", linewidths=0, rasterized=True)
    cmap = ListedColormap([*colors.values()])
    draw_cells(ax, place[known], codes, cmap=cmap, vmin=-0.5, vmax=len(colors) - 0.5)
    label_embedding(ax, name)
    ax.set_title(shorten(name.removeprefix("X_"), 28), fontsize="medium")


def _explain_batches(ax: Axes, batch: pd.Series, batch_key: str, columns: int, own: bool) -> None:
    from matplotlib.lines import Line2D

    legend = {
        "handles": [
            Line2D([], [], marker="o", linestyle="", color=color, label=shorten(name, 24))
            for name, color in _colors(batch).items()
        ],
        "title": shorten(batch_key, 28),
        "ncols": columns,
        "frameon": False,
        "fontsize": "small",
        "title_fontsize": "small",
        "alignment": "left",
    }
    if own:
        ax.figure.legend(**legend, loc="outside lower left")
    else:
        ax.legend(**legend, loc="upper left", bbox_to_anchor=(0, -0.1))


def _draw_indices(ax: Axes, ari: pd.DataFrame, tests: pd.DataFrame, reps: list[str], batch_key: str) -> None:
    from matplotlib.ticker import MaxNLocator

    values = [ari.loc[ari["representation"] == rep, "ari"].to_numpy() for rep in reps]
    rows = np.arange(len(reps))
    colors = [PALETTE[i % len(PALETTE)] for i in rows]
    draw_boxes(ax, values, rows, colors, height=0.5)
    for row, of_row, color in zip(rows, values, colors, strict=True):
        spread = np.random.default_rng(0).uniform(-0.18, 0.18, len(of_row))
        ax.scatter(of_row, row + spread, s=9, color=color, alpha=0.7, linewidths=0, zorder=3)
    column = "signed_rank_padj" if len(tests) > 1 else "signed_rank_p"
    for rep, p in zip(tests["representation"], tests[column], strict=True):
        ax.text(1.02, reps.index(rep), _p_value(p), transform=ax.get_yaxis_transform(), va="center", fontsize="small")
    ax.axvline(0, color="black", linewidth=0.8, linestyle=":", zorder=0)
    ax.set_yticks(rows, [shorten(rep, 24) for rep in reps])
    low, high = ax.get_xlim()
    ax.set(ylim=(len(reps) - 0.4, -0.6), xlim=(min(low, -0.05 * SHORTEST_AXIS), max(high, SHORTEST_AXIS)))
    ax.xaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    ax.set_xlabel(f"Adjusted Rand index with {shorten(batch_key, 20)}")
    ax.set_title(f"{len(values[0])} initialisations of k-means", fontsize="medium")
    ax.spines[["top", "right"]].set_visible(False)


def _p_value(p: float) -> str:
    if np.isnan(p):
        return "no difference"
    return f"p = {p:.2g}" if p >= 0.001 else f"p = {p:.0e}".replace("e-0", "e-")
