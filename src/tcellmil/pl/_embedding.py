"""Cells in the plane of an embedding, coloured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from matplotlib.layout_engine import ConstrainedLayoutEngine

from tcellmil._checks import is_mudata, some
from tcellmil.pl._panels import shorten

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.collections import PathCollection
    from matplotlib.colorbar import Colorbar
    from mudata import MuData


ASPECT = 0.9  # height of an embedding's panel over its width, whatever is beside it
TALLEST_BAR = 2.6  # inches


def place_cells(adata: AnnData | MuData, basis: str) -> np.ndarray:
    """The first two columns of ``obsm[basis]`` or ``obsm["X_" + basis]``, ``(n_cells, 2)``.

    Of a modality it is, as in muon, ``modality:basis``; cells that it does not have are NaN.
    """
    held, own = adata, basis
    if is_mudata(adata) and basis not in adata.obsm:
        mod, colon, rest = str(basis).partition(":")
        held, own = (adata.mod[mod], rest) if colon and mod in adata.mod else (adata, basis)
    for name in (own, f"X_{own}"):
        if name in held.obsm:
            place = np.asarray(held.obsm[name], dtype=float)
            if place.ndim < 2 or place.shape[1] < 2:
                raise ValueError(f"adata.obsm[{name!r}] has 1 column; an embedding needs two")
            if held is adata:
                return place[:, :2]
            return pd.DataFrame(place[:, :2], index=held.obs_names).reindex(adata.obs_names).to_numpy()
    hint = ""
    if is_mudata(adata):
        holders = [f"{mod}:{basis}" for mod, part in adata.mod.items() if {basis, f"X_{basis}"} & set(part.obsm)]
        hint = f". A modality has it: write {' or '.join(map(repr, holders))}" if holders else ""
    raise KeyError(f"basis={basis!r} is not in adata.obsm; there are {some(held.obsm)}{hint}")


def draw_cells(ax: Axes, place: np.ndarray, values: np.ndarray, **scatter: object) -> PathCollection:
    """Draw cells in random order: with the highest on top, every dense region would look like a high one."""
    order = np.random.default_rng(0).permutation(len(values))
    return ax.scatter(
        *place[order].T, c=values[order], s=point_size(len(place)), linewidths=0, rasterized=True, **scatter
    )


def color_bar(points: PathCollection, ax: Axes, label: str, *, both_ends: bool) -> Colorbar:
    """A bar of what colours mean beside the panel itself, with pointed ends where values go beyond it."""
    width, height = ax.get_window_extent().size / ax.get_figure(root=True).dpi
    height = min(height, width * (ax.get_box_aspect() or np.inf))
    share = min(0.8, TALLEST_BAR / max(height, 1e-9))
    style = {"label": label, "extend": "both" if both_ends else "neither"}
    if isinstance(ax.get_figure(root=True).get_layout_engine(), ConstrainedLayoutEngine):
        place = ax.inset_axes([1 + 0.12 / max(width, 1), 0.98 - share, 0.14 / max(width, 1), share])
        bar = ax.figure.colorbar(points, cax=place, **style)
    else:  # nothing makes room: the bar takes it from the panel
        bar = ax.figure.colorbar(points, ax=ax, shrink=share, aspect=25, anchor=(0, 1), panchor=False, **style)
    bar.outline.set_visible(False)
    return bar


def point_size(n_cells: int) -> float:
    """Area of a cell's point, smaller where there are many."""
    return float(np.clip(40_000 / max(n_cells, 1), 1, 25))


def label_embedding(ax: Axes, basis: str) -> None:
    """Name the axes after the embedding and take their numbers away: they have no unit.

    The panel has the same proportions however tall the panels beside it are.
    """
    name = basis.removeprefix("X_")
    name = name.upper() if name in {"umap", "pca", "tsne"} else name
    name = shorten(name, 24)
    ax.set(xticks=[], yticks=[], xlabel=f"{name} 1", ylabel=f"{name} 2", box_aspect=ASPECT, anchor="N")
