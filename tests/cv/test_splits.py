import itertools

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.model_selection import LeaveOneOut, StratifiedShuffleSplit

from tcellmil.cv import make_replicas

SCHEMES = ["loo", "rebalanced_loo", "leave_pair_out", 2, 3]


@st.composite
def cohorts(draw, n_classes=(2, 3), smallest=3):
    """Labels of a cohort in any order, -1 for a patient without one."""
    sizes = draw(st.lists(st.integers(smallest, 6), min_size=n_classes[0], max_size=n_classes[-1]))
    labels = [-1] * draw(st.integers(0, 3)) + [c for c, n in enumerate(sizes) for _ in range(n)]
    return np.array(draw(st.permutations(labels)))


@given(labels=cohorts((2,)), cv=st.sampled_from(SCHEMES), n_seeds=st.integers(1, 2))
@settings(max_examples=60, deadline=None)
def test_no_patient_is_on_both_sides_and_no_unlabelled_one_is_trained_on(labels, cv, n_seeds):
    replicas = make_replicas(cv, labels, n_seeds=n_seeds)
    assert not (replicas.train & replicas.test).any()
    assert not replicas.train[:, labels < 0].any()
    assert replicas.test[:, labels < 0].all()
    for train in replicas.train:
        assert set(labels[train]) == set(labels[labels >= 0])


