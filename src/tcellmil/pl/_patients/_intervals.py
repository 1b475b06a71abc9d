"""Values with their 95% intervals, and how metrics are called."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.axes import Axes

#: Metrics of which higher is better; none has a unit.
SCORES = {
    "auroc": "AUROC",
    "auprc": "AUPRC",
    "accuracy": "Accuracy",
    "balanced_accuracy": "Balanced accuracy",
    "f1": "F1",
    "precision": "Precision",
    "recall": "Recall",
    "weighted_kappa": "Weighted kappa",
    "r2": "R²",
    "pearson": "Pearson correlation",
    "spearman": "Spearman correlation",
    "concordance": "Concordance",
    "concordance_ipcw": "Concordance (IPCW)",
}
#: Errors.
ERRORS = {
    "brier": "Brier score",
    "mae_levels": "Mean absolute error (levels)",
    "mae": "Mean absolute error",
    "rmse": "Root mean squared error",
}


def metric_in_words(metric: str) -> str:
    """A metric as the label of an axis; of an error, that lower is better."""
    return f"{ERRORS[metric]} (lower is better)" if metric in ERRORS else SCORES.get(metric, metric)


def draw_interval(ax: Axes, row: pd.Series, y: float, color: str) -> None:
    """A row of a table of metrics: the value as a point on the line of its interval."""
    ax.plot([row["ci_low"], row["ci_high"]], [y, y], color=color, linewidth=1.5, alpha=0.6)
    ax.scatter(row["value"], y, color=color, s=26, zorder=3, linewidths=0)


def interval_in_words(row: pd.Series) -> str:
    """The value and its interval, as far as they are defined."""
    if row["value"] != row["value"]:
        return "not defined"
    if row["ci_low"] != row["ci_low"]:
        return f"{row['value']:.2f}"
    return f"{row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}]"
