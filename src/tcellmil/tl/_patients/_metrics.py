"""Which metrics judge each kind of outcome."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._outcome_kinds import CLASSES, SHOWN

if TYPE_CHECKING:
    from tcellmil.cv import Bags

#: Errors.
LOWER_IS_BETTER = ("brier", "mae", "rmse", "mae_levels")


def main_metric(outcome: str, table: pd.DataFrame) -> tuple[str, str]:
    """The metric that is told first and how it is called; leave-pair-out of ordered classes knows classes only."""
    shown = SHOWN[outcome]
    return shown if shown[0] in set(table["metric"]) else SHOWN[CLASSES]


def measure(outcome: str, bags: Bags, predicted: np.ndarray, pair_order: np.ndarray | None = None) -> dict[str, float]:
    """Metrics of the patients that have an outcome and a prediction.

    Parameters
    ----------
    outcome
        One of :data:`tcellmil._outcome_kinds.OUTCOMES`.
    bags
        Holds what was observed.
    predicted
        ``(n_bags, n_outputs)``, NaN without a prediction.
    pair_order
        Of leave-pair-out, as in :func:`tcellmil.stats.bootstrap_metrics`.
    """
    from tcellmil.stats import ordinal_metrics, regression_metrics, survival_metrics
    from tcellmil.stats._evaluation._classes import METRICS, checked_predictions, weighted_metrics

    judged, observed = _judged(bags, predicted)
    if outcome == "continuous":
        return regression_metrics(*observed, predicted[judged, 0])
    if outcome == "survival":
        return survival_metrics(*observed, predicted[judged, 0])
    if outcome == "ordered" and pair_order is None:
        return ordinal_metrics(bags.labels[judged], predicted[judged])
    y, p = checked_predictions(bags.labels[judged], predicted[judged])
    values = weighted_metrics(y, p, np.ones((1, len(y))), pair_order)[0]
    return dict(zip(METRICS, values.tolist(), strict=True))


def measure_with_intervals(
    outcome: str, bags: Bags, predicted: np.ndarray, pair_order: np.ndarray | None = None, **options
) -> pd.DataFrame:
    """The same as a table with intervals over patients; ``options`` are those of the bootstrap.

    Raises
    ------
    ValueError
        If no patient has both an outcome and a prediction.
    """
    from tcellmil.stats import bootstrap_metrics, bootstrap_ordinal, bootstrap_regression, bootstrap_survival

    judged, observed = _judged(bags, predicted)
    if not judged.any():
        raise ValueError("no labelled patient was held out by any fold; there is nothing to measure")
    options["groups"] = None if bags.groups is None else bags.groups[judged]
    if outcome == "continuous":
        return bootstrap_regression(*observed, predicted[judged, 0], **options)
    if outcome == "survival":
        return bootstrap_survival(*observed, predicted[judged, 0], **options)
    if outcome == "ordered" and pair_order is None:
        return bootstrap_ordinal(bags.labels[judged], predicted[judged], **options)
    return bootstrap_metrics(bags.labels[judged], predicted[judged], pair_order=pair_order, **options)


def _judged(bags: Bags, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Which patients count, and the number, or time and event, of each of them in rows."""
    judged = (bags.labels >= 0) & np.isfinite(predicted).all(axis=1)
    return judged, np.empty((0, 0)) if bags.targets is None else bags.targets[judged].astype(float).T
