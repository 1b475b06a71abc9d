"""Concordance of predicted risks, and its intervals."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.stats._evaluation._arrays import finite_numbers, ratio
from tcellmil.stats._evaluation._resampling import check_bootstrap, checked_groups, draw_resamples, weighted_table

SURVIVAL_METRICS = ("concordance", "concordance_ipcw")


@documented
def survival_metrics(time: np.ndarray, event: np.ndarray, risk: np.ndarray) -> dict[str, float]:
    r"""Measure how well predicted risks order the patients by the time of their event.

    A pair is comparable if the patient with the earlier time had the event. It is concordant if that patient has the
    higher risk; equal risks count half. At equal times an event comes before a censoring, and such a pair is
    comparable; two events or two censorings at one time are not.

    - ``concordance``: share of the comparable pairs that are concordant, Harrell's C. Patients censored early are in
      few pairs, so its expectation depends on the censoring.
    - ``concordance_ipcw``: Uno's C, in which the pairs of an event at time :math:`t` weigh :math:`1 / \hat G(t-)^2`,
      with :math:`\hat G(t-)` the probability of not being censored before :math:`t`, estimated by Kaplan-Meier on these
      patients. It needs censoring that depends on neither the event time nor the risk. It is not truncated: under
      heavy censoring a few late events can weigh much. Without censoring both are the same.

    Only the order of the risks and of the times counts.

    Parameters
    ----------
    %(time)s
    %(event)s
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


@documented
def bootstrap_survival(
    time: np.ndarray,
    event: np.ndarray,
    risk: np.ndarray,
    *,
    n_boot: int = 2000,
    level: float = 0.95,
    seed: int = 0,
    groups: np.ndarray | None = None,
) -> pd.DataFrame:
    """Concordance of predicted risks with percentile bootstrap intervals over patients.

    A resample without a comparable pair is drawn again, otherwise as in :func:`bootstrap_metrics`. Every resample
    estimates its own censoring. With a handful of events the intervals are too narrow.

    Parameters
    ----------
    %(time)s
    %(event)s
    risk
        Predicted risk, ``(n_patients,)``; higher for an earlier event.
    %(n_boot)s
    %(level)s
    %(bootstrap_seed)s
    %(bootstrap_groups)s

    Returns
    -------
    One row per metric: ``metric``, ``value``, ``ci_low``, ``ci_high``, ``n`` (patients). For the metrics see
    :func:`survival_metrics`.

    Raises
    ------
    ValueError
        If the arrays do not fit, no or hardly any pair of patients is comparable, or an argument is out of range.

    References
    ----------
    Efron & Tibshirani (1993), An Introduction to the Bootstrap, chapter 13.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import bootstrap_survival
    >>> time = np.arange(1.0, 21.0)
    >>> print(bootstrap_survival(time, np.arange(20) % 2, -time))
                 metric  value  ci_low  ci_high   n
    0       concordance    1.0     1.0      1.0  20
    1  concordance_ipcw    1.0     1.0      1.0  20
    """
    time, event, risk = checked_survival(time, event, risk)
    check_bootstrap(n_boot, level)
    comparable = comparable_pairs(time, event).astype(float)
    counts = draw_resamples(
        len(time),
        n_boot,
        seed,
        checked_groups(groups),
        lambda counts: ((counts @ comparable) * counts).sum(axis=1) > 0,
        f"resamples of {len(time)} patients, {int(event.sum())} of them with the event, hardly ever hold a comparable "
        "pair; add patients",
    )
    return weighted_table(SURVIVAL_METRICS, partial(weighted_survival_metrics, time, event, risk), counts, level)


def checked_survival(
    time: np.ndarray, event: np.ndarray, risk: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """As float64, bool and float64, or a ValueError that says what does not fit."""
    time, event = checked_times(time, event)
    risk = finite_numbers("risk", risk, like=("time", time))
    if not event.any():
        raise ValueError(f"no pair of patients is comparable: all {len(event)} are censored (event is 0)")
    if not comparable_pairs(time, event).any():
        raise ValueError(
            f"no pair of patients is comparable: the first event, at time {time[event].min():g}, is followed by no "
            "other patient"
        )
    return time, event, risk


def checked_times(time: np.ndarray, event: np.ndarray, at_least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """As float64 and bool, or a ValueError that says what does not fit."""
    time = finite_numbers("time", time, at_least=at_least)
    event = finite_numbers("event", event, like=("time", time))
    if (time < 0).any():
        raise ValueError(f"time must be at least 0, got {time.min():g}; {int((time < 0).sum())} patients are below")
    other = np.setdiff1d(event, [0, 1])
    if other.size:
        raise ValueError(
            f"event must be 1 (the event) or 0 (censored), got also {', '.join(f'{value:g}' for value in other[:5])}"
        )
    return time, event == 1


def comparable_pairs(time: np.ndarray, event: np.ndarray) -> np.ndarray:
    """Whether the patient of the row had the event before the one of the column had it or was censored."""
    later = time[:, None] < time
    outlasted = (time[:, None] == time) & ~event  # at one time, an event comes before a censoring
    return event[:, None] & (later | outlasted)


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
        "concordance_ipcw": ratio(weights, uncensored**2, weights > 0, otherwise=0.0),
    }.items():
        pairs = (of_event * compared).sum(axis=1)
        by_name[name] = ratio((of_event * won).sum(axis=1), pairs, pairs > 0)
    return np.column_stack([by_name[name] for name in SURVIVAL_METRICS])


def _uncensored_before(time: np.ndarray, event: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Kaplan-Meier probability of not being censored before the time of each patient, ``(n_weightings, n_patients)``.

    Positive for every patient of positive weight, who was not censored before.
    """
    order = np.argsort(time, kind="stable")
    starts = np.flatnonzero(np.diff(time[order], prepend=-1.0))  # times are at least 0
    patients = np.add.reduceat(weights[:, order], starts, axis=1)
    censored = np.add.reduceat((weights * ~event)[:, order], starts, axis=1)
    later = patients[:, ::-1].cumsum(axis=1)[:, ::-1][:, 1:]
    stay = np.column_stack([later, np.zeros(len(weights))])  # at risk after this time
    at_risk = stay + censored  # the events of this time came first
    factors = ratio(stay, at_risk, at_risk > 0, otherwise=1.0)
    before = np.column_stack([np.ones(len(weights)), factors[:, :-1].cumprod(axis=1)])
    group = np.searchsorted(time[order][starts], time)
    return before[:, group]
