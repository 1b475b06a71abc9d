"""Resamples of patients, and intervals from them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

from tcellmil._checks import check_count

MAX_DRAWS = 1_000  # rounds of drawing again before saying that the classes are too small


def check_bootstrap(n_boot: int, level: float) -> None:
    """Raise a ValueError unless the number of resamples and the level are in their ranges."""
    check_count(n_boot, "n_boot")
    check_level(level)


def check_level(level: float) -> None:
    """Raise a ValueError unless an interval can have this coverage."""
    if not 0 < level < 1:
        raise ValueError(f"level={level} must be between 0 and 1, such as 0.95")


def checked_groups(groups: np.ndarray | None) -> np.ndarray | None:
    if groups is not None and len(np.unique(groups)) < 2:
        raise ValueError("groups puts all rows into one group, so that every resample is the same; give at least two")
    return groups


def draw_resamples(
    n_patients: int,
    n_boot: int,
    seed: int,
    groups: np.ndarray | None,
    usable: Callable[[np.ndarray], np.ndarray],
    complaint: str,
) -> np.ndarray:
    """How often each resample drew each patient, ``(n_boot, n_patients)``.

    ``usable`` says which rows of such counts to keep; the others are drawn again. ``complaint`` is the message of the
    ValueError if some never can be kept.
    """
    if groups is not None and np.shape(groups) != (n_patients,):
        raise ValueError(f"groups has shape {np.shape(groups)}, but there are {n_patients} patients")
    rng = np.random.default_rng(seed)
    member = np.arange(n_patients) if groups is None else np.unique(groups, return_inverse=True)[1]
    n_groups = int(member.max()) + 1
    counts = np.zeros((n_boot, n_patients))
    lacking = np.arange(n_boot)
    for _ in range(MAX_DRAWS):
        counts[lacking] = rng.multinomial(n_groups, np.full(n_groups, 1 / n_groups), size=len(lacking))[:, member]
        lacking = lacking[~usable(counts[lacking])]
        if not lacking.size:
            return counts
    raise ValueError(complaint)


def class_resamples(
    y_true: np.ndarray, n_classes: int, n_boot: int, seed: int, groups: np.ndarray | None = None
) -> np.ndarray:
    """As :func:`draw_resamples`; every class is in every resample."""
    is_class = np.eye(n_classes)[y_true]
    return draw_resamples(
        len(y_true),
        n_boot,
        seed,
        groups,
        lambda counts: (counts @ is_class > 0).all(axis=1),
        f"resamples of {len(y_true)} patients in {n_classes} classes hardly ever hold every class "
        f"(the smallest has {int(np.bincount(y_true).min())}); merge classes or add patients",
    )


def weighted_table(
    metrics: Sequence[str], weighted: Callable[[np.ndarray], np.ndarray], counts: np.ndarray, level: float
) -> pd.DataFrame:
    """One row per metric, from a function that gives the metrics under each row of weights."""
    n_patients = counts.shape[1]
    return interval_table(metrics, weighted(np.ones((1, n_patients)))[0], weighted(counts), level, n_patients)


def interval_table(
    metrics: Sequence[str], value: np.ndarray, resampled: np.ndarray, level: float, n_patients: int
) -> pd.DataFrame:
    """One row per metric, from its value and its values over the resamples, ``(n_boot, n_metrics)``."""
    low, high = np.quantile(resampled, [(1 - level) / 2, (1 + level) / 2], axis=0)
    return pd.DataFrame({"metric": metrics, "value": value, "ci_low": low, "ci_high": high, "n": n_patients})
