"""Cells in the plane of an embedding, coloured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import some

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar


def place_cells(adata: AnnData, basis: str) -> np.ndarray:
    """The first two columns of ``obsm[basis]`` or ``obsm["X_" + basis]``, ``(n_cells, 2)``."""
    for name in (basis, f"X_{basis}"):
        if name in adata.obsm:
            place = np.asarray(adata.obsm[name])
            if place.shape[1] < 2:
                raise ValueError(f"adata.obsm[{name!r}] has {place.shape[1]} column; an embedding needs two")
            return place[:, :2]
    raise KeyError(f"basis={basis!r} is not in adata.obsm; there are {some(adata.obsm)}")


def draw_cells(ax: Axes, place: np.ndarray, values: np.ndarray, **scatter: object) -> PathCollection:
    """Draw cells in random order: with the highest on top, every dense region would look like a high one."""
    order = np.random.default_rng(0).permutation(len(values))
    return ax.scatter(
        *place[order].T, c=values[order], s=point_size(len(place)), linewidths=0, rasterized=True, **scatter
    )


def color_bar(points: PathCollection, ax: Axes, label: str, *, both_ends: bool) -> Colorbar:
    """A bar of what colours mean, with pointed ends where values go beyond it."""
    ends = "both" if both_ends else "neither"
    bar = ax.figure.colorbar(points, ax=ax, label=label, shrink=0.8, aspect=25, extend=ends)
    bar.outline.set_visible(False)
    return bar


def point_size(n_cells: int) -> float:
    """Area of a cell's point, smaller where there are many."""
    return float(np.clip(40_000 / max(n_cells, 1), 1, 25))


def label_embedding(ax: Axes, basis: str) -> None:
    """Name the axes after the embedding and take their numbers away: they have no unit."""
    name = basis.removeprefix("X_")
    name = name.upper() if name in {"umap", "pca", "tsne"} else name
    ax.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2")
