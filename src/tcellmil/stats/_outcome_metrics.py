"""Metrics of predictions of numbers, ordered classes and survival, for one or many weightings of the same patients."""

from __future__ import annotations

import numpy as np

from tcellmil.stats._metrics import METRICS, checked_predictions, weighted_metrics

REGRESSION_METRICS = ("r2", "pearson", "spearman", "mae", "rmse")
ORDERED_METRICS = (*METRICS, "weighted_kappa", "mae_levels")
SURVIVAL_METRICS = ("concordance", "concordance_ipcw")


def regression_metrics(y: np.ndarray, predicted: np.ndarray) -> dict[str, float]:
    r"""Measure how well predicted numbers match those of the patients.

    - ``r2``: :math:`1 - \sum_i (y_i - \hat y_i)^2 / \sum_i (y_i - \bar y)^2`, with :math:`\bar y` the mean of these
      patients: 0 for who predicts that mean for everybody, below 0 for who does worse.
    - ``pearson``, ``spearman``: correlation of the values and of their ranks, ties sharing their mean rank; neither
      sees a shift or a scale that is off.
    - ``mae``, ``rmse``: mean absolute error and root mean squared error, in the unit of ``y``.

    Parameters
    ----------
    y
        Outcome of each patient, ``(n_patients,)``.
    predicted
        What was predicted for each, ``(n_patients,)``, in the same unit.

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


def ordered_metrics(y_true: np.ndarray, proba: np.ndarray) -> dict[str, float]:
    r"""Measure how well class probabilities match classes that have an order, such as grades of a response.

    Those of :func:`classification_metrics`, which do not see the order, and two that do:

    - ``weighted_kappa``: Cohen's kappa with quadratic weights,
      :math:`1 - \sum_{kl} (k - l)^2 o_{kl} / \sum_{kl} (k - l)^2 e_{kl}`, with :math:`o` the table of true and
      predicted classes and :math:`e` the one expected of the same margins by chance: 1 if all are right, 0 by chance.
    - ``mae_levels``: mean number of levels between the true and the predicted class.

    For these two the predicted class is the median of the probabilities: the first class up to which they sum to at
    least one half. Its expected distance from the true class is the least of all classes, and the most probable class
    may lie far from it: 0.4, 0.25, 0.35 calls the middle one. ``accuracy``, ``balanced_accuracy``, ``f1``,
    ``precision`` and ``recall`` keep the most probable class, so that they mean the same as without an order. With two
    classes both rules agree.

    Parameters
    ----------
    y_true
        Class of each patient, ``(n_patients,)``, codes 0 to ``n_classes - 1`` in the order of the classes. Levels are
        taken to be one apart.
    proba
        Probability of each class, ``(n_patients, n_classes)``; rows sum to 1.

    Returns
    -------
    The metrics by name: those of :func:`classification_metrics`, then weighted_kappa and mae_levels.

    Raises
    ------
    ValueError
        As :func:`classification_metrics`: among others, if a class has no patient.

    References
    ----------
    Cohen (1968), Psychological Bulletin 70, 213 (weighted kappa); Cao et al. (2020), Pattern Recognition Letters 140,
    325 (the median class, as the number of levels that are exceeded with a probability above one half). Same kappa as
    scikit-learn's ``cohen_kappa_score(weights="quadratic")``.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import ordered_metrics
    >>> proba = np.array([[0.8, 0.1, 0.1], [0.4, 0.25, 0.35], [0.0, 0.6, 0.4]])
    >>> metrics = ordered_metrics(np.array([0, 1, 2]), proba)
    >>> round(metrics["accuracy"], 3), round(metrics["mae_levels"], 3), round(metrics["weighted_kappa"], 3)
    (0.333, 0.333, 0.667)
    """
    y_true, proba = checked_predictions(y_true, proba)
    values = weighted_ordered_metrics(y_true, proba, np.ones((1, len(y_true))))[0]
    return dict(zip(ORDERED_METRICS, values.tolist(), strict=True))


def survival_metrics(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> dict[str, float]:
    r"""Measure how well predicted risks order the patients by the time of their event.

    A pair is comparable if the patient with the earlier time had the event. It is concordant if that patient has the
    higher risk; equal risks count half. At equal times an event comes before a censoring, and such a pair is
    comparable; two events or two censorings at one time are not.

    - ``concordance``: share of the comparable pairs that are concordant, Harrell's C. Who was censored early enters few
      pairs, so its expectation depends on the censoring.
    - ``concordance_ipcw``: Uno's C, in which the pairs of an event at time :math:`t` weigh :math:`1 / \hat G(t-)^2`,
      with :math:`\hat G(t-)` the probability of not being censored before :math:`t`, estimated by Kaplan-Meier on these
      patients. It needs censoring that depends on neither the event time nor the risk. It is not truncated: under
      heavy censoring a few late events can weigh much. Without censoring both are the same.

    Only the order of the risks and of the times counts.

    Parameters
    ----------
    time
        Time to the event or to the end of observation, ``(n_patients,)``, at least 0, in any unit.
    event
        Whether it was the event (1 or True) or the observation ended without one (0 or False: censored).
    risk
        Predicted risk, ``(n_patients,)``; higher for an earlier event.

    Returns
    -------
    The metrics by name, in [0, 1], 0.5 for no association: concordance, concordance_ipcw.

    Raises
    ------
    ValueError
        If shapes do not fit, a value is not finite, a time is negative, ``event`` holds other than 0 and 1, there are
        fewer than two patients, or no pair of patients is comparable.

    References
    ----------
    Harrell et al. (1996), Statistics in Medicine 15, 361; Uno et al. (2011), Statistics in Medicine 30, 1105. Equal
    times as in lifelines, scikit-survival and torchsurv. For Uno's, the latter two take :math:`\hat G(t)`, which
    differs where patients are censored at the very time of an event; because the event comes first,
    :math:`\hat G(t-)` is the probability of seeing it, and it is never 0.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import survival_metrics
    >>> time, event = np.array([3.0, 5.0, 6.0, 8.0, 10.0]), np.array([1, 0, 1, 1, 0])
    >>> metrics = survival_metrics(time, event, np.array([0.9, 0.1, 0.3, 0.4, 0.2]))
    >>> {name: round(value, 3) for name, value in metrics.items()}
    {'concordance': 0.857, 'concordance_ipcw': 0.81}
    """
    time, event, risk = checked_survival(time, event, risk)
    values = weighted_survival_metrics(time, event, risk, np.ones((1, len(time))))[0]
    return dict(zip(SURVIVAL_METRICS, values.tolist(), strict=True))


def checked_regression(y: np.ndarray, predicted: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Both as float64, or a ValueError that says what does not fit."""
    y = _finite_numbers("y", y)
    return y, _finite_numbers("predicted", predicted, like=("y", y))


