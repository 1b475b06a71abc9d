"""How sure a replica may be: temperature scaling, fitted on its own training patients."""

from __future__ import annotations

import numpy as np

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.fitted._predict import replica_probabilities
from tcellmil.nn._network import NetworkConfig
from tcellmil.stats._temperature import best_temperature
from tcellmil.training._config import TrainingConfig
from tcellmil.training._fit import fit_stack


def fit_temperatures(
    bags: Bags,
    replicas: Replicas,
    network: NetworkConfig,
    training: TrainingConfig,
    *,
    n_folds: int = 3,
    labels: np.ndarray | None = None,
    progress: bool = True,
) -> np.ndarray:
    r"""Temperature of each replica, from cross-validation within its training patients.

    Each replica's training patients are split into stratified folds; networks trained on all but one fold predict that
    fold, and the temperature T minimises the cross-entropy of :math:`\mathrm{softmax}(z / T)` over all of them, classes
    weighted alike (Guo et al., ICML 2017). Held-out patients of the replica take no part, but for their cells in the
    encoder where ``encoder="shared"``.

    Parameters
    ----------
    bags, network, training, progress
        As in :func:`fit_stack`.
    replicas
        The replicas to calibrate.
    n_folds
        Inner folds; fewer where a class has fewer training patients.
    labels
        ``(n_replicas, n_bags)``: class codes that each replica was trained on; those of ``bags`` by default.

    Returns
    -------
    ``(n_replicas,)``; above 1: the replica is too sure of itself.

    Raises
    ------
    ValueError
        If a replica has a class with fewer than two training patients.
    """
    labels = np.broadcast_to(bags.labels, replicas.train.shape) if labels is None else labels
    inner, owner = inner_replicas(replicas, labels, n_folds, bags.groups)
    stack, _ = fit_stack(bags, inner, network, training, labels=labels[owner], progress=progress)
    probabilities = replica_probabilities(stack, bags)
    temperatures = np.ones(len(replicas))
    for k in range(len(replicas)):
        own = np.flatnonzero(owner == k)
        inner_fold, bag = np.nonzero(inner.test[own] & (labels[k] >= 0))
        logits = np.log(np.clip(probabilities[own][inner_fold, bag], 1e-12, None))
        temperatures[k] = best_temperature(logits, labels[k, bag])
    return temperatures


def inner_replicas(
    replicas: Replicas, labels: np.ndarray, n_folds: int, groups: np.ndarray | None = None
) -> tuple[Replicas, np.ndarray]:
    """Stratified folds within the training patients of each replica, and which replica each belongs to.

    Samples of one group stay together. ``labels`` are ``(n_bags,)``, or ``(n_replicas, n_bags)``.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    n_bags = replicas.train.shape[1]
    groups = np.arange(n_bags) if groups is None else groups
    rows, owner = [], []
    for k, of_bag in enumerate(np.broadcast_to(labels, replicas.train.shape)):
        train, seed = np.flatnonzero(replicas.train[k]), int(replicas.seed[k])
        of_train = of_bag[train]
        smallest = min(len(np.unique(groups[train[of_train == c]])) for c in np.unique(of_train))
        if smallest < 2:
            raise ValueError(
                f"temperature scaling needs two training patients of every class, fold {str(replicas.fold[k])!r} has "
                f"{smallest}; use calibration=None"
            )
        splitter = StratifiedGroupKFold(min(n_folds, smallest), shuffle=True, random_state=seed)
        for j, (fit, held_out) in enumerate(splitter.split(train, of_train, groups[train])):
            sides = np.zeros((2, n_bags), dtype=bool)
            sides[0, train[fit]] = sides[1, train[held_out]] = True
            rows.append((seed, f"{replicas.fold[k]}/{j}", *sides))
            owner.append(k)
    seed, fold, train, test = zip(*rows, strict=True)
    return Replicas(np.array(seed), np.array(fold, dtype=str), np.array(train), np.array(test)), np.array(owner)
