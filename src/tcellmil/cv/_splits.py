"""Which patients each replica trains on, and which it is judged by."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np

from tcellmil._checks import some

from ._outcomes import balancing_weights

SCHEMES = ("loo", "rebalanced_loo", "leave_pair_out", "cohort")

Fold = tuple[str, np.ndarray, np.ndarray]  # name, indices to train on, indices held out


@dataclass(frozen=True)
class Replicas:
    """One row a replica: a fold trained from a seed.

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

    @classmethod
    def join(cls, parts: Sequence[Replicas]) -> Replicas:
        """Replicas of several splits of the same patients, one after another."""
        columns = [[getattr(part, f.name) for part in parts] for f in fields(cls)]
        return cls(*(None if column[0] is None else np.concatenate(column) for column in columns))


def make_replicas(
    cv: str | int | None | object | Iterable[tuple[Sequence[str], Sequence[str]]],
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

    Plain leave-one-out is biased in a small cohort: the training set always lacks one patient of the held-out class,
    so a model that learns only the class prior ranks every patient wrongly. ``"rebalanced_loo"`` also drops one
    random training patient of every other class, so that the prior is the same in all folds. Where the outcome is a
    number, the mean that is learned moves away from the held-out patient in the same way; there, training patients are
    weighted so that it stays (:func:`balancing_weights`). A time to event has no such mean, and none are dropped or
    weighted. ``"leave_pair_out"`` holds out one patient of each class at a time (Airola et al., Comput. Stat. Data
    Anal. 2011).

    Parameters
    ----------
    cv
        ``"loo"``, ``"rebalanced_loo"``, ``"leave_pair_out"`` (two classes), ``"cohort"`` (leave one cohort out), a
        number of stratified folds, a scikit-learn splitter, an iterable of ``(train names, test names)``, or
        ``None``: train on every labelled patient and hold out none.
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
        ``(n_bags,)``: how far each outcome is from the mean (:func:`null_residuals`), where it is a number; ``labels``
        are then all 0, or -1 without an outcome.
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
    if isinstance(n_seeds, bool) or int(n_seeds) != n_seeds or n_seeds < 1:
        raise ValueError(f"n_seeds={n_seeds!r} must be a whole number of at least 1")
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    names = np.arange(len(labels)).astype(str) if names is None else np.asarray(names, dtype=str)
    strata = labels if strata is None else np.asarray(strata)
    labelled = np.flatnonzero(labels >= 0)
    if isinstance(cv, Iterable) and not isinstance(cv, str):
        cv = list(cv)  # an iterator must serve every seed
    rows = []
    for replica_seed in range(seed, seed + n_seeds):
        for name, train, test in _folds(cv, labels, labelled, names, cohorts, groups, strata, replica_seed):
            row = np.zeros((2, len(labels)), dtype=bool)
            row[0, train] = True
            row[1, test] = True
            row[1, (labels < 0) & ~np.isin(groups, groups[row[0]])] = True
            _check_fold(name, row[0], row[1], labels, names)
            _check_groups(name, row[0], row[1] & (labels >= 0), groups, names)
            rows.append((replica_seed, name, row))
    sides = np.stack([row for _, _, row in rows])
    never = np.setdiff1d(labels[labelled], labels[sides[:, 1].any(axis=0)])
    if cv is not None and len(never):
        raise ValueError(
            f"the splits hold out no patient of {len(never)} of the classes, such as "
            f"{some(names[labels == never[0]], 3)}; without them nothing can be measured"
        )
    weighted = residuals is not None and isinstance(cv, str) and cv == "rebalanced_loo"
    return Replicas(
        weights=np.stack([_weights(residuals, train) for train in sides[:, 0]]) if weighted else None,
        seed=np.array([s for s, _, _ in rows]),
        fold=np.array([name for _, name, _ in rows], dtype=str),
        train=sides[:, 0],
        test=sides[:, 1],
    )


def _weights(residuals: np.ndarray, train: np.ndarray) -> np.ndarray:
    weights = np.zeros(len(train))
    weights[train] = balancing_weights(residuals[train])
    return weights


def _folds(cv, labels, labelled, names, cohorts, groups, strata, seed) -> Iterator[Fold]:
    rng = np.random.default_rng([seed, 1])
    if cv is None:
        yield "all", labelled, labelled[:0]
    elif isinstance(cv, str):
        if cv == "loo":
            for name, own in _one_by_one(labelled, names, groups):
                yield name, np.setdiff1d(labelled, own), own
        elif cv == "rebalanced_loo":
            yield from _rebalanced_leave_one_out(labels, labelled, names, groups, rng)
        elif cv == "leave_pair_out":
            yield from _leave_pair_out(labels, labelled, names, groups)
        elif cv == "cohort":
            yield from _leave_cohort_out(labelled, names, cohorts, groups)
        else:
            raise ValueError(f"cv={cv!r} is not known; choose from {SCHEMES}, a number of folds, or your own splits")
    elif isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        yield from _stratified(int(cv), strata, labelled, groups, seed)
    elif hasattr(cv, "split"):
        several = len(np.unique(groups)) < len(groups)
        own = groups[labelled] if several else None
        for i, (train, test) in enumerate(cv.split(labelled[:, None], strata[labelled], own)):
            yield f"fold {i}", labelled[train], labelled[test]
    elif isinstance(cv, list):
        yield from _named(cv, labels, names)
    else:
        raise TypeError(f"cv must be a string, a number, a splitter or pairs of patient names, got {type(cv).__name__}")


def _one_by_one(labelled, names, groups) -> Iterator[tuple[str, np.ndarray]]:
    """Bags that are held out together, and the name of the first of them."""
    for group in dict.fromkeys(groups[labelled]):
        own = labelled[groups[labelled] == group]
        yield names[own[0]], own


def _rebalanced_leave_one_out(labels, labelled, names, groups, rng) -> Iterator[Fold]:
    classes = np.unique(labels[labelled])
    for name, own in _one_by_one(labelled, names, groups):
        left_out = {c: int((labels[own] == c).sum()) for c in classes}
        most = max(left_out.values())
        rest = np.setdiff1d(labelled, own)
        dropped = [_choose(rest[labels[rest] == c], most - n, rng) for c, n in left_out.items() if n < most]
        yield name, np.setdiff1d(rest, np.concatenate([[-1], *dropped])), own


def _choose(bags, n, rng) -> np.ndarray:
    """``n`` of the bags, or all that there are."""
    return np.array([rng.choice(bags)]) if n == 1 and len(bags) else rng.choice(bags, min(n, len(bags)), replace=False)


def _leave_pair_out(labels, labelled, names, groups) -> Iterator[Fold]:
    classes = np.unique(labels[labelled])
    if len(classes) != 2:
        what = f"there are {len(classes)}" if len(classes) > 1 else "the outcome is none"
        raise ValueError(f"cv='leave_pair_out' needs two classes, {what}; use cv='rebalanced_loo'")
    for i in labelled[labels[labelled] == classes[1]]:
        for j in labelled[labels[labelled] == classes[0]]:
            together = np.isin(groups[labelled], groups[[i, j]])
            yield f"{names[i]}|{names[j]}", labelled[~together], np.array([i, j])


def _leave_cohort_out(labelled, names, cohorts, groups) -> Iterator[Fold]:
    if cohorts is None or (cohorts[labelled] < 0).any():
        raise ValueError("cv='cohort' needs the cohort of every patient; pass batch_key")
    present, n_patients = np.unique(cohorts[labelled], return_counts=True)
    alone = labelled[np.isin(cohorts[labelled], present[n_patients == 1])]
    if len(alone):
        raise ValueError(
            f"cv='cohort' would hold out a cohort of one patient, {some(names[alone])}; "
            "merge it with another cohort or use cv='rebalanced_loo'"
        )
    for cohort in present:
        held_out = cohorts[labelled] == cohort
        elsewhere = ~np.isin(groups[labelled], groups[labelled[held_out]])
        yield f"cohort {cohort}", labelled[elsewhere], labelled[held_out]


def _stratified(n_folds, strata, labelled, groups, seed) -> Iterator[Fold]:
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    alone = len(np.unique(groups[labelled])) == len(labelled)
    smallest = min(len(np.unique(groups[strata == c])) for c in np.unique(strata[labelled]))
    if not 2 <= n_folds <= smallest:
        several = len(np.unique(strata[labelled])) > 1
        limit = f"size of the smallest class, {smallest} patients" if several else f"number of patients, {smallest}"
        raise ValueError(f"cv={n_folds} folds must be between 2 and the {limit}")
    splitter = (StratifiedKFold if alone else StratifiedGroupKFold)(n_folds, shuffle=True, random_state=seed)
    own = None if alone else groups[labelled]
    for i, (train, test) in enumerate(splitter.split(labelled, strata[labelled], own)):
        yield f"fold {i}", labelled[train], labelled[test]


def _named(splits, labels, names) -> Iterator[Fold]:
    position = {name: i for i, name in enumerate(names)}
    for i, split in enumerate(splits):
        if len(split) != 2:
            raise ValueError(f"split {i} must be a pair (train patients, test patients), got {len(split)} parts")
        sides = []
        for side in split:
            unknown = [str(name) for name in side if str(name) not in position]
            if unknown:
                raise ValueError(f"split {i} names patients that are not there: {some(unknown)}")
            sides.append(np.array([position[str(name)] for name in side], dtype=int))
        unlabelled = names[sides[0][labels[sides[0]] < 0]]
        if len(unlabelled):
            raise ValueError(f"split {i} trains on patients without a label: {some(unlabelled)}")
        yield f"fold {i}", *sides


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
