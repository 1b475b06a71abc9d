"""What every step asks of an expression matrix."""

from __future__ import annotations

import numpy as np
from scipy import sparse

CHUNK = 10_000  # rows of a dense matrix looked at together


def check_values(X: np.ndarray | sparse.spmatrix | sparse.sparray, what: str, minimum: float = -np.inf) -> None:
    """Raise a ValueError if ``X`` (cells x genes) holds NaN, infinite values or values below ``minimum``.

    ``what`` names the step that cannot use them.
    """
    low, high = _range(X)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"the expression matrix holds NaN or infinite values; remove or fill them before {what}")
    if low < minimum:
        raise ValueError(
            f"the expression matrix holds negative values (the lowest is {low:.3g}). {what} compares genes within a "
            "cell, which is meaningful for counts or log-normalised values, not for scaled ones; "
            "name a layer with such values"
        )


def _range(X: np.ndarray | sparse.spmatrix) -> tuple[float, float]:
    """Lowest and highest value; both are NaN where a value is. Makes no mask as large as the matrix."""
    if sparse.issparse(X):
        return (X.data.min(), X.data.max()) if X.nnz else (0.0, 0.0)
    blocks = [np.asarray(X[start : start + CHUNK]) for start in range(0, X.shape[0], CHUNK)]
    blocks = [block for block in blocks if block.size]
    return (
        (np.min([block.min() for block in blocks]), np.max([block.max() for block in blocks])) if blocks else (0.0, 0.0)
    )
