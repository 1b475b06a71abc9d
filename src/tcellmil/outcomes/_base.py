"""What every kind of outcome answers: targets, splits, network, predictions, metrics, effects and words."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from tcellmil._checks import some

if TYPE_CHECKING:
    from torch import Tensor, nn

#: The one group of patients where there are no classes to group them by.
ALL_PATIENTS = "all patients"

#: Metrics that are errors.
LOWER_IS_BETTER = ("brier", "mae", "rmse", "mae_levels")

#: The user's keys that only some kinds of outcome take, by the kind that each is for.
SPECIAL_KEYS = {"event_key": "survival", "class_order": "ordinal", "positive_class": "classes"}


@dataclass(frozen=True)
class Outcome(ABC):
    """One kind of outcome. An instance knows what was learned of one cohort, such as the names of the classes.

    Arrays have one row per patient. *Codes* are class codes, -1 for a patient without an outcome; where the outcome is
    not a class, 0 where it is known. *Targets* are the numbers that networks are trained on, float64
    ``(n_patients, n_columns)``, NaN where unknown; ``None`` for classes. A network's *outputs* are
    ``(replica, patient, n_outputs)``.

    Parameters
    ----------
    label_key
        Column of ``obs`` with the outcome.
    """

    label_key: str

    #: As users call it.
    kind: ClassVar[str]
    #: Which of :data:`SPECIAL_KEYS` it takes.
    takes: ClassVar[tuple[str, ...]] = ()
    #: Predictions are probabilities of classes.
    has_classes: ClassVar[bool] = False
    #: The metric that is reported first, and its name in words.
    main_metric: ClassVar[tuple[str, str]]
    #: Columns of the predictions with what was observed, and with what was predicted.
    observed_columns: ClassVar[tuple[str, ...]] = ("label",)
    predicted_column: ClassVar[str] = "predicted"
    #: What SHAP values may be parts of; the first is the default.
    explained: ClassVar[tuple[str, ...]] = ("value",)
    #: Column with a prediction before and after a perturbation.
    effect: ClassVar[str] = "value"
    #: Name of the loss in a model's history; title and axis of its picture.
    loss_name: ClassVar[str]
    loss_words: ClassVar[tuple[str, str]]
    #: Which picture shows predictions beside observations: one of ``tcellmil.pl._patients._predictions.DRAWINGS``.
    picture: ClassVar[str]

    # -- reading ------------------------------------------------------------------------------------------------------

    @classmethod
    def check_keys(cls, keys: Mapping[str, object]) -> None:
        """Raise a ValueError where :data:`SPECIAL_KEYS` do not fit this kind of outcome."""
        for name, owner in SPECIAL_KEYS.items():
            if keys.get(name) is not None and name not in cls.takes:
                raise ValueError(f"{name}={keys[name]!r} is for outcome={owner!r}, the outcome is {cls.kind!r}")

    @classmethod
    @abstractmethod
    def learn(cls, table: pd.DataFrame, keys: Mapping[str, object]) -> Outcome:
        """Check the outcomes of a cohort and return what is learned of them.

        Parameters
        ----------
        table
            One row per patient, with ``label`` and, where there is an ``event_key``, ``event``: text, NaN where
            missing.
        keys
            The user's keys, and ``levels``, the categories of an ordered categorical column.

        Raises
        ------
        ValueError
            If there are too few patients, or values cannot be used.
        """

    def check_learned(self, keys: Mapping[str, object]) -> None:
        """Raise a ValueError where :meth:`learn` gives something else with these keys, whatever the cohort."""
        if keys["outcome"] != self.kind:
            raise ValueError(f"the outcome is {self.kind!r}, outcome={keys['outcome']!r}")
        for name in ("label_key", *self.takes):
            if hasattr(self, name) and getattr(self, name) != keys[name]:
                raise ValueError(f"{name}={keys[name]!r}, the outcome has {getattr(self, name)!r}")

    @classmethod
    def from_params(cls, params: Mapping) -> Outcome:
        """Return the outcome of a stored result."""
        return cls(str(params["label_key"]))

    @classmethod
    def from_dict(cls, values: Mapping) -> Outcome:
        """Inverse of :meth:`as_dict`, after a trip through JSON."""
        return cls(**{name: tuple(v) if isinstance(v, list) else v for name, v in values.items() if name != "kind"})

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return {"kind": self.kind, **asdict(self)}

    @abstractmethod
    def encode(self, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray | None]:
        """Return codes and targets of a table as in :meth:`learn`; what cannot be encoded is unknown, or raises."""

    # -- splits -------------------------------------------------------------------------------------------------------

    def null_residuals(self, codes: np.ndarray, targets: np.ndarray | None) -> np.ndarray | None:
        """Distance of each outcome from what would be predicted of anyone, where splits balance it by weights."""
        return None

    def strata(
        self, codes: np.ndarray, targets: np.ndarray | None, groups: np.ndarray | None, n_folds: int = 0
    ) -> np.ndarray:
        """Codes whose shares random folds keep alike, ``(n_patients,)``, -1 without an outcome.

        Parameters
        ----------
        codes, targets
            As in :class:`Outcome`.
        groups
            ``(n_patients,)`` codes of samples that stay together, which share one stratum; ``None``: each by itself.
        n_folds
            Number of random folds; 0 where folds are not random.
        """
        known = codes >= 0
        if not known.any():
            return codes
        strata = np.where(known, 0, -1)
        groups = np.arange(len(codes)) if groups is None else groups
        _, group = np.unique(groups[known], return_inverse=True)
        strata[known] = self._strata_of_groups(targets[known], group, n_folds)[group]
        return strata

    def _strata_of_groups(self, targets: np.ndarray, group: np.ndarray, n_folds: int) -> np.ndarray:
        """Stratum of each group; ``n_folds`` is 0 where folds are not random."""
        return np.zeros(group.max() + 1, dtype=int)

    # -- network ------------------------------------------------------------------------------------------------------

    @property
    @abstractmethod
    def outputs(self) -> tuple[str, ...]:
        """Name of each output: the classes, or the one number that is predicted."""

    @property
    def n_scores(self) -> int:
        """Number of linear scores that :meth:`head` reads."""
        return 1

    def head(self, n_replicas: int) -> nn.Module | None:
        """What follows the linear scores; ``None``: the outputs are the scores."""
        return None

    def predict(self, outputs: Tensor) -> Tensor:
        """Probabilities of classes, or the number itself, from a network's outputs."""
        return outputs

    @abstractmethod
    def loss(self, outputs: Tensor, codes: Tensor, targets: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Loss of each replica in a batch, and how much of the batch it is a mean over, both ``(replica,)``."""

    def scale_targets(self, targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray | None, tuple]:
        """Bring targets, ``(replica, patient, column)``, to the scale on which networks learn; and that scale.

        ``weights`` are ``(replica, patient)``, 0 for patients that the replica does not train on.
        """
        return None, ()

    def finish(self, head: nn.Module | None, scale: tuple, mean_output: Callable[[], Tensor]) -> None:
        """Bring the trained head to the outcome's own units.

        Parameters
        ----------
        head
            As :meth:`head` made it.
        scale
            As :meth:`scale_targets` returned it.
        mean_output
            Computes the mean output over each replica's training patients, ``(replica, 1, 1)`` float64.
        """
        return None

    def bags_per_step(self, n_labelled: int, requested: int) -> int:
        """Number of patients in a batch."""
        return requested

    def check_training(self, early_stopping: str) -> None:
        """Raise a ValueError where the outcome cannot be trained in this way."""
        return None

    def check_replicas(self, targets: np.ndarray | None, train: np.ndarray, fold: Sequence[str]) -> None:
        """Raise a ValueError where a replica cannot be trained on its patients.

        ``targets`` are ``(replica, patient, column)``, ``train`` is ``(replica, patient)`` bool.
        """
        return None

    def targets_for(self, targets: np.ndarray | None, n_replicas: int) -> np.ndarray | None:
        """The same targets for each replica, or a ValueError where they are missing."""
        if targets is None:
            raise ValueError(f"outcome={self.kind!r} needs numbers to train on, the bags have none; give them targets")
        return np.broadcast_to(targets, (n_replicas, *targets.shape))

    # -- predictions --------------------------------------------------------------------------------------------------

    def columns(
        self, codes: np.ndarray, targets: np.ndarray | None, predicted: np.ndarray, sd: np.ndarray, seen: np.ndarray
    ) -> dict[str, np.ndarray]:
        """Columns of the table of predictions.

        Parameters
        ----------
        codes, targets
            What was observed.
        predicted
            ``(n_patients, n_outputs)``, NaN without a prediction.
        sd
            ``(n_patients,)``: standard deviation over replicas.
        seen
            ``(n_patients,)`` bool: some replica predicted the patient.
        """
        names = self.observed_columns
        targets = np.full((len(codes), len(names)), np.nan) if targets is None else targets
        columns = {name: targets[:, i].astype(float) for i, name in enumerate(names)}
        return columns | {self.predicted_column: predicted[:, 0], f"{self.predicted_column}_sd": sd}

    def stored_columns(self) -> dict[str, str]:
        """Columns of predictions that hold a name of the user's: what they are called in a file."""
        return {}

    @staticmethod
    def predicted_values(values: pd.Series) -> pd.Series:
        """The predicted column of some patients, as numbers."""
        return values.astype(float)

    @property
    def groups(self) -> tuple[str, ...]:
        """What patients are grouped by: the classes, or all patients where there are none."""
        return (ALL_PATIENTS,)

    def group_of_patient(self, predictions: pd.DataFrame) -> pd.Series:
        """Group of each patient of a table of predictions, one of :attr:`groups`; empty without an outcome."""
        known = predictions[list(self.observed_columns)].notna().all(axis=1)
        return known.map({True: ALL_PATIENTS, False: ""}).astype(object)

    def plotted_columns(self) -> tuple[str, ...]:
        """Columns of the predictions without which a patient has no place in a picture."""
        return (*self.observed_columns, self.predicted_column)

    # -- metrics ------------------------------------------------------------------------------------------------------

    @abstractmethod
    def measure(self, codes, targets, predicted: np.ndarray, pair_order: np.ndarray | None = None) -> dict[str, float]:
        """Metrics of patients who all have an outcome and a prediction."""

    @abstractmethod
    def measure_with_intervals(self, codes, targets, predicted, pair_order=None, **options) -> pd.DataFrame:
        """The same as a table with bootstrap intervals over patients; ``options`` are those of the bootstrap."""

    def measure_new(self, codes, targets, predicted, **options) -> tuple[pd.DataFrame | None, str]:
        """Metrics of patients of another cohort, who may be too few for them.

        Returns
        -------
        The table of :meth:`measure_with_intervals`, ``None`` where nothing can be measured; and in words what cannot
        and why, empty where all is defined.
        """
        try:
            return self.measure_with_intervals(codes, targets, predicted, **options), ""
        except ValueError as error:
            return None, str(error)

    def metric_shown(self, available: Sequence[str]) -> tuple[str, str]:
        """The metric that is reported first, of those available, and its name in words."""
        return self.main_metric

    # -- words --------------------------------------------------------------------------------------------------------

    def target_in_words(self, target: str) -> str:
        """The class, the name of the number, or the log hazard."""
        return target

    def quantity(self, target: str) -> str:
        """What is predicted, in words."""
        return self.target_in_words(target)

    def favoured(self, target: str) -> tuple[str, str]:
        """What a higher and what a lower prediction is in favour of."""
        return "higher", "lower"

    #: Words for the prediction, for what SHAP values compare, and for the unit in front of them.
    prediction_word: ClassVar[str] = "prediction"
    shap_word: ClassVar[str] = "SHAP value"

    def check_has_classes(self, key: str, what: str) -> None:
        """Raise a ValueError that says what to use instead where the outcome is not a class."""
        if not self.has_classes:
            raise ValueError(
                f"{what} for classes, {key!r} was fitted with outcome={self.kind!r}; "
                "use pl.predictions, and get.metrics for how good the predictions are"
            )

    def check_has_risk(self, key: str) -> None:
        """Raise a ValueError that says what to use instead where the outcome is not a time to event."""
        raise ValueError(
            f"risk groups are for outcome='survival', {key!r} was fitted with outcome={self.kind!r}; "
            "use get.predictions and get.metrics"
        )


def finite_numbers(values: pd.Series, what: str, hint: str) -> pd.Series:
    """Text as numbers, NaN where missing, or a ValueError that names what is not a finite number."""
    numbers = pd.to_numeric(values, errors="coerce").astype(float)
    bad = values.index[values.notna() & ~np.isfinite(numbers)]
    if len(bad):
        raise ValueError(
            f"{what} is not a finite number for patients {some(bad)} ({some(values[bad].unique(), 3)}); {hint}"
        )
    return numbers


def check_varies(numbers: pd.Series, label_key: str) -> None:
    """Raise a ValueError where there is nothing to predict."""
    if numbers.nunique() == 1:
        raise ValueError(
            f"label_key {label_key!r} is {numbers.iloc[0]:g} for every patient; there is nothing to predict"
        )


def codes_and_targets(targets: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """Codes, 0 where all columns are known and -1 elsewhere, and the columns as they are."""
    known = targets.notna().all(axis=1).to_numpy()
    return np.where(known, 0, -1).astype(np.int64), targets.to_numpy(dtype=np.float64)
