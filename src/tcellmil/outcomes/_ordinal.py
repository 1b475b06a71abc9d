"""Ordinal classes, by proportional odds."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from tcellmil._checks import some

from ._classes import Classes

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Ordinal(Classes):
    """Classes with an order, the lowest first.

    Parameters
    ----------
    label_key
        Column of ``obs`` with the class.
    names
        The classes in their order.

    References
    ----------
    McCullagh (1980), Journal of the Royal Statistical Society B 42, 109.

    Examples
    --------
    >>> Ordinal("stage", ("I", "II", "III")).n_scores
    1
    """

    kind: ClassVar[str] = "ordinal"
    takes: ClassVar[tuple[str, ...]] = ("class_order",)
    main_metric: ClassVar[tuple[str, str]] = ("weighted_kappa", "weighted kappa")
    picture: ClassVar[str] = "levels"

    @classmethod
    def check_keys(cls, keys: Mapping[str, object]) -> None:
        """As :meth:`Outcome.check_keys`."""
        if keys.get("positive_class") is not None:
            raise ValueError(
                f"positive_class={keys['positive_class']!r} is for outcome='classes', the outcome is {cls.kind!r}; "
                "of ordinal classes the last is the positive one"
            )
        super().check_keys(keys)

    @classmethod
    def learn(cls, table: pd.DataFrame, keys: Mapping[str, object]) -> Ordinal:
        """As :meth:`Outcome.learn`; an ordered categorical column has its own order."""
        label_key, order = str(keys["label_key"]), keys.get("class_order")
        present = cls.checked_counts(table["label"], label_key).index
        levels = keys.get("levels")
        if order is None and levels is not None:
            order = [name for name in levels if name in set(present)]
        return cls(label_key, tuple(_in_order(present, label_key, order)))

    def _check_order(self, keys: Mapping[str, object]) -> None:
        order = keys["class_order"]
        if order is not None and tuple(order) != self.names:
            raise ValueError(f"classes {some(self.names)} are not in the order of class_order {some(order)}")

    @property
    def n_scores(self) -> int:
        """One score, which thresholds divide into classes."""
        return 1

    def head(self, n_replicas: int) -> nn.Module:
        """Increasing thresholds."""
        from tcellmil.nn._heads import StackedThresholds

        return StackedThresholds(n_replicas, len(self.names))

    def expected_level(self, predictions: pd.DataFrame) -> pd.Series:
        """Mean of the levels weighted by their probabilities, 0 for the lowest."""
        return sum(level * predictions[f"prob_{name}"] for level, name in enumerate(self.names))

    def measure(self, codes, targets, predicted, pair_order=None) -> dict[str, float]:
        """As :func:`tcellmil.stats.ordinal_metrics`; leave-pair-out knows classes only."""
        from tcellmil.stats import ordinal_metrics

        return (
            super().measure(codes, targets, predicted, pair_order)
            if pair_order is not None
            else (ordinal_metrics(codes, predicted))
        )

    def measure_with_intervals(self, codes, targets, predicted, pair_order=None, **options) -> pd.DataFrame:
        """As :func:`tcellmil.stats.bootstrap_ordinal`; leave-pair-out knows classes only."""
        from tcellmil.stats import bootstrap_ordinal

        if pair_order is not None:
            return super().measure_with_intervals(codes, targets, predicted, pair_order, **options)
        return bootstrap_ordinal(codes, predicted, **options)

    def metric_shown(self, available: Sequence[str]) -> tuple[str, str]:
        """Of leave-pair-out, which knows no order, the metric of classes."""
        return self.main_metric if self.main_metric[0] in available else Classes.main_metric


def _in_order(present: pd.Index, label_key: str, class_order: Sequence[str] | None) -> list[str]:
    if class_order is None:
        raise ValueError(
            f"outcome='ordinal' needs the order of the classes {some(sorted(present))}: "
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