def checked_survival(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As float64, bool and float64, or a ValueError that says what does not fit."""
    time = _finite_numbers("time", time)
    event = _finite_numbers("event", event, like=("time", time))
    risk = _finite_numbers("risk", risk, like=("time", time))
    if (time < 0).any():
        raise ValueError(f"time must be at least 0, got {time.min():g}; {int((time < 0).sum())} patients are below")
    other = np.setdiff1d(event, [0, 1])
    if other.size:
        raise ValueError(
            f"event must be 1 (the event) or 0 (censored), got also {', '.join(f'{value:g}' for value in other[:5])}"
        )
    event = event == 1
    if not event.any():
        raise ValueError(f"no pair of patients is comparable: all {len(event)} are censored (event is 0)")
    if not comparable_pairs(time, event).any():
        raise ValueError(
            f"no pair of patients is comparable: the first event, at time {time[event].min():g}, is followed by no "
            "other patient"
        )
    return time, event, risk


def comparable_pairs(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Whether the patient of the row had the event before the one of the column had it or was censored."""
    later = time[:, None] < time
    outlasted = (time[:, None] == time) & ~event  # at one time, an event comes before a censoring
    return event[:, None] & (later | outlasted)


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
        "r2": 1 - _ratio(squared_error, about_mean, y_varies),
        "pearson": _correlation(y[None], predicted[None], weights, y_varies & predicted_varies),
        "spearman": _correlation(
            _midranks(y, weights), _midranks(predicted, weights), weights, y_varies & predicted_varies
        ),
        "mae": weights @ np.abs(y - predicted) / total,
        "rmse": np.sqrt(squared_error / total),
    }
    return np.column_stack([by_name[name] for name in REGRESSION_METRICS])


