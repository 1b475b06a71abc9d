"""Checks and quotients that several kinds of outcome share."""

from __future__ import annotations

import numpy as np


def finite_numbers(
    name: str, values: np.ndarray, like: tuple[str, np.ndarray] | None = None, at_least: int = 2
) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in "iufb":
        raise ValueError(f"{name} must be numbers, got {values.dtype}")
    if values.ndim != 1:
        raise ValueError(f"{name} must be (n_patients,), got shape {values.shape}")
    if like is None and len(values) < at_least:
        raise ValueError(f"metrics need at least {at_least} patients, got {len(values)}")
    if like is not None and len(values) != len(like[1]):
        raise ValueError(f"{name} has {len(values)} patients, but {like[0]} has {len(like[1])}")
    values = values.astype(float)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} holds {int((~np.isfinite(values)).sum())} NaN or infinite values; leave out these patients"
        )
    return values


def ratio(numerator: np.ndarray, denominator: np.ndarray, defined: np.ndarray, otherwise: float = np.nan) -> np.ndarray:
    """Their ratio, and ``otherwise`` where it is not defined; laid out in memory as the numerator is."""
    return np.divide(numerator, denominator, out=np.full_like(numerator, otherwise, dtype=float), where=defined)
