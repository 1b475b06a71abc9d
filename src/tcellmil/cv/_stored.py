"""Splits that a file holds: whether they are splits at all, and hold out whom they name."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import some

if TYPE_CHECKING:
    from ._replicas import Replicas


@dataclass(frozen=True)
class StoredSplits:
    """Replicas out of a file, with what is known of them. It holds no labels.

    Parameters
    ----------
    replicas
        Seeds, folds and sides.
    names
        ``(n_patients,)``.
    grouped
        Samples of one group were kept together.
    n_cohorts
        Number of cohorts; 0 without.
    """

    replicas: Replicas
    names: np.ndarray
    grouped: bool = False
    n_cohorts: int = 0

    @cached_property
    def labelled(self) -> np.ndarray:
        """``(n_patients,)`` bool: patients on whom some replica trains."""
        return self.replicas.train.any(axis=0)

    @cached_property
    def held_out(self) -> np.ndarray:
        """``(n_replicas, n_patients)`` bool: held out because of the fold, not for want of a label."""
        return self.replicas.test & self.labelled

    def out(self, k: int) -> list[int]:
        """Patients that replica ``k`` holds out; of groups, those without a label too."""
        return np.flatnonzero((self.replicas.test if self.grouped else self.held_out)[k]).tolist()

    def check_sides(self, seeds: range) -> None:
        """Raise a ValueError unless these are splits of different patients, drawn from these seeds."""
        train, test, names = self.replicas.train, self.replicas.test, self.names
        if len(names) > 1 and (names[1:] <= names[:-1]).any():
            raise ValueError(f"patients {some(names)} are not different names in alphabetical order")
        for fold, own_train, own_test in zip(self.replicas.fold, train, test, strict=True):
            if not own_train.any():
                raise ValueError(f"fold {str(fold)!r} trains on nobody")
            if (own_train & own_test).any():
                raise ValueError(f"fold {str(fold)!r} trains on {some(names[own_train & own_test])}, whom it holds out")
        if not np.array_equal(np.unique(self.replicas.seed), np.array(seeds)):
            raise ValueError(f"seeds are {some(np.unique(self.replicas.seed))}, not {seeds.start} to {seeds.stop - 1}")

    def check_all_train(self) -> None:
        """Raise a ValueError where a replica neither trains on a patient nor holds it out; groups may do that."""
        neither = ~(self.replicas.train | self.replicas.test)
        if not self.grouped and neither.any():
            fold, names = str(self.replicas.fold[neither.any(axis=1)][0]), self.names[neither.any(axis=0)]
            raise ValueError(f"fold {fold!r} neither trains on nor holds out patients, such as {some(names, 3)}")

    @cached_property
    def by_seed(self) -> list[tuple[int, np.ndarray]]:
        """Each seed with its replicas."""
        seeds, start = np.unique(np.sort(self.replicas.seed), return_index=True)
        rows = np.split(np.argsort(self.replicas.seed, kind="stable"), start[1:])
        return list(zip(seeds.tolist(), rows, strict=True))

    def check_each_once(self) -> None:
        """Raise a ValueError unless each seed holds out each labelled patient once."""
        for seed, rows in self.by_seed:
            n_times = self.held_out[rows].sum(axis=0)
            wrong = self.labelled & (n_times != 1)
            if wrong.any():
                raise ValueError(f"seed {seed} holds out patients {some(self.names[wrong], 3)} not once")

    def check_folds(self, known: list[str]) -> None:
        """Raise a ValueError unless each seed has these folds, each once."""
        known = sorted(known)
        for seed, rows in self.by_seed:
            found = sorted(self.replicas.fold[rows].tolist())
            if found != known:
                raise ValueError(f"seed {seed} has the folds {some(found, 3)}, not {some(known, 3)}")

    def check_holds_out(self, k: int, expected: list[int]) -> None:
        """Raise a ValueError unless replica ``k`` holds out these patients, and of groups no others of their own."""
        found = self.out(k)
        right = set(expected) <= set(found) if self.grouped else sorted(expected) == found
        if not right:
            fold = str(self.replicas.fold[k])
            raise ValueError(f"fold {fold!r} holds out {some(self.names[found], 3)}, not {some(self.names[expected])}")
