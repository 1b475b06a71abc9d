"""A number, by squared error."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from ._base import Outcome, check_varies, codes_and_targets, finite_numbers

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Least number of patients with a number.
MIN_NUMBERS = 4


@dataclass(frozen=True)
class Continuous(Outcome):
    """A number of each patient, such as the age, predicted in its own units.

    Parameters
    ----------
    label_key
        Column of ``obs`` with the number.

    Examples
    --------
    >>> Continuous("age").outputs
    ('age',)
    """

    kind: ClassVar[str] = "continuous"
    main_metric: ClassVar[tuple[str, str]] = ("pearson", "Pearson correlation")
    loss_name: ClassVar[str] = "squared_error"
    loss_words: ClassVar[tuple[str, str]] = ("Regression", "Mean squared error / variance")
    picture: ClassVar[str] = "numbers"

    @classmethod
    def learn(cls, table: pd.DataFrame, keys: Mapping[str, object]) -> Continuous:
        """As :meth:`Outcome.learn`."""
        outcome = cls(str(keys["label_key"]))
        known = outcome._numbers(table)["number"].dropna()
        if len(known) < MIN_NUMBERS:
            raise ValueError(
                f"label_key {outcome.label_key!r} has a number for {len(known)} patients; "
                f"at least {MIN_NUMBERS} are needed"
            )
        check_varies(known, outcome.label_key)
        return outcome

    def encode(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Outcome.encode`; raises where a value is not a finite number."""
        return codes_and_targets(self._numbers(table))

    def _numbers(self, table: pd.DataFrame) -> pd.DataFrame:
        hint = "mend it or leave it empty; outcome='classes' predicts classes"
        return finite_numbers(table["label"], f"label_key {self.label_key!r}", hint).to_frame("number")

    def null_residuals(self, codes: np.ndarray, targets: np.ndarray) -> np.ndarray:
        """Distance from the mean, which is what would be predicted of anyone; NaN without a number."""
        numbers = np.where(codes >= 0, targets[:, 0], np.nan)
        return numbers - np.nanmean(numbers)

    def _strata_of_groups(self, targets: np.ndarray, group: np.ndarray, n_folds: int) -> np.ndarray:
        """Ranges of the number, of as many groups as there are folds."""
        size = np.bincount(group)
        if not n_folds:
            return np.zeros(len(size), dtype=int)
        rank = (np.bincount(group, weights=targets[:, 0]) / size).argsort(kind="stable").argsort(kind="stable")
        return rank * max(1, len(size) // n_folds) // len(size)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The number by its name."""
        return (self.label_key,)

    def head(self, n_replicas: int) -> nn.Module:
        """The units of the number."""
        from tcellmil.nn._heads import StackedUnits

        return StackedUnits(n_replicas)

    def loss(self, outputs: Tensor, codes: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted mean squared error, in units of the replica's variance."""
        from tcellmil.nn._losses import bag_squared_error

        return bag_squared_error(outputs[..., 0], targets[..., 0], weights), weights.sum(dim=-1)

    def scale_targets(self, targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, tuple]:
        """In units of the training patients' standard deviation from their mean, ``(replica, 1, 1)`` each."""
        share = (weights / weights.sum(axis=1, keepdims=True))[..., None]
        numbers = np.where(share > 0, targets, 0)
        mean = (share * numbers).sum(axis=1, keepdims=True)
        sd = np.sqrt((share * (numbers - mean) ** 2).sum(axis=1, keepdims=True))
        sd = np.where(sd > 1e-12 * np.maximum(1, np.abs(mean)), sd, 1)
        return (targets - mean) / sd, (mean, sd)

    def finish(self, head: nn.Module, scale: tuple, mean_output: Callable[[], Tensor]) -> None:
        """Back to the number's own units."""
        import torch

        head.set_units(*map(torch.from_numpy, scale))

    def measure(self, codes, targets, predicted, pair_order=None) -> dict[str, float]:
        """As :func:`tcellmil.stats.regression_metrics`."""
        from tcellmil.stats import regression_metrics

        return regression_metrics(targets[:, 0], predicted[:, 0])

    def measure_with_intervals(self, codes, targets, predicted, pair_order=None, **options) -> pd.DataFrame:
        """As :func:`tcellmil.stats.bootstrap_regression`."""
        from tcellmil.stats import bootstrap_regression

        return bootstrap_regression(targets[:, 0], predicted[:, 0], **options)
