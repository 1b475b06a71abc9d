"""The methods of a comparison: each an object with ``fit``, whose result has ``predict`` and a record.

A further method is one more entry of :data:`METHODS`, or a subclass of :class:`Method`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np

from tcellmil._checks import some
from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.fitted._ensemble import FittedEnsemble
from tcellmil.fitted._predict import replica_probabilities
from tcellmil.fitted._stack import FittedStack
from tcellmil.nn._network import NetworkConfig
from tcellmil.training._config import TrainingConfig, options_without_effect
from tcellmil.training._fit import fit_stack
from tcellmil.training._selection._architecture import configurations, resolve
from tcellmil.training._selection._choice import fit_ensemble, is_default, why_no_choice

from ._baselines import BASELINES, Classifiers, boosting_library, fit_classifiers

#: Training of the peers, which have layers of their own to train: an ordinary AdamW from a small rate.
_PEER_TRAINING = {"lr": 1e-3, "eps": 1e-8}


@dataclass(frozen=True)
class Problem:
    """What all methods of a comparison are given.

    Parameters
    ----------
    bags
        The same patients by the name of the representation of their cells.
    replicas
        Splits and seeds.
    network, training
        Options for all methods of the engine; what defines a method takes precedence.
    composition
        ``(n_bags, n_types)``: share of each cell type; ``None``: not known.
    progress
        Show progress bars.
    encoders
        Encoders that a method fitted, for the next that needs the same.
    """

    bags: Mapping[str, Bags]
    replicas: Replicas
    network: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    composition: np.ndarray | None = None
    progress: bool = True
    encoders: dict[tuple, tuple[str, FittedStack]] = field(default_factory=dict)

    @property
    def patients(self) -> Bags:
        """The patients; whatever is not about cells is the same for every representation."""
        return next(iter(self.bags.values()))


class Fitted(ABC):
    """A method that was trained on every replica's training patients."""

    #: What it was run with, for the record.
    record: dict
    #: The method whose fitted encoders were used again, if any.
    encoders: str = ""

    @abstractmethod
    def predict(self) -> np.ndarray:
        """Class probabilities ``(n_replicas, n_bags, n_classes)``, NaN where a replica did not hold the bag out."""


class Method(ABC):
    """One row of a comparison."""

    #: How it is called.
    name: str
    #: What kind of method it is, for the record.
    kind: ClassVar[str]
    #: It reads cells, and runs on each representation; otherwise it runs once.
    on_cells: ClassVar[bool] = True

    @abstractmethod
    def fit(self, problem: Problem, rep: str) -> Fitted:
        """Train on every replica's training patients."""

    def missing(self, problem: Problem) -> str:
        """Why the method cannot be run, such as ``"needs cell_type_key, a column of obs"``; empty where it can."""
        return ""


@dataclass(frozen=True)
class StackMethod(Method):
    """Attention, or another architecture of the engine.

    Parameters
    ----------
    name
        How it is called.
    network, training
        What differs from the defaults of :class:`tcellmil.nn.NetworkConfig` and
        :class:`tcellmil.training.TrainingConfig`.
    """

    name: str
    network: dict = field(default_factory=dict)
    training: dict = field(default_factory=dict)
    kind: ClassVar[str] = "mil"

    def configs(self, bags: Bags, network: dict, training: dict) -> tuple[NetworkConfig, TrainingConfig]:
        """Network and training on some bags, resolved, given options for all methods."""
        config, plan = NetworkConfig(**{**network, **self.network}), TrainingConfig(**{**training, **self.training})
        return resolve(bags, config, plan)

    def fit(self, problem: Problem, rep: str) -> FittedNetworks:
        """As :meth:`Method.fit`; encoders that an earlier method fitted are used again."""
        bags = problem.bags[rep]
        config, plan = self.configs(bags, problem.network, problem.training)
        same = (rep, config.compression, config.n_hidden, config.n_latent, config.dropout)
        owner, fitted = problem.encoders.get(same, ("", None))
        stack, _ = fit_stack(bags, problem.replicas, config, plan, encoders_of=fitted, progress=problem.progress)
        problem.encoders.setdefault(same, (self.name, stack))
        record = {
            "network": {**self.network, "compression": config.compression},
            "training": {**self.training, "max_epochs": plan.max_epochs},
        }
        return FittedNetworks(stack, bags, record, owner)

    def missing(self, problem: Problem) -> str:
        """As :meth:`Method.missing`."""
        n_classes = problem.patients.n_outputs
        only_two = self.network.get("instance_weight", 0) > 0 and n_classes != 2
        return f"is for two classes, there are {n_classes}" if only_two else ""


