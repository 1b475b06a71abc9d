"""Time to an event, by the Cox partial likelihood."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from tcellmil._checks import some

from ._base import Outcome, check_varies, codes_and_targets, finite_numbers

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Least number of events of a cohort, and of the patients that one replica trains on.
MIN_EVENTS, MIN_TRAINING_EVENTS = 3, 2

_EVENTS = {"0": 0.0, "0.0": 0.0, "False": 0.0, "1": 1.0, "1.0": 1.0, "True": 1.0}


@dataclass(frozen=True)
class Survival(Outcome):
    """Time to an event or to censoring. The log hazard is predicted, 0 for the mean training patient.

    Parameters
    ----------
    label_key
        Column of ``obs`` with the time.
    event_key
        Column of ``obs`` with 1 for an event at that time and 0 for a censored time.

    References
    ----------
    Cox (1975), Biometrika 62, 269.

    Examples
    --------
    >>> Survival("days", "death").quantity("risk")
    'log hazard'
    """

    event_key: str

    kind: ClassVar[str] = "survival"
    takes: ClassVar[tuple[str, ...]] = ("event_key",)
    main_metric: ClassVar[tuple[str, str]] = ("concordance", "concordance")
    observed_columns: ClassVar[tuple[str, ...]] = ("time", "event")
    predicted_column: ClassVar[str] = "risk"
    loss_name: ClassVar[str] = "partial_likelihood"
    loss_words: ClassVar[tuple[str, str]] = ("Hazard", "Negative log partial likelihood")
    picture: ClassVar[str] = "survival"

    @classmethod
    def check_keys(cls, keys: Mapping[str, object]) -> None:
        """As :meth:`Outcome.check_keys`."""
        super().check_keys(keys)
        if keys.get("event_key") is None:
            raise ValueError(
                "outcome='survival' needs event_key, a column of obs with 1 for an event and 0 for censoring"
            )

    @classmethod
    def learn(cls, table: pd.DataFrame, keys: Mapping[str, object]) -> Survival:
        """As :meth:`Outcome.learn`."""
        outcome = cls(str(keys["label_key"]), str(keys["event_key"]))
        known = outcome._times(table).dropna()
        n_events = int(known["event"].sum())
        if n_events < MIN_EVENTS:
            raise ValueError(
                f"event_key {outcome.event_key!r} has {n_events} events in {len(known)} patients; "
                f"at least {MIN_EVENTS} are needed"
            )
        check_varies(known["time"], outcome.label_key)
        return outcome

    @classmethod
    def from_params(cls, params: Mapping) -> Survival:
        """As :meth:`Outcome.from_params`."""
        return cls(str(params["label_key"]), str(params["event_key"]))

    def encode(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
        """As :meth:`Outcome.encode`; raises where a time is below 0 or not finite, or an event is not 0 or 1."""
        return codes_and_targets(self._times(table))

    def _times(self, table: pd.DataFrame) -> pd.DataFrame:
        time = finite_numbers(
            table["label"], f"label_key {self.label_key!r}", "a time to event is a number of days, say"
        )
        below = time.index[time < 0]
        if len(below):
            raise ValueError(
                f"label_key {self.label_key!r} is below 0 for patients {some(below)} "
                f"({some(time[below].unique(), 3)}); "
                "a time to event starts at 0"
            )
        event = table["event"].map(_EVENTS)
        bad = event.index[table["event"].notna() & event.isna()]
        if len(bad):
            raise ValueError(
                f"event_key {self.event_key!r} must be 1 (event) or 0 (censored), patients {some(bad)} have "
                f"{some(table['event'][bad].unique(), 3)}"
            )
        known = time.notna() & event.notna()
        return pd.DataFrame({"time": time.where(known), "event": event.where(known)})

    def _strata_of_groups(self, targets: np.ndarray, group: np.ndarray, n_folds: int) -> np.ndarray:
        """Events and censored times, unless either are too few to be in every fold."""
        event = np.bincount(group, weights=targets[:, 1]) > 0
        too_few = n_folds and min(event.sum(), (~event).sum()) < n_folds
        return np.zeros(len(event), dtype=int) if too_few else event.astype(int)

    @property
    def outputs(self) -> tuple[str, ...]:
        """The log hazard."""
        return ("risk",)

    def head(self, n_replicas: int) -> nn.Module:
        """The origin of the log hazard."""
        from tcellmil.nn._heads import StackedUnits

        return StackedUnits(n_replicas)

    def loss(self, outputs: Tensor, codes: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Negative log partial likelihood, a mean over events."""
        from tcellmil.nn._losses import bag_cox_loss

        time, event = targets.unbind(dim=-1)
        return bag_cox_loss(outputs[..., 0], time, event, weights), (event * (weights > 0)).sum(dim=-1)

    def scale_targets(self, targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, tuple]:
        """Times by their ranks, equal ones alike, which is all that a partial likelihood reads of them."""
        ranked = targets.copy()
        for row in ranked:
            row[:, 0] = np.unique(row[:, 0], return_inverse=True)[1]
        return ranked, ()

    def finish(self, head: nn.Module, scale: tuple, mean_output: Callable[[], Tensor]) -> None:
        """Make 0 the mean of the training patients: only differences are learned, and folds differ."""
        head.set_units(-mean_output(), head.scale)

    def bags_per_step(self, n_labelled: int, requested: int) -> int:
        """All patients, so that risk sets are whole."""
        return n_labelled

    def check_training(self, early_stopping: str) -> None:
        """A few held-out patients have hardly a risk set."""
        if early_stopping == "both":
            raise ValueError(
                "early_stopping='both' cannot evaluate times to event: a few held-out patients have hardly a risk set; "
                "use early_stopping='autoencoder'"
            )

    def check_replicas(self, targets: np.ndarray, train: np.ndarray, fold: Sequence[str]) -> None:
        """Every replica needs two events."""
        events = (np.nan_to_num(targets[..., 1]) * train).sum(axis=1)
        if (events < MIN_TRAINING_EVENTS).any():
            raise ValueError(
                f"fold {str(fold[events.argmin()])!r} has {int(events.min())} events among its training patients, "
                f"a hazard needs at least {MIN_TRAINING_EVENTS}; use other folds"
            )

    def measure(self, codes, targets, predicted, pair_order=None) -> dict[str, float]:
        """As :func:`tcellmil.stats.survival_metrics`."""
        from tcellmil.stats import survival_metrics

        return survival_metrics(*targets.T, predicted[:, 0])

    def measure_with_intervals(self, codes, targets, predicted, pair_order=None, **options) -> pd.DataFrame:
        """As :func:`tcellmil.stats.bootstrap_survival`."""
        from tcellmil.stats import bootstrap_survival

        return bootstrap_survival(*targets.T, predicted[:, 0], **options)

    def check_has_risk(self, key: str) -> None:
        """It has."""

    def target_in_words(self, target: str) -> str:
        """The log hazard."""
        return "log hazard"
