"""Which configurations count in each replica, decided within its training patients."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np
import pandas as pd

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.fitted._ensemble import FittedEnsemble
from tcellmil.nn._network import SMALL_COHORT, NetworkConfig
from tcellmil.stats._model_choice import not_worse
from tcellmil.stats._temperature import best_temperature
from tcellmil.training._config import TrainingConfig
from tcellmil.training._fit import Inner, fit_stacks

from ._calibration import inner_replicas

#: Folds within the training patients, fewer where a class has fewer of them.
N_INNER = 3

#: Least spread of scores that is brought to 1: those of a network that has hardly learned anything stay small.
MIN_SPREAD = 0.05

#: Bounds of a temperature that few patients decide on.
COLDEST, HOTTEST = 0.5, 20.0


def fit_ensemble(
    bags: Bags,
    replicas: Replicas,
    networks: Sequence[NetworkConfig],
    training: TrainingConfig,
    *,
    single: bool = False,
    calibrated: bool = False,
    labels: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    progress: bool = True,
) -> tuple[FittedEnsemble, pd.DataFrame, np.ndarray | None]:
    """Train several configurations for every replica, and choose among them within its training patients.

    Each replica's training patients are split into stratified folds, on which every configuration is trained too and
    predicts the fold that it did not see. There its scores get a spread of 1, so that configurations of very different
    scores can be averaged; labels take no part in that. The first configuration leads: it always counts, and those
    whose loss on these predictions is not above its own (:func:`tcellmil.stats._model_choice.not_worse`) count as much
    as it does, the others not at all. Nothing of the patients that the replica holds out takes part.

    Weights and temperatures that are fitted to the labels more closely predict worse: they change from fold to fold
    with the patient that is missing, and against it.

    Parameters
    ----------
    bags, replicas, training, labels, targets, progress
        As in :func:`fit_stack`.
    networks
        The configurations, resolved, all of them different, the leading one first. Of one there is nothing to choose.
    single
        The configuration with the lowest loss gets all of the weight, in place of an average.
    calibrated
        Divide the averaged scores by a temperature that is fitted to the same predictions and their labels.

    Returns
    -------
    The ensemble; the history of its members; and the mean loss of each configuration on training patients that were
    held out, ``(n_configurations, n_replicas)``, or ``None`` of one configuration.

    Raises
    ------
    ValueError
        If a replica has a class with fewer than two training patients.

    Examples
    --------
    >>> from tcellmil.data import Bags
    >>> from tcellmil.outcomes import Classes
    >>> from tcellmil.training import configurations
    >>> rng, patients = np.random.default_rng(0), [f"P{i}" for i in range(8)]
    >>> labels, outcome = {name: i % 2 for i, name in enumerate(patients)}, Classes("response", ("NR", "R"))
    >>> x, cells = rng.random((80, 5)), np.arange(80).astype(str)
    >>> bags = Bags.from_cells(x, np.repeat(patients, 10), cells, labels=labels, outcome=outcome)
    >>> networks, training = configurations(bags, NetworkConfig()), TrainingConfig(max_epochs=2)
    >>> found, _, loss = fit_ensemble(bags, bags.replicas("loo"), networks, training, progress=False)
    >>> found.mixture.shape, loss.shape
    ((2, 8), (2, 8))
    """
    options = {"labels": labels, "targets": targets, "progress": progress}
    if len(networks) == 1:
        stacks, history, _ = fit_stacks(bags, replicas, networks, training, **options)
        return FittedEnsemble.of(stacks[0]), history, None
    of_replica = np.broadcast_to(bags.labels, replicas.train.shape) if labels is None else labels
    chooser = first_with_same_test(replicas, of_replica, targets)
    own = np.unique(chooser)
    splits, owner = inner_replicas(replicas[own], of_replica[own], N_INNER, bags.groups)
    inner = Inner(splits, own[owner])
    stacks, history, outputs = fit_stacks(bags, replicas, networks, training, inner=inner, **options)
    mixture, temperature, loss = (np.full((len(networks), len(replicas)), np.nan) for _ in range(3))
    for k in own:
        rows = inner.owner == k
        found = weigh(bags, splits.test[rows], of_replica[k], [values[rows] for values in outputs], single, calibrated)
        mixture[:, k], temperature[:, k], loss[:, k] = found
    mixture, temperature, loss = mixture[:, chooser], temperature[:, chooser], loss[:, chooser]
    members = [replace(stack, temperature=t) for stack, t in zip(stacks, temperature, strict=True)]
    return FittedEnsemble(tuple(members), mixture), history, loss


def why_no_choice(bags: Bags, replicas: Replicas) -> str:
    """Why nothing can be chosen within the training patients of every replica; empty where it can."""
    if not bags.outcome.has_classes:
        return f"is for classes, the outcome is {bags.outcome.kind!r}"
    groups = np.arange(bags.n_bags) if bags.groups is None else bags.groups
    for fold, train in zip(replicas.fold, replicas.train, strict=True):
        for code, name in enumerate(bags.outcome.outputs):
            if (n := len(np.unique(groups[train & (bags.labels == code)]))) < 2:
                return (
                    f"needs two training patients of every class to choose among configurations, fold {str(fold)!r} "
                    f"has {n} of {name!r}"
                )
    return ""


def is_default(bags: Bags, replicas: Replicas, given: Iterable[str]) -> bool:
    """Whether an ensemble is what a fit gets where nobody said: a small cohort of two classes, and no network named.

    Parameters
    ----------
    bags, replicas
        The cohort and its splits.
    given
        Names of the options of the network that the user chose.
    """
    small = bags.n_labelled_patients < SMALL_COHORT and bags.n_outputs == 2
    return small and not tuple(given) and not why_no_choice(bags, replicas)


def first_with_same_test(replicas: Replicas, labels: np.ndarray, targets: np.ndarray | None) -> np.ndarray:
    """For each replica the first that holds out the same patients and is trained on the same outcomes.

    Replicas of several seeds that leave one patient out make one choice: none of them may look at that patient, and all
    of them may look at the others.
    """
    first: dict[tuple[bytes, ...], int] = {}
    keys = [
        (test.tobytes(), labels[k].tobytes(), b"" if targets is None else targets[k].tobytes())
        for k, test in enumerate(replicas.test)
    ]
    return np.array([first.setdefault(key, k) for k, key in enumerate(keys)])


def weigh(
    bags: Bags,
    test: np.ndarray,
    labels: np.ndarray,
    outputs: Sequence[np.ndarray],
    single: bool = False,
    calibrated: bool = False,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Weight, temperature and loss of each configuration in one replica.

    Parameters
    ----------
    bags
        The data; their outcome has classes.
    test
        ``(n_inner, n_bags)`` bool: whom each inner fold holds out.
    labels
        ``(n_bags,)`` class codes.
    outputs
        For each configuration ``(n_inner, n_bags, n_classes)`` scores.
    single, calibrated
        As in :func:`fit_ensemble`.
    """
    fold, bag = np.nonzero(test & (labels >= 0))
    y = labels[bag]
    balance = len(y) / (np.bincount(y, minlength=bags.n_outputs) * len(np.unique(y)))[y]
    logits = [centred(values[fold, bag].astype(np.float64)) for values in outputs]
    spread = np.array([max(spread_of(values), MIN_SPREAD) for values in logits])
    logits = np.array([values / s for values, s in zip(logits, spread, strict=True)])
    losses = np.array([balance * cross_entropy(values, y) for values in logits])
    mean = losses.mean(axis=1)
    groups = None if bags.groups is None else bags.groups[bag]
    kept = np.arange(len(mean)) == mean.argmin() if single else not_worse(losses, groups)
    weights = kept / kept.sum()
    if calibrated:
        mixed = np.tensordot(weights, logits, axes=1)
        spread = spread * np.clip(best_temperature(mixed, y), COLDEST, HOTTEST)
    return weights, spread, mean


def centred(logits: np.ndarray) -> np.ndarray:
    """Scores ``(n, n_classes)`` less their mean over classes, which the softmax does not see."""
    return logits - logits.mean(axis=1, keepdims=True)


def spread_of(logits: np.ndarray) -> float:
    """Standard deviation over patients of the log-odds of two classes; of more, of a mean pair of them.

    ``logits`` are centred.
    """
    n_classes = logits.shape[1]
    return float(np.sqrt(2 * logits.var(axis=0).sum() / (n_classes - 1)))


def cross_entropy(logits: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Minus the log of the probability of the class that was observed, ``(n,)``."""
    from scipy.special import log_softmax

    return -log_softmax(logits, axis=1)[np.arange(len(labels)), labels]
