"""Ways to split patients, each an object with a ``split`` method in the manner of scikit-learn."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np

from tcellmil._checks import some

from ._balancing import drop_samples
from ._stored import StoredSplits

Fold = tuple[str, np.ndarray, np.ndarray]  # name, indices to train on, indices held out


@dataclass(frozen=True)
class Patients:
    """What a splitter knows of the patients; all arrays are ``(n_patients,)``.

    Parameters
    ----------
    labels
        Class codes, -1 for a patient without an outcome, who is neither trained on nor held out by a splitter.
    names
        Names, for messages and for splits by name.
    groups
        Codes of samples that stay together.
    strata
        Codes whose shares random folds keep alike.
    cohorts
        Cohort codes; ``None``: there are no cohorts.
    """

    labels: np.ndarray
    names: np.ndarray
    groups: np.ndarray
    strata: np.ndarray
    cohorts: np.ndarray | None = None

    @property
    def labelled(self) -> np.ndarray:
        """Indices of the patients with an outcome."""
        return np.flatnonzero(self.labels >= 0)

    @property
    def several_samples(self) -> bool:
        """Some labelled samples share a group."""
        groups = self.groups[self.labelled]
        return len(np.unique(groups)) < len(groups)

    def groups_in_turn(self) -> Iterator[tuple[str, np.ndarray]]:
        """Samples that are held out together, and the name of the first of them."""
        labelled = self.labelled
        for group in dict.fromkeys(self.groups[labelled]):
            own = labelled[self.groups[labelled] == group]
            yield self.names[own[0]], own


class Splitter(ABC):
    """A way to split patients into folds."""

    #: As users call it, and as results record it.
    name: ClassVar[str]
    #: Weights of training patients balance numbers, where the outcome has :meth:`Outcome.null_residuals`.
    balances_numbers: ClassVar[bool] = False
    #: Each fold holds out one patient of each of two classes, whose order is what counts.
    in_pairs: ClassVar[bool] = False
    #: Number of random folds; 0 where folds are not random.
    n_folds: int = 0

    @abstractmethod
    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """Yield the name of each fold, indices of the patients to train on, and indices of those held out."""

    def check_stored(self, splits: StoredSplits) -> None:
        """Raise a ValueError where splits out of a file are not such that :meth:`split` could have made them."""
        if not splits.replicas.test.any():
            raise ValueError(f"cv={self.name!r} holds out nobody")


class NoSplit(Splitter):
    """Train on every labelled patient and hold out none."""

    name = "none"

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        yield "all", patients.labelled, patients.labelled[:0]

    def check_stored(self, splits: StoredSplits) -> None:
        """As :meth:`Splitter.check_stored`."""
        splits.check_folds(["all"])
        splits.check_all_train()
        if splits.held_out.any():
            raise ValueError(f"cv='none' holds out {some(splits.names[splits.held_out.any(axis=0)], 3)}")


class LeaveOneOut(Splitter):
    """Hold out one patient at a time, with all of the patient's samples."""

    name = "loo"

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        for name, own in patients.groups_in_turn():
            yield name, np.setdiff1d(patients.labelled, own), own

    def check_stored(self, splits: StoredSplits) -> None:
        """As :meth:`Splitter.check_stored`."""
        _check_one_out(splits)
        splits.check_all_train()


class RebalancedLeaveOneOut(Splitter):
    """Leave-one-out that also drops one random training patient of every other class.

    The training set of plain leave-one-out always lacks one patient of the held-out class, so that a model that learns
    only the class prior ranks every patient wrongly. Here the prior is the same in all folds. Where the outcome is a
    number, weights of the training patients have the same effect (:func:`balancing_weights`).

    Where samples come in groups, each fold trains on as many samples of every class as if the largest group of one
    class were held out: otherwise the prior would go with the size of the group. A group with a sample of each class,
    as in a paired design, leaves the prior as it is, and nothing is dropped where all groups are such. Else groups of
    one class are dropped rather than one sample of a pair (:func:`drop_samples`).
    """

    name = "rebalanced_loo"
    balances_numbers = True

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        labels, rng = patients.labels, np.random.default_rng([seed, 1])
        classes, n_samples = np.unique(labels[patients.labelled], return_counts=True)
        folds = [(name, own, (labels[own] == classes[:, None]).sum(axis=1)) for name, own in patients.groups_in_turn()]
        most = max(left_out.max() for _, _, left_out in folds)
        if n_samples.min() <= most:
            raise ValueError(
                f"cv='rebalanced_loo': the largest group has {most} samples of one class, and one class has "
                f"{n_samples.min()} samples in all, so that no fold could train on equal shares; use cv='loo' or folds"
            )
        for name, own, left_out in folds:
            rest = np.setdiff1d(patients.labelled, own)
            dropped = drop_samples(rest, labels, patients.groups, dict(zip(classes, most - left_out, strict=True)), rng)
            yield name, np.setdiff1d(rest, dropped), own

    def check_stored(self, splits: StoredSplits) -> None:
        """As :meth:`Splitter.check_stored`."""
        _check_one_out(splits)


