"""Folds times seeds: the patients that each replica trains on, and those that it holds out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields

import numpy as np

from tcellmil._checks import check_count, some

from ._balancing import balancing_weights
from ._splitters import NoSplit, Patients, Scheme, Splitter, splitter_for


@dataclass(frozen=True)
class Replicas:
    """One row per replica: a fold trained from a seed.

    Parameters
    ----------
    seed
        ``(n_replicas,)`` int.
    fold
        ``(n_replicas,)`` str.
    train, test
        ``(n_replicas, n_bags)`` bool, never both True.
    weights
        ``(n_replicas, n_bags)``: how much each patient counts in training; ``None``: all alike (but for what balances
        classes).
    """

    seed: np.ndarray
    fold: np.ndarray
    train: np.ndarray
    test: np.ndarray
    weights: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.seed)

    def __getitem__(self, index) -> Replicas:
        """The replicas of a slice, mask or list of indices."""
        weights = None if self.weights is None else self.weights[index]
        return Replicas(self.seed[index], self.fold[index], self.train[index], self.test[index], weights)

    def of_patients(self, index: np.ndarray) -> Replicas:
        """The same replicas, of which only some patients are looked at."""
        weights = None if self.weights is None else self.weights[:, index]
        return Replicas(self.seed, self.fold, self.train[:, index], self.test[:, index], weights)

    @classmethod
    def join(cls, parts: Sequence[Replicas]) -> Replicas:
        """Replicas of several splits of the same patients, one after another."""
        columns = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
        return cls(*(None if column[0] is None else np.concatenate(column) for column in columns))


def make_replicas(
    cv: Scheme | int | None | Splitter | object | Iterable[tuple[Sequence[str], Sequence[str]]],
    labels: np.ndarray,
    *,
    names: np.ndarray | None = None,
    cohorts: np.ndarray | None = None,
    groups: np.ndarray | None = None,
    residuals: np.ndarray | None = None,
    strata: np.ndarray | None = None,
    n_seeds: int = 1,
    seed: int = 0,
) -> Replicas:
    """Split patients into folds, once for every seed.

    Parameters
    ----------
    cv
        ``"loo"`` (:class:`LeaveOneOut`), ``"rebalanced_loo"`` (:class:`RebalancedLeaveOneOut`), ``"leave_pair_out"``
        (:class:`LeavePairOut`), ``"cohort"`` (:class:`LeaveCohortOut`), a number (:class:`StratifiedFolds`), one of
        these objects, a scikit-learn splitter, an iterable of ``(train names, test names)``, or ``None``: train on
        every labelled patient and hold out none.
    labels
        ``(n_bags,)`` class codes. A patient with label -1 is never trained on and is in the test set of every replica
        (that trains on no other sample of its group).
    names
        ``(n_bags,)`` patient names; needed for splits by name and used in messages.
    cohorts
        ``(n_bags,)`` cohort codes; needed by ``"cohort"``.
    groups
        ``(n_bags,)`` codes of what must stay together, such as the patient of several samples. Leave-one-out then
        leaves one group out, numbers are folds of groups, and in all schemes a replica trains on no bag of a group that
        it holds out. Each bag by itself by default.
    residuals
        ``(n_bags,)``: how far each outcome is from the mean, where it is a number; ``labels`` are then all 0, or -1
        without an outcome. ``"rebalanced_loo"`` weights training patients by them (:func:`balancing_weights`).
    strata
        ``(n_bags,)`` codes whose shares a number of folds keeps alike; ``labels`` by default.
    n_seeds, seed
        Seeds are ``seed, seed + 1, ...``; each draws its own folds where folds are random.

    Raises
    ------
    ValueError
        If the scheme is not known, or if a fold would train on fewer than two classes or share patients between its
        sides.

    Examples
    --------
    >>> replicas = make_replicas("rebalanced_loo", np.array([0, 0, 0, 1, 1, 1]), n_seeds=2)
    >>> len(replicas), replicas.train.sum(axis=1)[:3].tolist()
    (12, [4, 4, 4])
    """
    n_seeds = check_count(n_seeds, "n_seeds")
    labels = np.asarray(labels)
    patients = Patients(
        labels=labels,
        names=np.arange(len(labels)).astype(str) if names is None else np.asarray(names, dtype=str),
        groups=np.arange(len(labels)) if groups is None else np.asarray(groups),
        strata=labels if strata is None else np.asarray(strata),
        cohorts=cohorts,
    )
    splitter = splitter_for(cv)
    rows = [
        (replica_seed, name, _sides(patients, name, train, test))
        for replica_seed in range(seed, seed + n_seeds)
        for name, train, test in splitter.split(patients, replica_seed)
    ]
    sides = np.stack([row for _, _, row in rows])
    never = np.setdiff1d(labels[patients.labelled], labels[sides[:, 1].any(axis=0)])
    if len(never) and not isinstance(splitter, NoSplit):
        raise ValueError(
            f"the splits hold out no patient of {len(never)} of the classes, such as "
            f"{some(patients.names[labels == never[0]], 3)}; without them nothing can be measured"
        )
    weighted = residuals is not None and splitter.balances_numbers
    return Replicas(
        weights=np.stack([_weights(residuals, train) for train in sides[:, 0]]) if weighted else None,
        seed=np.array([s for s, _, _ in rows]),
        fold=np.array([name for _, name, _ in rows], dtype=str),
        train=sides[:, 0],
        test=sides[:, 1],
    )


def _sides(patients: Patients, fold: str, train: np.ndarray, test: np.ndarray) -> np.ndarray:
    """Masks of the patients to train on and of those held out, checked; unlabelled patients are held out."""
    labels, groups = patients.labels, patients.groups
    sides = np.zeros((2, len(labels)), dtype=bool)
    sides[0, train] = True
    sides[1, test] = True
    sides[1, (labels < 0) & ~np.isin(groups, groups[sides[0]])] = True
    _check_fold(fold, sides[0], sides[1], labels, patients.names)
    _check_groups(fold, sides[0], sides[1] & (labels >= 0), groups, patients.names)
    return sides


def _weights(residuals: np.ndarray, train: np.ndarray) -> np.ndarray:
    weights = np.zeros(len(train))
    weights[train] = balancing_weights(residuals[train])
    return weights


def _check_fold(name, train, test, labels, names) -> None:
    both = names[train & test]
    if len(both):
        raise ValueError(f"fold {name!r} both trains on and holds out {some(both)}")
    missing = np.setdiff1d(labels[labels >= 0], labels[train])
    if not train.any():
        raise ValueError(f"fold {name!r} would train on no patient; use another cv")
    if len(missing):
        raise ValueError(
            f"fold {name!r} would train without any patient of {len(missing)} of the classes, such as "
            f"{some(names[labels == missing[0]], 3)}; use another cv"
        )


def _check_groups(name, train, test, groups, names) -> None:
    both = np.isin(groups, groups[train]) & test
    if both.any():
        raise ValueError(
            f"fold {name!r} holds out {some(names[both])} and trains on other samples of the same group; "
            "keep the samples of a group on one side"
        )
