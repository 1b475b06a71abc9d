"""Permutations of outcomes that leave alone what is not exchangeable: within patients, and among patients."""

from __future__ import annotations

from collections.abc import Sequence
from math import factorial, prod

import numpy as np


class Arrangements:
    """The arrangements of outcomes over samples that are as likely as the observed one, if outcomes mean nothing.

    Samples of one group (a patient) share what makes them alike. Where they have different outcomes, as in a paired
    design, outcomes are exchanged within the group. Groups that have one outcome exchange it with each other, all of
    their samples together. Both within cohorts only.

    Parameters
    ----------
    outcomes
        ``(n_samples, n_columns)``: class codes, or numbers and times with their events; exchanged by rows.
    known
        ``(n_samples,)`` bool: which samples have an outcome; the others keep theirs.
    groups, cohorts
        ``(n_samples,)`` codes.

    Raises
    ------
    ValueError
        If a group with one outcome has samples in several cohorts, or there is nothing to exchange.

    References
    ----------
    Good (2005), Permutation, Parametric and Bootstrap Tests of Hypotheses, chapter 3 (restricted permutations).

    Examples
    --------
    >>> labels = np.array([0, 1, 0, 1, 0, 1])
    >>> pairs = Arrangements(labels[:, None], labels >= 0, np.array([0, 0, 1, 1, 2, 2]), np.zeros(6, dtype=int))
    >>> pairs.n, labels[pairs.draw(np.random.default_rng(0))].reshape(3, 2).sum(axis=1).tolist()
    (8, [1, 1, 1])
    """

    def __init__(self, outcomes: np.ndarray, known: np.ndarray, groups: np.ndarray, cohorts: np.ndarray):
        value = np.unique(np.nan_to_num(outcomes), axis=0, return_inverse=True)[1].ravel()
        members = [np.flatnonzero(known & (groups == group)) for group in np.unique(groups)]
        one = [len(np.unique(value[own])) == 1 for own in members]
        #: Samples of each group with one outcome, and of each group and cohort with several.
        self.whole = [own for own, is_one in zip(members, one, strict=True) if is_one]
        self.within = [
            own[cohorts[own] == cohort]
            for own, is_one in zip(members, one, strict=True)
            if not is_one
            for cohort in np.unique(cohorts[own])
        ]
        if any(len(np.unique(cohorts[own])) > 1 for own in self.whole):
            raise ValueError(
                "samples of one group with the same outcome are in different cohorts, among which such outcomes cannot "
                "be permuted by group; pass within_cohorts=False"
            )
        #: Number of groups that have several outcomes.
        self.n_mixed = sum(len(own) > 0 for own, is_one in zip(members, one, strict=True) if not is_one)
        self._first = np.array([own[0] for own in self.whole], dtype=int)
        self._n_samples = len(known)
        of_group = cohorts[self._first]
        self._blocks = [np.flatnonzero(of_group == cohort) for cohort in np.unique(cohorts)]
        kinds = [value[self._first[block]] for block in self._blocks] + [value[own] for own in self.within]
        #: Number of different arrangements, the observed one among them.
        self.n = prod(_n_orders(kind) for kind in kinds)
        if self.n == 1:
            raise ValueError(
                "outcomes cannot be permuted: within each cohort, and each group with several outcomes, all are the "
                "same; pass within_cohorts=False where cohorts are of one class each"
            )

    def draw(self, rng: np.random.Generator) -> np.ndarray:
        """Whose outcome each sample gets, ``(n_samples,)`` indices."""
        row = np.arange(self._n_samples)
        for block in self._blocks:
            for group, source in zip(block, rng.permutation(block), strict=True):
                row[self.whole[group]] = self._first[source]
        for own in self.within:
            row[own] = rng.permutation(own)
        return row

    def in_words(self) -> str:
        """What is permuted, such as ``"within 5 patients and among 3 others"``."""
        if not self.n_mixed:
            return f"among {len(self.whole)} patients"
        others = f" and among {len(self.whole)} others" if len(self.whole) > 1 else ""
        return f"within {self.n_mixed} patient{'' if self.n_mixed == 1 else 's'}{others}"


def _n_orders(values: Sequence) -> int:
    """Number of different orders of some values."""
    return factorial(len(values)) // prod(factorial(int(n)) for n in np.unique(values, return_counts=True)[1])
