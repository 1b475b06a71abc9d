"""What an expression matrix holds: counts, logarithms, or what no step here can use."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_layer
from tcellmil._matrix import check_indices, count_not_finite, holds_whole_numbers, value_range

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil._matrix import Matrix

# exp(30) counts do not exist in a cell: whatever reaches this is no logarithm.
MAX_LOG = 30


def checked_values(adata: AnnData, layer: str | None) -> tuple[Matrix, float]:
    """Return ``X`` or the layer, and its highest value; raise unless all values are finite and at least 0."""
    matrix, name = check_layer(adata, layer), name_of(layer)
    check_indices(matrix)
    low, high = value_range(matrix)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"{name} holds {count_not_finite(matrix)} NaN or infinite values; remove them first")
    if low < 0:
        raise ValueError(
            f"{name} holds negative values (smallest {low:.3g}), so it is scaled, not counts; "
            "name a layer with counts: layer=..."
        )
    return matrix, high


def holds_logarithms(matrix: Matrix, high: float) -> bool:
    """Whether values, of which ``high`` is the highest, are logarithms: neither whole numbers nor above 30."""
    return high <= MAX_LOG and not holds_whole_numbers(matrix)


def name_of(layer: str | None) -> str:
    """Where the values are, in words."""
    return "adata.X" if layer is None else f"adata.layers[{layer!r}]"