@dataclass(frozen=True)
class ChosenMethod(StackMethod):
    """Several configurations, averaged or chosen within the training patients."""

    def missing(self, problem: Problem) -> str:
        """As :meth:`Method.missing`."""
        return why_no_choice(problem.patients, problem.replicas) or super().missing(problem)

    def fit(self, problem: Problem, rep: str) -> FittedNetworks:
        """As :meth:`Method.fit`."""
        bags = problem.bags[rep]
        network, training = {**problem.network, **self.network}, {**problem.training, **self.training}
        networks = configurations(bags, NetworkConfig(**network), tuple(network))
        _, plan = resolve(bags, None, TrainingConfig(**training))
        stack, *_ = fit_ensemble(bags, problem.replicas, networks, plan, progress=problem.progress)
        record = {
            "network": {**self.network, "configurations": [one.words for one in networks]},
            "training": {**self.training, "max_epochs": plan.max_epochs},
        }
        return FittedNetworks(stack, bags, record)


@dataclass(frozen=True)
class DefaultMethod(StackMethod):
    """What a fit is where nothing is asked for: several configurations in a small cohort, else one."""

    def fit(self, problem: Problem, rep: str) -> FittedNetworks:
        """As :meth:`Method.fit`."""
        several = is_default(problem.patients, problem.replicas, problem.network)
        return (ChosenMethod(self.name) if several else StackMethod(self.name)).fit(problem, rep)


@dataclass(frozen=True)
class FittedNetworks(Fitted):
    """Fitted stacks on their bags."""

    stack: FittedStack | FittedEnsemble
    bags: Bags
    record: dict
    encoders: str = ""

    def predict(self) -> np.ndarray:
        """As :meth:`Fitted.predict`."""
        return replica_probabilities(self.stack, self.bags)


class SimpleMethod(Method):
    """A classifier of scikit-learn on features of the patients, and on their covariates."""

    #: The classifier.
    classifier: str = "logistic_regression"
    #: Covariates are further features.
    reads_covariates: ClassVar[bool] = True

    @abstractmethod
    def features(self, problem: Problem, rep: str) -> np.ndarray:
        """Features of the patients, ``(n_bags, n_features)``."""

    def fit(self, problem: Problem, rep: str) -> FittedClassifiers:
        """As :meth:`Method.fit`."""
        x, patients = self.features(problem, rep), problem.patients
        covariates = patients.covariates if self.reads_covariates else None
        fitted = fit_classifiers(self.classifier, x, patients.labels, problem.replicas, covariates)
        record = {"library": boosting_library()} if self.classifier == "gradient_boosting" else {}
        return FittedClassifiers(fitted, x, covariates, problem.replicas, record)


@dataclass(frozen=True)
class FittedClassifiers(Fitted):
    """Classifiers on the features that they read."""

    classifiers: Classifiers
    features: np.ndarray
    covariates: np.ndarray | None
    replicas: Replicas
    record: dict

    def predict(self) -> np.ndarray:
        """As :meth:`Fitted.predict`."""
        return self.classifiers.predict(self.features, self.covariates, self.replicas.test)


@dataclass(frozen=True)
class Pseudobulk(SimpleMethod):
    """A classifier of the mean over a patient's cells."""

    name: str
    kind: ClassVar[str] = "pseudobulk"

    @property
    def classifier(self) -> str:
        """The classifier has the name of the method."""
        return self.name

    def features(self, problem: Problem, rep: str) -> np.ndarray:
        """Means over cells."""
        return problem.bags[rep].pseudobulk


class Composition(SimpleMethod):
    """Logistic regression on the shares of cell types."""

    name = kind = "composition"
    on_cells: ClassVar[bool] = False

    def features(self, problem: Problem, rep: str) -> np.ndarray:
        """Shares of cell types."""
        return problem.composition

    def missing(self, problem: Problem) -> str:
        """As :meth:`Method.missing`."""
        return "needs cell_type_key, a column of obs" if problem.composition is None else ""


