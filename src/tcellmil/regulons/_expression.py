"""What every step needs of an expression matrix."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from tcellmil._matrix import value_range

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix


def check_values(X: Matrix, what: str, minimum: float = -np.inf) -> None:
    """Raise a ValueError if ``X`` (cells x genes) holds NaN, infinite values or values below ``minimum``.

    ``what`` names the step that cannot use them.
    """
    low, high = value_range(X)
    if not (np.isfinite(low) and np.isfinite(high)):
        raise ValueError(f"the expression matrix holds NaN or infinite values; remove or fill them before {what}")
    if low < minimum:
        raise ValueError(
            f"the expression matrix holds negative values (the lowest is {low:.3g}). {what} compares genes within a "
            "cell, which is meaningful for counts or log-normalised values, not for scaled ones; "
            "name a layer with such values"
        )
