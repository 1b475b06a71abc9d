"""What every step needs of an expression matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil._matrix import check_indices, value_range

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix


def check_values(X: Matrix, what: str, minimum: float = -np.inf) -> None:
    """Raise a ValueError if ``X`` (cells x genes) holds NaN, infinite values or values below ``minimum``.

    So it does for values that are no real numbers, and sparse indices that are out of range. ``what`` names the step
    that cannot use them.
    """
    dtype = getattr(X, "dtype", np.dtype(float))
    if dtype.kind not in "biuf":
        raise ValueError(
            f"the expression matrix holds values of type {dtype}, not real numbers; convert them before {what}, for "
            "example with .astype('float32')"
        )
    check_indices(X)
    low, high = value_range(X)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"the expression matrix holds NaN or infinite values; remove or fill them before {what}")
    if low < minimum:
        raise ValueError(
            f"the expression matrix holds negative values (the lowest is {low:.3g}). {what} compares genes within a "
            "cell, which is meaningful for counts or log-normalised values, not for scaled ones; "
            "name a layer with such values"
        )
