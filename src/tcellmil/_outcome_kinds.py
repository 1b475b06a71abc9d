"""Kinds of outcome, and how they are called where results are read."""

from __future__ import annotations

from collections.abc import Mapping

CLASSES, ORDERED, CONTINUOUS, SURVIVAL = "classes", "ordered", "continuous", "survival"

#: Kinds of outcome: classes, ordered classes, a number, time to event.
OUTCOMES = (CLASSES, ORDERED, CONTINUOUS, SURVIVAL)

#: Kinds that are predicted as probabilities of classes; of the others one number is predicted.
OF_CLASSES = (CLASSES, ORDERED)

#: Of each kind, the metric that is told, and how it is called.
SHOWN = {
    CLASSES: ("auroc", "AUROC"),
    ORDERED: ("weighted_kappa", "weighted kappa"),
    CONTINUOUS: ("pearson", "Pearson correlation"),
    SURVIVAL: ("concordance", "concordance"),
}

#: The one group of patients where there are no classes to group them by.
ALL_PATIENTS = "all patients"


def outcome_of(params: Mapping) -> str:
    """The kind of outcome of a result, from its ``params``."""
    return str(params.get("outcome", CLASSES))


def has_classes(params: Mapping) -> bool:
    """Whether a result, by its ``params``, is of classes, ordered or not."""
    return outcome_of(params) in OF_CLASSES


def patient_groups(params: Mapping) -> list[str]:
    """What patients are grouped by, from the ``params`` of a fit: its classes, or all patients where there are none."""
    return [str(name) for name in params["classes"]] if has_classes(params) else [ALL_PATIENTS]


def target_in_words(params: Mapping, target: str) -> str:
    """The class, the name of the number, or the log hazard.

    Examples
    --------
    >>> [target_in_words({"outcome": kind}, "R") for kind in OUTCOMES]
    ['R', 'R', 'R', 'log hazard']
    """
    return "log hazard" if outcome_of(params) == SURVIVAL else target


def quantity(params: Mapping, target: str) -> str:
    """What is predicted, in words.

    Examples
    --------
    >>> [quantity({"outcome": kind}, "R") for kind in OUTCOMES]
    ['probability of R', 'probability of R', 'R', 'log hazard']
    """
    words = target_in_words(params, target)
    return f"probability of {words}" if has_classes(params) else words


def check_has_classes(params: Mapping, key: str, what: str) -> None:
    """Raise a ValueError that says what to use instead where the outcome is a number or a time."""
    if not has_classes(params):
        raise ValueError(
            f"{what} for classes, {key!r} was fitted with outcome={outcome_of(params)!r}; "
            "use pl.predictions, and get.metrics for how good the predictions are"
        )