class LeavePairOut(Splitter):
    """Hold out one patient of each of two classes at a time.

    References
    ----------
    Airola et al. (2011), Computational Statistics and Data Analysis 55, 1828.
    """

    name = "leave_pair_out"
    in_pairs = True

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        labels, labelled, groups = patients.labels, patients.labelled, patients.groups
        classes = np.unique(labels[labelled])
        if len(classes) != 2:
            what = f"there are {len(classes)}" if len(classes) > 1 else "the outcome has none"
            raise ValueError(f"cv='leave_pair_out' needs two classes, {what}; use cv='rebalanced_loo'")
        for i in labelled[labels[labelled] == classes[1]]:
            for j in labelled[labels[labelled] == classes[0]]:
                together = np.isin(groups[labelled], groups[[i, j]])
                yield f"{patients.names[i]}|{patients.names[j]}", labelled[~together], np.array([i, j])

    def check_stored(self, splits: StoredSplits) -> None:
        """As :meth:`Splitter.check_stored`."""
        splits.check_all_train()
        position = {str(name): i for i, name in enumerate(splits.names)}
        for k, fold in enumerate(splits.replicas.fold):
            found = [splits.names[i] for i in splits.out(k)]
            pairs = [(str(one), str(fold).removeprefix(f"{one}|")) for one in found]
            pair = next((pair for pair in pairs if pair[1] in position and "|".join(pair) == fold), None)
            if pair is None:
                raise ValueError(f"fold {str(fold)!r} holds out {some(found)}, no pair of that name")
            splits.check_holds_out(k, [position[name] for name in pair])


class LeaveCohortOut(Splitter):
    """Hold out one cohort at a time."""

    name = "cohort"

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        labelled, cohorts, groups = patients.labelled, patients.cohorts, patients.groups
        if cohorts is None or (cohorts[labelled] < 0).any():
            raise ValueError("cv='cohort' needs the cohort of every patient; pass batch_key")
        present, n_patients = np.unique(cohorts[labelled], return_counts=True)
        alone = labelled[np.isin(cohorts[labelled], present[n_patients == 1])]
        if len(alone):
            raise ValueError(
                f"cv='cohort' would hold out a cohort of one patient, {some(patients.names[alone])}; "
                "merge it with another cohort or use cv='rebalanced_loo'"
            )
        for cohort in present:
            held_out = cohorts[labelled] == cohort
            elsewhere = ~np.isin(groups[labelled], groups[labelled[held_out]])
            yield f"cohort {cohort}", labelled[elsewhere], labelled[held_out]

    def check_stored(self, splits: StoredSplits) -> None:
        """As :meth:`Splitter.check_stored`."""
        known, found = [f"cohort {i}" for i in range(splits.n_cohorts)], set(splits.replicas.fold.tolist())
        splits.check_folds([name for name in known if name in found])  # a cohort may have no labelled patient
        splits.check_all_train()
        splits.check_each_once()


class StratifiedFolds(Splitter):
    """Random folds that keep the shares of the strata alike and the samples of a group together.

    Parameters
    ----------
    n_folds
        Number of folds.
    """

    def __init__(self, n_folds: int):
        self.n_folds = int(n_folds)
        self.name = str(self.n_folds)

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

        labelled, strata, groups = patients.labelled, patients.strata, patients.groups
        smallest = min(len(np.unique(groups[strata == c])) for c in np.unique(strata[labelled]))
        if not 2 <= self.n_folds <= smallest:
            several = len(np.unique(strata[labelled])) > 1
            limit = f"size of the smallest class, {smallest} patients" if several else f"number of patients, {smallest}"
            raise ValueError(f"cv={self.n_folds} folds must be between 2 and the {limit}")
        kind = StratifiedGroupKFold if patients.several_samples else StratifiedKFold
        splitter = kind(self.n_folds, shuffle=True, random_state=seed)
        own = groups[labelled] if patients.several_samples else None
        for i, (train, test) in enumerate(splitter.split(labelled, strata[labelled], own)):
            yield f"fold {i}", labelled[train], labelled[test]

    def check_stored(self, splits: StoredSplits) -> None:
        """As :meth:`Splitter.check_stored`."""
        if self.n_folds > len(splits.replicas):
            raise ValueError(f"cv={self.n_folds} folds has {len(splits.replicas)} replicas")
        splits.check_folds([f"fold {i}" for i in range(self.n_folds)])
        splits.check_all_train()
        splits.check_each_once()


