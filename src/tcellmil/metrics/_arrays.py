"""What a metric is given becomes a dense float64 array, or one clear error."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from scipy import sparse

LARGEST = 1e150  # squares of larger values are no numbers

Values = np.ndarray | sparse.spmatrix | sparse.sparray


def as_sets(real: Values, generated: Values, n_least: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Two sets of cells with the same features, each of at least ``n_least`` cells."""
    real, generated = as_cells(real, "real"), as_cells(generated, "generated")
    if real.shape[1] != generated.shape[1]:
        raise ValueError(f"real has {real.shape[1]} features, generated {generated.shape[1]}; they must be the same")
    for name, cells in (("real", real), ("generated", generated)):
        if len(cells) < n_least:
            raise ValueError(f"{name} has {len(cells)} cell; at least {n_least} are needed")
    return real, generated


def as_pairs(real: Values, generated: Values) -> tuple[np.ndarray, np.ndarray]:
    """Two arrays of one shape, of which row ``i`` of one belongs to row ``i`` of the other."""
    real, generated = as_cells(real, "real"), as_cells(generated, "generated")
    if real.shape != generated.shape:
        raise ValueError(f"real is {real.shape} and generated {generated.shape}; row i of one belongs to row i of both")
    return real, generated


def as_cells(values: Values, name: str) -> np.ndarray:
    """``(n_cells, n_features)``, finite."""
    values = values.toarray() if sparse.issparse(values) else np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"{name} must hold real numbers, got {values.dtype}")
    if values.ndim != 2 or not values.size:
        raise ValueError(f"{name} must be (n_cells, n_features) with at least one of each, got shape {values.shape}")
    values = values.astype(np.float64, order="C")
    n_bad = int((~np.isfinite(values)).sum())
    if n_bad:
        raise ValueError(f"{name} holds {n_bad} NaN or infinite values; remove these cells or fill the values")
    if np.abs(values).max() > LARGEST:
        raise ValueError(f"{name} holds values up to {np.abs(values).max():.0e}; scale them below {LARGEST:.0e}")
    return values


def as_texts(texts: Sequence[str], name: str) -> list[str]:
    """A list of texts, none missing."""
    if isinstance(texts, str):
        raise TypeError(f"{name} must be a list of texts, got one text; write [text]")
    texts = list(texts)
    wrong = [(i, text) for i, text in enumerate(texts) if not isinstance(text, str)]
    if wrong:
        raise TypeError(f"{name} must hold texts; item {wrong[0][0]} is {wrong[0][1]!r} ({len(wrong)} are no text)")
    return texts