class CovariatesAlone(SimpleMethod):
    """Logistic regression on what is known of the patient beside the cells: what cells have to add to."""

    name = kind = "covariates"
    on_cells: ClassVar[bool] = False

    def features(self, problem: Problem, rep: str) -> np.ndarray:
        """No feature but the covariates."""
        return np.zeros((problem.patients.n_bags, 0))

    def missing(self, problem: Problem) -> str:
        """As :meth:`Method.missing`."""
        needs = "needs continuous_covariate_keys or categorical_covariate_keys, columns of obs"
        return "" if problem.patients.n_covariates else needs


class Majority(SimpleMethod):
    """The class prior."""

    name = kind = classifier = "majority"
    on_cells: ClassVar[bool] = False
    reads_covariates: ClassVar[bool] = False

    def features(self, problem: Problem, rep: str) -> np.ndarray:
        """Nothing that could tell patients apart."""
        return np.zeros((problem.patients.n_bags, 1))


_MIL = (
    DefaultMethod("tcellmil"),
    StackMethod("mil_gated", {"attention": "gated"}),
    StackMethod("mil_mean", {"pooling": "mean"}),
    StackMethod("mil_max", {"pooling": "max"}),
    StackMethod("mil_linear", {"pooling": "mean", "compression": None}),
    StackMethod("scmild", {"attention": "gated", "n_embed": 48, "instance_weight": 1.0}, _PEER_TRAINING),
    StackMethod("pascient", {"attention": "mlp", "n_embed": 48}, _PEER_TRAINING),
)
_ENSEMBLE = ChosenMethod("ensemble")
_ABLATIONS = (
    StackMethod("autoencoder", {"compression": "autoencoder"}),
    StackMethod("no_autoencoder", {"compression": None}),
    StackMethod("pca_for_autoencoder", {"compression": "pca"}),
    StackMethod(
        "embedding_for_autoencoder",
        {"compression": None, "n_embed": 64, "attention": "gated"},
        {**_PEER_TRAINING, "n_cells_bag": 20},
    ),
    StackMethod("no_batch_encoding", {"batch_encoding": None}),
    StackMethod("film", {"batch_encoding": "film"}),
    StackMethod("latent_16", {"n_latent": 16}),
    StackMethod("latent_96", {"n_latent": 96}),
)
_SIMPLE = (*(Pseudobulk(name) for name in BASELINES if name != Majority.name), Majority())
_OF_TABLES = (Composition(), CovariatesAlone())

METHODS: dict[str, Method] = {method.name: method for method in (*_MIL, *_SIMPLE, *_OF_TABLES, *_ABLATIONS, _ENSEMBLE)}
GROUPS = {
    "all": [m.name for m in (*_MIL, *_SIMPLE, *_OF_TABLES)],
    "mil": [m.name for m in _MIL],
    "baselines": [m.name for m in (*_SIMPLE, *_OF_TABLES)],
    "ablations": ["tcellmil", _ENSEMBLE.name, *(m.name for m in _ABLATIONS)],
}


def methods_by_name(names: str | Sequence[str]) -> list[Method]:
    """Methods of a group or by their names, each once.

    Raises
    ------
    ValueError
        If a name is not known.
    """
    names = [names] if isinstance(names, str) else list(names)
    single = [name for part in names for name in GROUPS.get(part, [part])]
    unknown = [name for name in single if name not in METHODS]
    if unknown or not single:
        raise ValueError(
            f"methods {some(unknown)} are not known; choose from {', '.join(METHODS)}, or a group: {', '.join(GROUPS)}"
        )
    return [METHODS[name] for name in dict.fromkeys(single)]


def idle_options(methods: Sequence[StackMethod], bags: Bags, network: dict, training: dict) -> list[str]:
    """Names of the options that none of these methods reads; none where there are no methods."""
    given = [*network, *training]
    idle = set(given) if methods else set()
    for method in methods:
        config, plan = method.configs(bags, network, training)
        idle &= set(options_without_effect(given, config.compression, plan.early_stopping))
    return [name for name in given if name in idle]
