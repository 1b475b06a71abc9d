"""Cells that a model wrote, against real ones."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import get
from tcellmil._checks import check_obs_column
from tcellmil._order import in_order
from tcellmil.pl._canvas import Canvas, picture
from tcellmil.pl._embedding import color_bar, draw_cells, label_embedding, place_cells, point_size
from tcellmil.pl._palette import PALETTE, class_colors, cycled
from tcellmil.pl._panels import longest, plural, shorten
from tcellmil.pl._sentences._heat_map import LETTERS, check_size, draw_heat_map, heat_map_size, own_first

if TYPE_CHECKING:
    from typing import Literal

    from anndata import AnnData
    from matplotlib.axes import Axes

LABELS = {"correlation": "Correlation of mean profiles", "euclidean": "Distance of mean profiles"}
NEITHER = "#D9D9D9"  # a real cell of a group that was not generated
TALL = 4.6  # inches of a figure with an embedding, without the names of the columns beside it
PALE = 0.72  # share of white in the colour of a real cell


@picture
def generated(
    generated: AnnData,
    adata: AnnData,
    groupby: str,
    basis: str | None = None,
    *,
    canvas: Canvas,
    layer: str | None = None,
    metric: Literal["correlation", "euclidean"] = "correlation",
    generated_groupby: str | None = None,
) -> None:
    """Draw how near generated cells are to real ones: mean profiles of groups and, with ``basis``, an embedding.

    The numbers are those of :func:`tcellmil.get.generated_profiles`; a box is around the nearest real group of each
    group of generated cells. In the embedding, real cells are pale and generated ones have a dark edge; real cells of
    groups that were not generated are grey.

    Parameters
    ----------
    generated
        Cells of :func:`tcellmil.tl.generate_cells`.
    adata
        Real cells.
    groupby
        Column of ``obs`` with the groups, such as the cell type, at most 100. Cells without a value are left out.
    basis
        Embedding of both; ``"umap"`` stands for ``obsm["X_umap"]``. The first two columns are drawn.
    layer
        Layer of ``adata`` to read; ``adata.X`` by default.
    metric
        ``"correlation"`` or ``"euclidean"``, of the profiles.
    generated_groupby
        Column of ``generated.obs``, where it has another name than that of ``adata.obs``.

    Returns
    -------
    The axes; with ``basis`` an array of two. With ``basis``, ``palette`` is of the groups.

    Raises
    ------
    KeyError
        If there is no such column, layer or embedding.
    ValueError
        If profiles cannot be compared (:func:`tcellmil.get.generated_profiles`), or there are more than 100 groups.

    Notes
    -----
    Generated cells are put into an embedding of real ones, which they do not change, so; here of log values in
    ``adata.X``::

        from sklearn.decomposition import PCA
        from umap import UMAP

        real = adata[:, generated.var_names].X.toarray()
        pca = PCA(50, random_state=0).fit(real)
        umap = UMAP(random_state=0).fit(pca.transform(real))
        adata.obsm["X_umap"] = umap.embedding_
        generated.obsm["X_umap"] = umap.transform(pca.transform(generated.X.toarray()))
        tm.pl.generated(generated, adata, "cell_type", basis="umap")

    ``sc.tl.ingest(generated, adata, embedding_method="umap")`` does the same with the neighbours and the UMAP that
    scanpy has computed of the same genes; scanpy 1.11 needs pynndescent below 0.7 for it.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> cells = tm.tl.generate_cells(model, 4, {"cell_type": ["CD19+ B", "CD56+ NK"] * 2}, progress=False)
    >>> tm.pl.generated(cells, adata, "cell_type", show=False).get_ylabel()
    'Generated cells'
    """
    options = {"layer": layer, "metric": metric, "generated_groupby": generated_groupby}
    profiles = get.generated_profiles(generated, adata, groupby, **options)
    nearest, table = profiles["nearest"], own_first(profiles.drop(columns="nearest"))
    check_size(table, "groupby", groupby)
    width, height = heat_map_size(list(table.index), list(table.columns))
    if basis is None:
        axes, cmap = [canvas.axis((width, height))], canvas.colormap(_colormap(metric))
    else:
        places = _place_generated(generated, basis), place_cells(adata, basis)
        column = groupby if generated_groupby is None else generated_groupby
        groups = [
            in_order(check_obs_column(cells, name, "groupby"))
            for cells, name in ((generated, column), (adata, groupby))
        ]
        colors = canvas.colors(_colors(list(table.index)))
        height = max(height, TALL + 0.075 * longest(list(table.columns), LETTERS))
        axes, cmap = canvas.axes(2, (max(width, 4.4), height)), _colormap(metric)
        _draw_embedding(axes[1], basis, places, groups, colors)
        _explain(canvas, axes[1], colors, groupby, max(width, 4.4))
    _draw_profiles(axes[0], table, nearest, metric, cmap)


def _colormap(metric: str) -> str:
    """What is near is dark."""
    return "Blues" if metric == "correlation" else "Blues_r"


def _draw_profiles(ax: Axes, table: pd.DataFrame, nearest: pd.Series, metric: str, cmap: object) -> None:
    low, high = float(table.to_numpy().min()), float(table.to_numpy().max())
    digits = 3 if metric == "correlation" and high - low < 0.1 else 2 if high < 10 else 1
    texts = table.map(lambda value: f"{value:.{digits}f}").to_numpy()
    boxed = np.equal.outer(nearest.to_numpy(), table.columns.to_numpy())
    limits = (low, high if high > low else low + 1.0)
    image = draw_heat_map(ax, table, texts, cmap, limits, boxed=boxed)
    color_bar(image, ax, LABELS[metric], both_ends=False)
    ax.set(xlabel="Real cells", ylabel="Generated cells")
    own = [name for name in table.index if name in table.columns]
    right = sum(nearest[name] == name for name in own)
    counted = f"\n{right} of {plural(len(own), 'group')} nearest to their own" if own else ""
    ax.set_title(f"Box: the nearest real group{counted}", fontsize="medium", loc="left")


def _place_generated(generated: AnnData, basis: str) -> np.ndarray:
    if not {basis, f"X_{basis}"} & set(generated.obsm):
        raise KeyError(
            f"basis={basis!r} is not in generated.obsm; put the generated cells into the embedding of the real ones, "
            "as the notes of tm.pl.generated show"
        )
    return place_cells(generated, basis)


def _colors(names: list[str]) -> dict[str, object]:
    return cycled(names) if len(names) <= len(PALETTE) else class_colors(names)


def _draw_embedding(ax: Axes, basis: str, places: tuple, groups: list[pd.Series], colors: dict) -> None:
    from matplotlib.colors import ListedColormap, to_rgb

    strong = np.array([to_rgb(color) for color in colors.values()])
    pale = [*(PALE + (1 - PALE) * strong), to_rgb(NEITHER)]
    codes = [pd.Index(list(colors)).get_indexer(of_cells.astype(object)) for of_cells in groups]
    real = np.where(codes[1] < 0, len(colors), codes[1]).astype(float)
    draw_cells(ax, places[1], real, cmap=ListedColormap(pale), vmin=-0.5, vmax=len(colors) + 0.5)
    known = codes[0] >= 0
    order = np.random.default_rng(0).permutation(int(known.sum()))
    style = {"edgecolors": "black", "linewidths": 0.5, "zorder": 3, "rasterized": True}
    size = max(14.0, 0.8 * point_size(len(order)))
    ax.scatter(*places[0][known][order].T, s=size, c=strong[codes[0][known][order]], **style)
    label_embedding(ax, basis)
    ax.set_title(f"{len(places[0]):,} generated, {len(places[1]):,} real cells", fontsize="medium")


def _explain(canvas: Canvas, ax: Axes, colors: dict, groupby: str, width: float) -> None:
    from matplotlib.lines import Line2D

    dot = {"marker": "o", "linestyle": ""}
    edged = dot | {"markeredgecolor": "black", "markeredgewidth": 0.5}
    handles = [Line2D([], [], color=color, label=shorten(name, LETTERS), **edged) for name, color in colors.items()]
    handles.append(Line2D([], [], color=NEITHER, label="real, pale or grey", **dot))
    columns = int(np.clip((2 * width - 0.5) / (0.5 + 0.085 * longest([*colors, "real, pale or grey"], LETTERS)), 1, 8))
    style = {"title": shorten(groupby, 28), "title_fontsize": "small", "alignment": "left"}
    canvas.legend(ax, handles, "lower left", ncols=columns, **style)
