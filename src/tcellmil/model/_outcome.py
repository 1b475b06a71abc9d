"""What is predicted of each patient: classes, ordered classes, a number, or a time to event."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, some
from tcellmil._outcome_kinds import CLASSES, ORDERED, SURVIVAL

#: Least patients of each class: with two, a fold would train on one.
MIN_PATIENTS = 3

#: Least patients with a number, and least events.
MIN_NUMBERS = 4
MIN_EVENTS = 3

_EVENTS = {"0": 0.0, "0.0": 0.0, "False": 0.0, "1": 1.0, "1.0": 1.0, "True": 1.0}


def check_arguments(outcome: str, event_key: str | None, class_order: object, positive_class: str | None) -> None:
    """Raise a ValueError where arguments do not fit the kind of outcome."""
    if outcome == SURVIVAL and event_key is None:
        raise ValueError("outcome='survival' needs event_key, a column of obs with 1 for an event and 0 for censoring")
    if outcome != SURVIVAL and event_key is not None:
        raise ValueError(f"event_key={event_key!r} is for outcome='survival', the outcome is {outcome!r}")
    if outcome != ORDERED and class_order is not None:
        raise ValueError(f"class_order is for outcome='ordered', the outcome is {outcome!r}")
    if outcome != CLASSES and positive_class is not None:
        raise ValueError(
            f"positive_class={positive_class!r} is for outcome='classes', the outcome is {outcome!r}; "
            "of ordered classes the last is the positive one"
        )


def classes_of(
    labels: pd.Series,
    label_key: str,
    *,
    ordered: bool,
    class_order: Sequence[str] | None,
    positive_class: str | None,
) -> list[str]:
    """Classes in their order, the positive one last.

    Parameters
    ----------
    labels
        Label of each patient, NaN where there is none.
    label_key
        For messages.
    ordered
        The classes have an order: that of ``class_order``, or of a categorical column that is ordered.
    class_order, positive_class
        As given by the user.

    Raises
    ------
    ValueError
        If there are too few classes or patients, or the order is not known or not complete.
    """
    counts = labels.dropna().value_counts()
    if len(counts) < 2:
        raise ValueError(
            f"label_key {label_key!r} has one class only, {some(counts.index)}; a prediction needs at least two"
        )
    if counts.min() < MIN_PATIENTS:
        small = counts.index[counts < MIN_PATIENTS]
        raise ValueError(
            f"label_key {label_key!r} has fewer than {MIN_PATIENTS} patients of class {some(small)} "
            f"({', '.join(f'{c}: {n}' for c, n in counts.items())}); add patients or merge classes"
        )
    if ordered:
        return _in_order(counts.index, label_key, class_order)
    classes = sorted(counts.index)
    if positive_class is not None:
        check_choice(positive_class, classes, "positive_class")
        classes = [*(c for c in classes if c != positive_class), positive_class]
    return classes


def _in_order(present: pd.Index, label_key: str, class_order: Sequence[str] | None) -> list[str]:
    if class_order is None:
        raise ValueError(
            f"outcome='ordered' needs the order of the classes {some(sorted(present))}: "
            f"pass class_order, lowest first, or make obs[{label_key!r}] an ordered categorical"
        )
    if isinstance(class_order, str) or not isinstance(class_order, Iterable):
        raise TypeError(f"class_order must be a list of the classes, lowest first, got {class_order!r}")
    order = [str(name) for name in class_order]
    lacking = [name for name in present if name not in order]
    without = [name for name in order if name not in set(present)]
    if lacking or without or len(set(order)) < len(order):
        wrong = f"it lacks {some(lacking)}" if lacking else f"no patient is {some(without)}"
        wrong = wrong if lacking or without else "it names some twice"
        raise ValueError(f"class_order {some(order)} must name each class once; {wrong}")
    return order


def numbers_of(values: pd.Series, label_key: str) -> pd.Series:
    """The number of each patient, NaN where there is none.

    Raises
    ------
    ValueError
        If a value is not a finite number.
    """
    hint = "mend it or leave it empty; outcome='classes' predicts classes"
    return _finite(values, f"label_key {label_key!r}", hint)


def times_of(times: pd.Series, events: pd.Series, label_key: str, event_key: str) -> pd.DataFrame:
    """Columns ``time`` and ``event`` (1 or 0), both NaN for patients without one of them.

    Raises
    ------
    ValueError
        If a time is negative or not finite, or an event is not 0 or 1.
    """
    time = _finite(times, f"label_key {label_key!r}", "a time to event is a number of days, say")
    below = time.index[time < 0]
    if len(below):
        raise ValueError(
            f"label_key {label_key!r} is below 0 for patients {some(below)} ({some(times[below].unique(), 3)}); "
            "a time to event starts at 0"
        )
    event = events.map(_EVENTS)
    bad = event.index[events.notna() & event.isna()]
    if len(bad):
        raise ValueError(
            f"event_key {event_key!r} must be 1 (event) or 0 (censored), patients {some(bad)} have "
            f"{some(events[bad].unique(), 3)}"
        )
    known = time.notna() & event.notna()
    return pd.DataFrame({"time": time.where(known), "event": event.where(known)})


def _finite(values: pd.Series, what: str, hint: str) -> pd.Series:
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    bad = values.index[values.notna() & ~np.isfinite(numbers)]
    if len(bad):
        raise ValueError(
            f"{what} is not a finite number for patients {some(bad)} ({some(values[bad].unique(), 3)}); {hint}"
        )
    return numbers


def targets_of(values: pd.Series, events: pd.Series | None, label_key: str, event_key: str | None) -> pd.DataFrame:
    """What networks are trained on where the outcome is no class, a row a patient; NaN where it is not known."""
    if event_key is None:
        return numbers_of(values, label_key).to_frame("number")
    return times_of(values, events, label_key, event_key)


def check_enough(targets: pd.DataFrame, label_key: str, event_key: str | None) -> None:
    """Raise a ValueError where numbers or times are too few, or all the same, to train on."""
    known = targets.dropna()
    if event_key is not None:
        n_events = int(known["event"].sum())
        if n_events < MIN_EVENTS:
            raise ValueError(
                f"event_key {event_key!r} has {n_events} events in {len(known)} patients; "
                f"at least {MIN_EVENTS} are needed"
            )
    elif len(known) < MIN_NUMBERS:
        raise ValueError(
            f"label_key {label_key!r} has a number for {len(known)} patients; at least {MIN_NUMBERS} are needed"
        )
    first = known.iloc[:, 0]
    if first.nunique() == 1:
        raise ValueError(f"label_key {label_key!r} is {first.iloc[0]:g} for every patient; there is nothing to predict")