@given(labels=cohorts(), cv=st.sampled_from(["loo", "rebalanced_loo", 2, 3]), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_each_labelled_patient_is_held_out_once_a_seed(labels, cv, seed):
    replicas = make_replicas(cv, labels, n_seeds=2, seed=seed)
    for s in (seed, seed + 1):
        assert (replicas.test[replicas.seed == s][:, labels >= 0].sum(axis=0) == 1).all()


@given(labels=cohorts(), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_rebalancing_makes_the_class_prior_the_same_in_all_folds(labels, seed):
    train = make_replicas("rebalanced_loo", labels, n_seeds=2, seed=seed).train
    counts = np.stack([(train & (labels == c)).sum(axis=1) for c in range(labels.max() + 1)], axis=1)
    assert (counts == counts[0]).all()
    assert (counts[0] == np.bincount(labels[labels >= 0]) - 1).all()


def test_plain_leave_one_out_trains_on_all_others():
    labels = np.array([0, 1, 0, -1, 1, 0])
    train = make_replicas("loo", labels).train
    assert (train.sum(axis=1) == 4).all()


@given(labels=cohorts((2,), smallest=2))
@settings(max_examples=60, deadline=None)
def test_leave_pair_out_holds_out_every_pair_of_classes_once(labels):
    replicas = make_replicas("leave_pair_out", labels)
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    held_out = [tuple(np.flatnonzero(test & (labels >= 0))) for test in replicas.test]
    assert len(held_out) == len(set(held_out)) == len(positive) * len(negative)
    assert set(held_out) == {tuple(sorted((i, j))) for i in positive for j in negative}


@given(labels=cohorts(), n_folds=st.integers(2, 3), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_folds_are_stratified(labels, n_folds, seed):
    replicas = make_replicas(n_folds, labels, seed=seed)
    assert len(replicas) == n_folds
    for c in range(labels.max() + 1):
        counts = (replicas.test & (labels == c)).sum(axis=1)
        assert counts.max() - counts.min() <= 1


def test_seeds_draw_folds_of_their_own_and_again_the_same():
    labels = np.arange(20) % 2
    for cv in ("rebalanced_loo", 4):
        replicas = make_replicas(cv, labels, n_seeds=2, seed=7)
        first, second = (replicas.train[replicas.seed == s] for s in (7, 8))
        assert not np.array_equal(first, second)
        assert np.array_equal(second, make_replicas(cv, labels, seed=8).train)


def test_leave_one_cohort_out_holds_out_whole_cohorts():
    labels, cohort = np.array([0, 1, 0, 1, 0, 1, 0]), np.array([0, 0, 1, 1, 2, 2, 2])
    replicas = make_replicas("cohort", labels, cohorts=cohort)
    assert [set(cohort[test]) for test in replicas.test] == [{0}, {1}, {2}]
    assert (replicas.train == ~replicas.test).all()


def test_without_cross_validation_one_replica_per_seed_trains_on_all():
    labels = np.array([0, 1, 0, -1, 1])
    replicas = make_replicas(None, labels, n_seeds=3)
    assert (replicas.train == (labels >= 0)).all()
    assert len(replicas) == 3


def test_own_splits_go_by_name_and_serve_every_seed_even_from_an_iterator():
    labels, names = np.array([0, 1, 0, 1, 0]), np.array(list("abcde"))
    splits = iter([(["a", "b", "d"], ["e", "c"]), (["c", "d"], ["b", "a"])])
    replicas = make_replicas(splits, labels, names=names, n_seeds=2)
    held_out = [sorted(names[test]) for test in replicas.test]
    trained_on = [sorted(names[train]) for train in replicas.train]
    assert held_out == [["c", "e"], ["a", "b"]] * 2
    assert trained_on == [["a", "b", "d"], ["c", "d"]] * 2


def test_a_splitter_of_sklearn_splits_the_labelled_patients():
    labels = np.array([0, 1, -1, 0, 1, 0, 1])
    replicas = make_replicas(LeaveOneOut(), labels)
    assert np.array_equal(replicas.train, make_replicas("loo", labels).train)
    replicas = make_replicas(StratifiedShuffleSplit(4, test_size=2, random_state=0), labels)
    assert (replicas.test[:, labels >= 0].sum(axis=1) == 2).all()
    assert replicas.test[:, 2].all() and not replicas.train[:, 2].any()


LABELS = np.array([0, 1, 0, 1, 0, 1, -1])
NAMES = np.array([f"P{i}" for i in range(7)])


@pytest.mark.parametrize(
    ("cv", "error", "message"),
    [
        ("lpo", ValueError, "cv='lpo' is not known; choose from .*rebalanced_loo.*a number of folds, or your own"),
        (1, ValueError, "cv=1 folds must be between 2 and the size of the smallest class, 3 patients"),
        (4, ValueError, "cv=4 folds must be between 2 and the size of the smallest class, 3 patients"),
        (0.5, TypeError, "cv must be a string, a number, a splitter or pairs of patient names, got float"),
        (True, TypeError, "got bool"),
        ("cohort", ValueError, "needs the cohort of every patient; pass batch_key"),
        (
            [(["P0", "P1", "P3"], ["P2"])],
            ValueError,
            r"hold out no patient of 1 of the classes, such as \['P1', 'P3', 'P5'\]",
        ),
        ([(["P0", "P1", "nobody"], ["P2"])], ValueError, r"split 0 names patients that are not there: \['nobody'\]"),
        ([(["P0", "P1", "P2"], ["P2"])], ValueError, r"both trains on and holds out \['P2'\]"),
        ([(["P0", "P1", "P6"], ["P2"])], ValueError, r"split 0 trains on patients without a label: \['P6'\]"),
        (
            [(["P0", "P2"], ["P1"])],
            ValueError,
            r"'fold 0' would train without any patient of 1 of the classes, such as \['P1', 'P3', 'P5'\]; use",
        ),
        ([(["P0"], ["P1"], ["P2"])], ValueError, "split 0 must be a pair .*, got 3 parts"),
    ],
)
def test_a_scheme_that_cannot_be_done_is_explained(cv, error, message):
    with pytest.raises(error, match=message):
        make_replicas(cv, LABELS, names=NAMES)


def test_a_cohort_of_one_patient_is_not_left_out():
    with pytest.raises(ValueError, match=r"would hold out a cohort of one patient, \['P5'\]; merge it"):
        make_replicas("cohort", LABELS, names=NAMES, cohorts=np.array([0, 0, 0, 1, 1, 2, 2]))


@pytest.mark.parametrize("order", list(itertools.permutations(range(3))))
def test_a_cohort_of_one_patient_is_named_before_a_fold_without_a_class(order):
    labels, cohorts = np.array([0, 0, 1, 1, 1]), np.array([0, 0, 1, 1, 2])
    with pytest.raises(ValueError, match=r"a cohort of one patient, \['P4'\]"):
        make_replicas("cohort", labels, names=NAMES[:5], cohorts=np.array(order)[cohorts])


def test_leave_pair_out_is_for_two_classes():
    with pytest.raises(ValueError, match="needs two classes, there are 3; use cv='rebalanced_loo'"):
        make_replicas("leave_pair_out", np.array([0, 1, 2, 0, 1, 2]))


@pytest.mark.parametrize("n_seeds", [0, -1, 1.5, True])
def test_the_number_of_seeds_is_at_least_one(n_seeds):
    with pytest.raises(ValueError, match=f"n_seeds={n_seeds} must be a whole number of at least 1"):
        make_replicas("loo", LABELS, n_seeds=n_seeds)
