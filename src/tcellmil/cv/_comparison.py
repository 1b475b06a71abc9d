"""The methods of a comparison, each trained and judged on the same splits."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from tcellmil.nn._network import NetworkConfig

from ._bags import Bags
from ._baselines import boosting_library, fit_baseline
from ._config import TrainingConfig, options_without_effect
from ._fit import fit_stack, network_for
from ._fitted import FittedStack
from ._methods import Method
from ._out_of_fold import mean_over_replicas, replica_probabilities
from ._splits import Replicas


@dataclass(frozen=True)
class Run:
    """What one method predicted.

    Parameters
    ----------
    method, rep, kind
        Its name, the representation that it read, if any, and the kind of method (of :class:`Method`, or ``"own"``).
    probabilities
        ``(n_replicas, n_bags, n_classes)``, NaN where the replica did not hold the bag out.
    seconds
        Time of training and prediction.
    encoders
        The method whose fitted encoders were used again, if any.
    options
        What it was run with, as JSON.
    """

    method: str
    rep: str
    kind: str
    probabilities: np.ndarray
    seconds: float
    encoders: str = ""
    options: str = "{}"

    @cached_property
    def mean(self) -> np.ndarray:
        """Mean over the replicas that held each bag out, ``(n_bags, n_classes)``."""
        return mean_over_replicas(self.probabilities)


def run_engine(
    methods: Sequence[Method],
    rep: str,
    bags: Bags,
    replicas: Replicas,
    network: dict,
    training: dict,
    *,
    unit_interval: bool | Sequence[bool],
    progress: bool = True,
) -> list[Run]:
    """Run methods of the engine; those with the same encoders share them.

    Parameters
    ----------
    methods
        Of the kind ``"mil"``.
    rep
        How the representation is called.
    bags, replicas, unit_interval, progress
        As in :func:`fit_stack`.
    network, training
        Options for all methods; what defines a method takes precedence.
    """
    fitted: dict[tuple, tuple[str, FittedStack]] = {}
    runs = []
    for method in methods:
        config, plan = _configs(method, bags, network, training)
        kind = (config.compression, config.n_hidden, config.n_latent, config.dropout)
        from_method, stack = fitted.get(kind, ("", None))
        start = time.perf_counter()
        options = {"unit_interval": unit_interval, "encoders_of": stack, "progress": progress}
        stack, _ = fit_stack(bags, replicas, config, plan, **options)
        probabilities = replica_probabilities(stack, bags)
        seconds = time.perf_counter() - start
        fitted.setdefault(kind, (method.name, stack))
        record = {
            "network": {**method.network, "compression": config.compression},
            "training": {**method.training, "max_epochs": plan.max_epochs},
        }
        runs.append(Run(method.name, rep, method.kind, probabilities, seconds, from_method, json.dumps(record)))
    return runs


def run_simple(method: Method, rep: str, features: np.ndarray, bags: Bags, replicas: Replicas) -> Run:
    """Run a simple classifier on features of the patients, ``(n_bags, n_features)``, and their covariates."""
    start = time.perf_counter()
    name = "logistic_regression" if method.kind in ("composition", "covariates") else method.name
    covariates = None if method.kind == "majority" else bags.covariates
    probabilities = fit_baseline(name, features, bags.labels, replicas, covariates)
    record = {"library": boosting_library()} if name == "gradient_boosting" else {}
    seconds = time.perf_counter() - start
    return Run(method.name, rep, method.kind, probabilities, seconds, options=json.dumps(record))


def idle_options(methods: Sequence[Method], bags: Bags, network: dict, training: dict) -> list[str]:
    """Names of the options that none of these methods of the engine reads; none where there are no methods."""
    asked = [*network, *training]
    idle = set(asked) if methods else set()
    for method in methods:
        config, plan = _configs(method, bags, network, training)
        idle &= set(options_without_effect(asked, config.compression, plan.early_stopping))
    return [name for name in asked if name in idle]


def _configs(method: Method, bags: Bags, network: dict, training: dict) -> tuple[NetworkConfig, TrainingConfig]:
    config = NetworkConfig(**{**network, **method.network})
    plan = TrainingConfig(**{**training, **method.training})
    return network_for(bags, config), plan.for_patients(bags.n_labelled_patients)