class SklearnSplits(Splitter):
    """The folds of a scikit-learn splitter, on the labelled patients."""

    def __init__(self, splitter: object):
        self.splitter = splitter
        self.name = type(splitter).__name__

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`; the seed is the splitter's own."""
        labelled = patients.labelled
        several = len(np.unique(patients.groups)) < len(patients.groups)
        own = patients.groups[labelled] if several else None
        folds = self.splitter.split(labelled[:, None], patients.strata[labelled], own)
        for i, (train, test) in enumerate(folds):
            yield f"fold {i}", labelled[train], labelled[test]


class GivenSplits(Splitter):
    """Splits by name: pairs ``(train patients, test patients)``.

    Parameters
    ----------
    splits
        One pair per fold.
    """

    name = "custom"

    def __init__(self, splits: Iterable[tuple[Sequence[str], Sequence[str]]]):
        self.splits = list(splits)  # an iterator must serve every seed

    def split(self, patients: Patients, seed: int = 0) -> Iterator[Fold]:
        """As :meth:`Splitter.split`."""
        position = {name: i for i, name in enumerate(patients.names)}
        for i, split in enumerate(self.splits):
            if len(split) != 2:
                raise ValueError(f"split {i} must be a pair (train patients, test patients), got {len(split)} parts")
            sides = []
            for side in split:
                unknown = [str(name) for name in side if str(name) not in position]
                if unknown:
                    raise ValueError(f"split {i} names patients that are not there: {some(unknown)}")
                sides.append(np.array([position[str(name)] for name in side], dtype=int))
            unlabelled = patients.names[sides[0][patients.labels[sides[0]] < 0]]
            if len(unlabelled):
                raise ValueError(f"split {i} trains on patients without a label: {some(unlabelled)}")
            yield f"fold {i}", *sides


#: What users pass as ``cv``.
Scheme = Literal["loo", "rebalanced_loo", "leave_pair_out", "cohort"]

#: Splitters by the name that users pass.
SCHEMES = {scheme.name: scheme for scheme in (LeaveOneOut, RebalancedLeaveOneOut, LeavePairOut, LeaveCohortOut)}


def splitter_for(cv: object) -> Splitter:
    """Return the splitter behind what a user passed as ``cv``.

    Raises
    ------
    ValueError, TypeError
        If it is not known.

    Examples
    --------
    >>> splitter_for("loo").name, splitter_for(5).name, splitter_for([(["P1"], ["P2"])]).name
    ('loo', '5', 'custom')
    """
    if cv is None:
        return NoSplit()
    if isinstance(cv, Splitter):
        return cv
    if isinstance(cv, str):
        if cv not in SCHEMES:
            raise ValueError(
                f"cv={cv!r} is not known; choose from {tuple(SCHEMES)}, a number of folds, or your own splits"
            )
        return SCHEMES[cv]()
    if isinstance(cv, int | np.integer) and not isinstance(cv, bool):
        return StratifiedFolds(int(cv))
    if hasattr(cv, "split"):
        return SklearnSplits(cv)
    if isinstance(cv, Iterable):
        return GivenSplits(cv)
    raise TypeError(f"cv must be a string, a number, a splitter or pairs of patient names, got {type(cv).__name__}")


def splitter_of_record(name: str) -> Splitter | None:
    """Return the splitter that a fit recorded by name; ``None`` for given splits, which the fit itself holds.

    Raises
    ------
    ValueError
        If its splits cannot be drawn again.
    """
    if name.isdecimal():
        return StratifiedFolds(int(name))
    if name in SCHEMES:
        return SCHEMES[name]()
    if name == GivenSplits.name:
        return None
    raise ValueError(
        f"the model was fitted with a {name}, whose splits may depend on the labels and cannot be drawn again; "
        "fit with a number of folds, such as cv=5, or with splits by name"
    )


def check_stored(splits: StoredSplits, cv: str, seeds: range) -> None:
    """Raise a ValueError unless splits out of a file can be those of a fit that recorded ``cv`` and these seeds.

    What is checked of the splits of scikit-learn's and of users' own splitters is that they are splits.
    """
    splits.check_sides(seeds)
    known = {NoSplit.name: NoSplit, **SCHEMES}
    if cv in known:
        known[cv]().check_stored(splits)
    elif cv.isdecimal() and len(cv) < 10:
        StratifiedFolds(int(cv)).check_stored(splits)
    else:
        GivenSplits([]).check_stored(splits)


def _check_one_out(splits: StoredSplits) -> None:
    """Raise a ValueError unless each fold is named after whom it holds out; of groups, after the first sample."""
    position = {str(name): i for i, name in enumerate(splits.names)}
    for k, fold in enumerate(splits.replicas.fold):
        if str(fold) not in position:
            raise ValueError(f"fold {str(fold)!r} is not the name of a patient")
        splits.check_holds_out(k, [position[str(fold)]])
    splits.check_each_once()