def weighted_ordered_metrics(y_true: np.ndarray, proba: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The metrics under each row of ``weights``.

    Parameters
    ----------
    y_true, proba
        As ``checked_predictions`` returns them.
    weights
        ``(n_weightings, n_patients)``, at least 0, every class with a positive sum.

    Returns
    -------
    ``(n_weightings, n_metrics)``, columns as ``ORDERED_METRICS``.
    """
    n_classes = proba.shape[1]
    called = median_class(proba)
    levels = np.arange(n_classes)
    squared_levels = (levels[:, None] - levels) ** 2
    of_class, of_call = weights @ np.eye(n_classes)[y_true], weights @ np.eye(n_classes)[called]
    total = weights.sum(axis=1)
    observed = weights @ (y_true - called) ** 2
    # Every class has patients, so the true classes differ and some disagreement is always expected by chance.
    expected = ((of_class @ squared_levels) * of_call).sum(axis=1) / total
    kappa = 1 - observed / expected
    mae_levels = weights @ np.abs(y_true - called) / total
    return np.column_stack([weighted_metrics(y_true, proba, weights), kappa, mae_levels])


def median_class(proba: np.ndarray) -> np.ndarray:
    """The first class up to which the probabilities sum to at least one half, ``(n_patients,)``."""
    cumulative = proba.cumsum(axis=1)
    reached = cumulative / cumulative[:, -1:] >= 0.5 - 1e-12  # what rounding took from a half is still a half
    return reached.argmax(axis=1)


def weighted_survival_metrics(time: np.ndarray, event: np.ndarray, risk: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """The metrics under each row of ``weights``, by a matrix of all pairs of patients.

    Parameters
    ----------
    time, event, risk
        As :func:`checked_survival` returns them.
    weights
        ``(n_weightings, n_patients)``, at least 0. The censoring of each weighting is estimated anew.

    Returns
    -------
    ``(n_weightings, n_metrics)``, columns as ``SURVIVAL_METRICS``; NaN where no two patients of positive weight are
    comparable.
    """
    comparable = comparable_pairs(time, event)
    concordant = comparable * ((risk[:, None] > risk) + 0.5 * (risk[:, None] == risk))
    won, compared = weights @ concordant.T, weights @ comparable.T.astype(float)  # (weighting, patient with the event)
    uncensored = _uncensored_before(time, event, weights)
    by_name = {}
    for name, of_event in {
        "concordance": weights,
        "concordance_ipcw": _ratio(weights, uncensored**2, weights > 0, otherwise=0.0),
    }.items():
        pairs = (of_event * compared).sum(axis=1)
        by_name[name] = _ratio((of_event * won).sum(axis=1), pairs, pairs > 0)
    return np.column_stack([by_name[name] for name in SURVIVAL_METRICS])


def _uncensored_before(time: np.ndarray, event: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Kaplan-Meier probability of not being censored before the time of each patient, ``(n_weightings, n_patients)``.

    Positive for every patient of positive weight: one who is still there was not censored before.
    """
    order = np.argsort(time, kind="stable")
    starts = np.flatnonzero(np.diff(time[order], prepend=-1.0))  # times are at least 0
    patients = np.add.reduceat(weights[:, order], starts, axis=1)
    censored = np.add.reduceat((weights * ~event)[:, order], starts, axis=1)
    later = patients[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    stay = np.column_stack([later, np.zeros(len(weights))])  # whom this time does not take
    at_risk = stay + censored  # the events of this time came first
    factors = _ratio(stay, at_risk, at_risk > 0, otherwise=1.0)
    before = np.column_stack([np.ones(len(weights)), factors[:, :-1].cumprod(axis=1)])
    group = np.searchsorted(time[order][starts], time)
    return before[:, group]


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
    return np.clip(_ratio(product, lengths, defined), -1, 1)


def _ratio(
    numerator: np.ndarray, denominator: np.ndarray, defined: np.ndarray, otherwise: float = np.nan
) -> np.ndarray:
    return np.divide(numerator, denominator, out=np.full(np.shape(numerator), otherwise), where=defined)


def _finite_numbers(name: str, values: np.ndarray, like: tuple[str, np.ndarray] | None = None) -> np.ndarray:
    values = np.asarray(values)
    if values.dtype.kind not in "iufb":
        raise ValueError(f"{name} must be numbers, got {values.dtype}")
    if values.ndim != 1:
        raise ValueError(f"{name} must be (n_patients,), got shape {values.shape}")
    if like is None and len(values) < 2:
        raise ValueError(f"metrics need at least 2 patients, got {len(values)}")
    if like is not None and len(values) != len(like[1]):
        raise ValueError(f"{name} has {len(values)} patients, but {like[0]} has {len(like[1])}")
    values = values.astype(float)
    if not np.isfinite(values).all():
        raise ValueError(
            f"{name} holds {int((~np.isfinite(values)).sum())} NaN or infinite values; leave out these patients"
        )
    return values
