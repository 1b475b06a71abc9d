"""Classes without an order, by cross-entropy with balanced class weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, some

from ._base import Outcome

if TYPE_CHECKING:
    from torch import Tensor

#: Least number of patients of each class: with two, a fold would train on one.
MIN_PATIENTS = 3


def _way_out(n_classes: int) -> str:
    """What can be done where a class is too small."""
    if n_classes > 2:
        return "leave the patients of that class out, or merge it with another"
    return "or train on other patients and predict these with tl.predict; two classes cannot be merged"


@dataclass(frozen=True)
class Classes(Outcome):
    """Two classes or more; the last of the names is the positive one.

    Parameters
    ----------
    label_key
        Column of ``obs`` with the class.
    names
        The classes.

    Examples
    --------
    >>> outcome = Classes("response", ("NR", "R"))
    >>> outcome.quantity("R"), outcome.favoured("R")
    ('probability of R', ('R', 'NR'))
    """

    names: tuple[str, ...]

    kind: ClassVar[str] = "classes"
    takes: ClassVar[tuple[str, ...]] = ("positive_class",)
    has_classes: ClassVar[bool] = True
    main_metric: ClassVar[tuple[str, str]] = ("auroc", "AUROC")
    explained: ClassVar[tuple[str, ...]] = ("probability", "logit")
    effect: ClassVar[str] = "prob"
    loss_name: ClassVar[str] = "cross_entropy"
    loss_words: ClassVar[tuple[str, str]] = ("Classifier", "Cross-entropy")
    picture: ClassVar[str] = "classes"
    prediction_word: ClassVar[str] = "probability"
    shap_word: ClassVar[str] = "SHAP difference"

    @classmethod
    def learn(cls, table: pd.DataFrame, keys: Mapping[str, object]) -> Classes:
        """As :meth:`Outcome.learn`."""
        label_key, positive = str(keys["label_key"]), keys.get("positive_class")
        names = sorted(cls.checked_counts(table["label"], label_key).index)
        if positive is not None:
            check_choice(positive, names, "positive_class")
        return cls(label_key, _last(names, positive))

    @classmethod
    def from_params(cls, params: Mapping) -> Classes:
        """As :meth:`Outcome.from_params`."""
        return cls(str(params["label_key"]), tuple(str(name) for name in params["classes"]))

    def check_learned(self, keys: Mapping[str, object]) -> None:
        """As :meth:`Outcome.check_learned`; classes are in alphabetical order, but for the positive one."""
        super().check_learned(keys)
        if len(set(self.names)) < max(2, len(self.names)):
            raise ValueError(f"classes {some(self.names)} must be two or more different names")
        self._check_order(keys)

    def _check_order(self, keys: Mapping[str, object]) -> None:
        positive = keys["positive_class"]
        if self.names != (in_order := _last(sorted(self.names), positive)) or positive not in (None, in_order[-1]):
            raise ValueError(f"classes {some(self.names)} are not in the order of positive_class={positive!r}")

    @staticmethod
    def checked_counts(labels: pd.Series, label_key: str) -> pd.Series:
        """Patients of each class, or a ValueError where classes or patients are too few."""
        counts = labels.dropna().value_counts()
        if len(counts) < 2:
            raise ValueError(
                f"label_key {label_key!r} has one class only, {some(counts.index)}; a prediction needs at least two"
            )
        if "sd" in counts.index:
            raise ValueError(
                f"label_key {label_key!r} has a class 'sd', whose probabilities would be in the column 'prob_sd' of "
                "their standard deviation; rename the class"
            )
        if counts.min() < MIN_PATIENTS:
            small = counts.index[counts < MIN_PATIENTS]
            raise ValueError(
                f"label_key {label_key!r} has fewer than {MIN_PATIENTS} patients of class {some(small)} "
                f"({', '.join(f'{c}: {n}' for c, n in counts.items())}); each class needs at least {MIN_PATIENTS}: add "
                f"patients, {_way_out(len(counts))}"
            )
        return counts

    def encode(self, table: pd.DataFrame) -> tuple[np.ndarray, None]:
        """As :meth:`Outcome.encode`; a class that is not known is -1."""
        code = {name: i for i, name in enumerate(self.names)}
        return np.array([code.get(label, -1) for label in table["label"]], dtype=np.int64), None

    def strata(self, codes, targets, groups, n_folds: int = 0) -> np.ndarray:
        """The classes."""
        return codes

    @property
    def outputs(self) -> tuple[str, ...]:
        """The classes."""
        return self.names

    @property
    def n_scores(self) -> int:
        """One score per class."""
        return len(self.names)

    def predict(self, outputs: Tensor) -> Tensor:
        """Probabilities."""
        return outputs.softmax(dim=-1)

    def loss(self, outputs: Tensor, codes: Tensor, targets: None, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Weighted cross-entropy."""
        from tcellmil.nn._losses import bag_cross_entropy

        return bag_cross_entropy(outputs, codes, weights), weights.sum(dim=-1)

    def targets_for(self, targets: None, n_replicas: int) -> None:
        """Classes have no targets."""
        return None

    def columns(self, codes, targets, predicted, sd, seen) -> dict[str, np.ndarray]:
        """As :meth:`Outcome.columns`: label, predicted class, probabilities and their spread."""
        names = np.array(self.names)
        best = np.where(seen, np.nan_to_num(predicted).argmax(axis=1), 0)
        return {
            "label": np.where(codes >= 0, names[codes], "").astype(object),
            "predicted": np.where(seen, names[best], "").astype(object),
            **{f"prob_{name}": predicted[:, i] for i, name in enumerate(names)},
            "prob_sd": sd,
        }

    def stored_columns(self) -> dict[str, str]:
        """Probabilities by the number of the class: its name may hold what a key of a file must not."""
        return {f"prob_{name}": f"prob_{i}" for i, name in enumerate(self.names)}

    @staticmethod
    def predicted_values(values: pd.Series) -> pd.Series:
        """The predicted class; empty without a prediction."""
        return values.astype(object).fillna("")

    @property
    def groups(self) -> tuple[str, ...]:
        """The classes."""
        return self.names

    def group_of_patient(self, predictions: pd.DataFrame) -> pd.Series:
        """The class of each patient; empty without a label."""
        return predictions["label"].astype(object).fillna("")

    def plotted_columns(self) -> tuple[str, ...]:
        """A patient without a label has a place."""
        return tuple(f"prob_{name}" for name in self.names)

    def measure(self, codes, targets, predicted, pair_order=None) -> dict[str, float]:
        """As :func:`tcellmil.stats.classification_metrics`."""
        from tcellmil.stats._evaluation._classes import METRICS, checked_predictions, weighted_metrics

        y, p = checked_predictions(codes, predicted)
        values = weighted_metrics(y, p, np.ones((1, len(y))), pair_order)[0]
        return dict(zip(METRICS, values.tolist(), strict=True))

    def measure_with_intervals(self, codes, targets, predicted, pair_order=None, **options) -> pd.DataFrame:
        """As :func:`tcellmil.stats.bootstrap_metrics`."""
        from tcellmil.stats import bootstrap_metrics

        return bootstrap_metrics(codes, predicted, pair_order=pair_order, **options)

    def measure_new(self, codes, targets, predicted, **options) -> tuple[pd.DataFrame | None, str]:
        """As :meth:`Outcome.measure_new`; without patients of some class, the metrics that need no other classes."""
        absent = [name for code, name in enumerate(self.names) if code not in codes]
        if not absent:
            return super().measure_new(codes, targets, predicted, **options)
        table = self.measure_with_intervals(codes, targets, predicted, **options, absent="nan")
        undefined = table["metric"][table["value"].isna()]
        return table, f"none of them is of class {some(absent)}, without which {', '.join(undefined)} are not defined"

    def quantity(self, target: str) -> str:
        """A probability."""
        return f"probability of {target}"

    def favoured(self, target: str) -> tuple[str, str]:
        """The class, and the other one or all others."""
        others: Sequence[str] = [name for name in self.names if name != target]
        return target, others[0] if len(others) == 1 else f"not {target}"


def _last(names: Sequence[str], positive: object) -> tuple[str, ...]:
    """The names with the positive one, if there is one, at the end."""
    return (*(name for name in names if name != positive), *(name for name in names if name == positive))
