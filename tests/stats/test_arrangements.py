"""Permutations within patients and among patients: which there are, and that each comes as often."""

from collections import Counter
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.stats._arrangements import Arrangements


def of(labels, groups=None, cohorts=None, outcomes=None):
    labels = np.asarray(labels)
    groups = np.arange(len(labels)) if groups is None else np.asarray(groups)
    cohorts = np.zeros(len(labels), dtype=int) if cohorts is None else np.asarray(cohorts)
    return Arrangements(labels[:, None] if outcomes is None else outcomes, labels >= 0, groups, cohorts)


def drawn(arrangements, labels, n=4000):
    rng = np.random.default_rng(0)
    return Counter(tuple(np.asarray(labels)[arrangements.draw(rng)].tolist()) for _ in range(n))


def by_hand(labels, groups):
    """All arrangements of a design, by trying all labels of all samples."""
    labels, groups = np.asarray(labels), np.asarray(groups)
    members = [np.flatnonzero(groups == g) for g in np.unique(groups)]
    mixed = [own for own in members if len(set(labels[own])) > 1]
    whole = [own for own in members if len(set(labels[own])) == 1]
    of_whole = sorted(labels[own[0]] for own in whole)
    found = set()
    for row in product(np.unique(labels).tolist(), repeat=len(labels)):
        row = np.array(row)
        within = all(sorted(row[own]) == sorted(labels[own]) for own in mixed)
        together = all(len(set(row[own])) == 1 for own in whole)
        if within and together and sorted(row[own[0]] for own in whole) == of_whole:
            found.add(tuple(row.tolist()))
    return found


@pytest.mark.parametrize(
    ("labels", "groups"),
    [
        ([0, 1, 0, 1, 0, 1], [0, 0, 1, 1, 2, 2]),
        ([0, 1, 0, 1, 0, 0, 1], [0, 0, 1, 1, 2, 3, 4]),
        ([0, 0, 1, 1, 0, 1], [0, 0, 1, 2, 3, 3]),
        ([0, 0, 1, 1, 2, 0], [0, 0, 0, 1, 1, 1]),
        ([0, 1, 0, 1, 0, 1], [0, 1, 2, 3, 4, 5]),
    ],
)
def test_all_arrangements_are_counted_and_drawn_equally_often(labels, groups):
    arrangements = of(labels, groups)
    found = drawn(arrangements, labels)
    assert set(found) == by_hand(labels, groups) and arrangements.n == len(found)
    share = 4000 / len(found)
    assert max(abs(n - share) for n in found.values()) < 6 * np.sqrt(share)


def test_five_pairs_have_32_arrangements():
    assert of(np.tile([0, 1], 5), np.repeat(np.arange(5), 2)).n == 32


@given(n_pairs=st.integers(1, 5), n_alone=st.tuples(st.integers(0, 3), st.integers(0, 3)), seed=st.integers(0, 99))
@settings(max_examples=40, deadline=None)
def test_each_patient_with_both_classes_keeps_one_of_each(n_pairs, n_alone, seed):
    alone = [0] * n_alone[0] + [1] * n_alone[1]
    labels = np.array([0, 1] * n_pairs + alone)
    groups = np.array([*np.repeat(np.arange(n_pairs), 2), *range(n_pairs, n_pairs + len(alone))])
    arrangements = of(labels, groups)
    row = labels[arrangements.draw(np.random.default_rng(seed))]
    assert (row[: 2 * n_pairs].reshape(-1, 2).sum(axis=1) == 1).all()
    assert row[2 * n_pairs :].sum() == n_alone[1]


def test_samples_without_an_outcome_keep_none():
    labels = np.array([0, 1, -1, 0, 0, -1, 1])
    arrangements = of(labels, [0, 0, 0, 1, 1, 1, 2])
    for _ in range(20):
        row = labels[arrangements.draw(np.random.default_rng(0))]
        assert (row[[2, 5]] == -1).all() and row[3] == row[4] and sorted(row[[0, 1]]) == [0, 1]
    assert arrangements.n == 2 * 2


def test_outcomes_stay_in_their_cohort():
    labels, cohorts = np.array([0, 1, 0, 1, 0, 1]), np.array([0, 0, 0, 1, 1, 1])
    arrangements = of(labels, cohorts=cohorts)
    assert arrangements.n == 3 * 3
    assert all(sum(row[:3]) == 1 for row in drawn(arrangements, labels, 50))


def test_times_and_events_go_together():
    outcomes = np.array([[3.0, 1], [5.0, 0], [7.0, 1], [np.nan, np.nan]])
    arrangements = of([0, 0, 0, -1], [0, 0, 1, 1], outcomes=outcomes)
    assert arrangements.n == 2  # within the first patient; the second has nobody to exchange with
    row = outcomes[arrangements.draw(np.random.default_rng(1))]
    assert {tuple(times) for times in row[:2]} == {(3, 1), (5, 0)} and row[2].tolist() == [7, 1]


@pytest.mark.parametrize(
    ("groups", "words"),
    [
        (range(6), "among 6 patients"),
        ([0, 0, 1, 1, 2, 2], "within 3 patients"),
        ([0, 0, 1, 1, 2, 3], "within 2 patients and among 2 others"),
        ([0, 0, 0, 0, 0, 1], "within 1 patient"),
    ],
)
def test_what_is_permuted_is_said(groups, words):
    assert of([0, 1, 0, 1, 0, 1], list(groups)).in_words() == words


def test_what_cannot_be_permuted_is_explained():
    with pytest.raises(ValueError, match="outcomes cannot be permuted: within each cohort.*within_cohorts=False"):
        of([0, 0, 1, 1], cohorts=[0, 0, 1, 1])
    with pytest.raises(ValueError, match="with the same outcome are in different cohorts.*within_cohorts=False"):
        of([0, 0, 1, 1], [0, 0, 1, 2], [0, 1, 0, 1])
