"""Metrics of predicted numbers, and their intervals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.stats._evaluation._arrays import finite_numbers, ratio
from tcellmil.stats._evaluation._resampling import check_bootstrap, checked_groups, draw_resamples, weighted_table

REGRESSION_METRICS = ("r2", "pearson", "spearman", "mae", "rmse")


def regression_metrics(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    r"""Measure how well predicted numbers match those of the patients.

    - ``r2``: :math:`1 - \sum_i (y_i - \hat y_i)^2 / \sum_i (y_i - \bar y)^2`, with :math:`\bar y` the mean of these
      patients: 0 for predicting that mean for every patient, below 0 for anything worse.
    - ``pearson``, ``spearman``: correlation of the values and of their ranks, ties sharing their mean rank; neither
      depends on a shift or a scale.
    - ``mae``, ``rmse``: mean absolute error and root mean squared error, in the unit of ``y``.

    Parameters
    ----------
    y
        Outcome of each patient, ``(n_patients,)``.
    predicted
        Predicted outcome of each patient, ``(n_patients,)``, in the same unit.

    Returns
    -------
    The metrics by name, in the order above: r2, pearson, spearman, mae, rmse. ``r2`` is NaN if ``y`` is constant,
    ``pearson`` and ``spearman`` are NaN if ``y`` or ``predicted`` is.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not a finite number, or there are fewer than two patients.

    References
    ----------
    Same definitions as scikit-learn's ``r2_score`` (which gives 0 or 1 for a constant ``y``), ``mean_absolute_error``
    and ``root_mean_squared_error`` and as scipy's ``pearsonr`` and ``spearmanr``.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import regression_metrics
    >>> metrics = regression_metrics(np.array([1.0, 2.0, 3.0, 4.0]), np.array([2.0, 1.0, 3.0, 4.0]))
    >>> {name: round(value, 3) for name, value in metrics.items()}
    {'r2': 0.6, 'pearson': 0.8, 'spearman': 0.8, 'mae': 0.5, 'rmse': 0.707}
    """
    y, predicted = checked_regression(y, predicted)
    values = weighted_regression_metrics(y, predicted, np.ones((1, len(y))))[0]
    return dict(zip(REGRESSION_METRICS, values.tolist(), strict=True))


@documented
def bootstrap_regression(
    y: np.ndarray,
    predicted: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Metrics of predicted numbers with percentile bootstrap intervals over patients.

    A resample in which all outcomes or all predictions are the same has no correlation and is drawn again, otherwise as
    in :func:`bootstrap_metrics`. A metric that is not defined for all patients together is NaN, and so is its interval.

    Parameters
    ----------
    y
        Outcome of each patient, ``(n_patients,)``.
    predicted
        Predicted outcome of each patient, ``(n_patients,)``, in the same unit.
    %(n_boot)s
    %(level)s
    %(bootstrap_seed)s
    %(bootstrap_groups)s

    Returns
    -------
    One row per metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`regression_metrics`.

    Raises
    ------
    ValueError
        If outcomes and predictions do not fit, an argument is out of range, or hardly any resample has two different
        outcomes and predictions.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_regression
    >>> y = np.arange(20.0)
    >>> print(bootstrap_regression(y, y + 1).iloc[[1, 3]])
        metric  value  ci_low  ci_high   n
    1  pearson    1.0     1.0      1.0  20
    3      mae    1.0     1.0      1.0  20
    """
    y, predicted = checked_regression(y, predicted)
    check_bootstrap(n_boot, level)
    everybody = np.ones((1, len(y)))
    varying = [values for values in (y, predicted) if varies(values, everybody)[0]]

    def usable(counts):
        return np.all([np.ones(len(counts), dtype=bool), *(varies(values, counts) for values in varying)], axis=0)

    counts = draw_resamples(
        len(y),
        n_boot,
        seed,
        checked_groups(groups),
        usable,
        f"resamples of {len(y)} patients hardly ever hold two different outcomes and two different predictions; "
        "add patients",
    )
    return weighted_table(REGRESSION_METRICS, partial(weighted_regression_metrics, y, predicted), counts, level)


def checked_regression(y: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, or a ValueError that says what does not fit."""
    y = finite_numbers("y", y)
    return y, finite_numbers("predicted", predicted, like=("y", y))


def varies(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Whether the patients of positive weight have more than one value, ``(n_weightings,)``; exact."""
    lowest = np.where(weights > 0, values, np.inf).min(axis=1)
    highest = np.where(weights > 0, values, -np.inf).max(axis=1)
    return lowest < highest


def weighted_regression_metrics(y: np.ndarray, predicted: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The metrics under each row of ``weights``.

    Parameters
    ----------
    y, predicted
        As :func:`checked_regression` returns them.
    weights
        ``(n_weightings, n_patients)``, at least 0, with a positive sum; in a bootstrap, how often a resample drew each
        patient.

    Returns
    -------
    ``(n_weightings, n_metrics)``, columns as ``REGRESSION_METRICS``; NaN where :func:`regression_metrics` says so, for
    the patients of positive weight.
    """
    total = weights.sum(axis=1)
    squared_error = weights @ (y - predicted) ** 2
    y_varies, predicted_varies = varies(y, weights), varies(predicted, weights)
    mean = weights @ y / total
    about_mean = (weights * (y - mean[:, None]) ** 2).sum(axis=1)
    by_name = {
        "r2": 1 - ratio(squared_error, about_mean, y_varies),
        "pearson": _correlation(y[None], predicted[None], weights, y_varies & predicted_varies),
        "spearman": _correlation(
            _midranks(y, weights), _midranks(predicted, weights), weights, y_varies & predicted_varies
        ),
        "mae": weights @ np.abs(y - predicted) / total,
        "rmse": np.sqrt(squared_error / total),
    }
    return np.column_stack([by_name[name] for name in REGRESSION_METRICS])


def _midranks(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Weight below each patient plus half of the weight that ties with it, ``(n_weightings, n_patients)``.

    With weights of whole numbers these are the ranks of the repeated patients, up to a constant of one half.
    """
    order = np.argsort(values, kind="stable")
    first_of_tie = np.append(True, np.diff(values[order]) != 0)
    tied = np.add.reduceat(weights[:, order], np.flatnonzero(first_of_tie), axis=1)
    group = np.empty(len(values), dtype=int)
    group[order] = np.cumsum(first_of_tie) - 1
    return (tied.cumsum(axis=1) - tied / 2)[:, group]


def _correlation(one: np.ndarray, other: np.ndarray, weights: np.ndarray, defined: np.ndarray) -> np.ndarray:
    """Pearson's correlation under each weighting; NaN where it is not defined."""
    total = weights.sum(axis=1)
    one, other = (side - ((weights * side).sum(axis=1) / total)[:, None] for side in (one, other))
    product = (weights * one * other).sum(axis=1)
    lengths = np.sqrt((weights * one**2).sum(axis=1)) * np.sqrt((weights * other**2).sum(axis=1))
    return np.clip(ratio(product, lengths, defined), -1, 1)
