"""Splitters as objects: each splits as its name does, and one of your own is taken as it is."""

import numpy as np
import pytest
from sklearn.model_selection import StratifiedKFold

from tcellmil.cv import (
    GivenSplits,
    LeaveCohortOut,
    LeaveOneOut,
    LeavePairOut,
    Patients,
    RebalancedLeaveOneOut,
    Splitter,
    StratifiedFolds,
    make_replicas,
)
from tcellmil.cv._splitters import SCHEMES, splitter_for, splitter_of_record

LABELS = np.array([0, 1, 0, 1, -1, 0, 1, 0, 1, 0])
NAMES = np.array([f"P{i}" for i in range(10)])
COHORTS = np.array([0, 0, 0, 0, 0, 1, 1, 1, 1, 1])
GIVEN = [(["P0", "P1", "P2"], ["P3", "P5"]), (["P5", "P6"], ["P0", "P1"])]
PAIRS = [
    ("loo", LeaveOneOut()),
    ("rebalanced_loo", RebalancedLeaveOneOut()),
    ("leave_pair_out", LeavePairOut()),
    ("cohort", LeaveCohortOut()),
    (3, StratifiedFolds(3)),
    (GIVEN, GivenSplits(iter(GIVEN))),
]
every_pair = pytest.mark.parametrize(("cv", "splitter"), PAIRS, ids=[splitter.name for _, splitter in PAIRS])


def same(one, other):
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in ("seed", "fold", "train", "test"))


@every_pair
def test_a_splitter_splits_as_its_name_does(cv, splitter):
    options = {"names": NAMES, "cohorts": COHORTS, "n_seeds": 2, "seed": 5}
    by_name, by_object = (make_replicas(way, LABELS, **options) for way in (cv, splitter))
    assert same(by_name, by_object)
    assert splitter_for(splitter) is splitter and type(splitter_for(cv)) is type(splitter)


@every_pair
def test_the_folds_of_a_splitter_are_those_that_are_trained_on(cv, splitter):
    patients = Patients(LABELS, NAMES, groups=np.arange(10), strata=LABELS, cohorts=COHORTS)
    replicas = make_replicas(cv, LABELS, names=NAMES, cohorts=COHORTS, seed=5)
    for k, (name, train, test) in enumerate(splitter.split(patients, 5)):
        assert name == replicas.fold[k]
        np.testing.assert_array_equal(np.sort(train), np.flatnonzero(replicas.train[k]))
        np.testing.assert_array_equal(np.sort(test), np.flatnonzero(replicas.test[k] & (LABELS >= 0)))
    assert k == len(replicas) - 1


@every_pair
def test_a_splitter_is_found_again_by_the_name_that_is_recorded(cv, splitter):
    again = splitter_of_record(splitter.name)
    if isinstance(splitter, GivenSplits):
        assert again is None and splitter.name == "custom"
    else:
        assert type(again) is type(splitter) and again.name == splitter.name == str(cv)
        assert again.n_folds == splitter.n_folds


def test_folds_of_another_library_cannot_be_drawn_again():
    name = splitter_for(StratifiedKFold(3)).name
    with pytest.raises(ValueError, match="the model was fitted with a StratifiedKFold, whose splits may depend on"):
        splitter_of_record(name)


def test_what_a_splitter_says_of_itself():
    assert {name for name, scheme in SCHEMES.items() if scheme.balances_numbers} == {"rebalanced_loo"}
    assert {name for name, scheme in SCHEMES.items() if scheme.in_pairs} == {"leave_pair_out"}
    assert [splitter.n_folds for _, splitter in PAIRS] == [0, 0, 0, 0, 3, 0]


def test_patients_know_who_is_labelled_and_which_samples_stay_together():
    patients = Patients(LABELS, NAMES, groups=np.array([0, 1, 0, 1, 0, 2, 3, 4, 5, 6]), strata=LABELS)
    assert patients.labelled.tolist() == [0, 1, 2, 3, 5, 6, 7, 8, 9] and patients.several_samples
    turns = [(name, own.tolist()) for name, own in patients.groups_in_turn()]
    assert turns[:3] == [("P0", [0, 2]), ("P1", [1, 3]), ("P5", [5])]
    alone = Patients(LABELS, NAMES, groups=np.array([0, 1, 2, 3, 0, 5, 6, 7, 8, 9]), strata=LABELS)
    assert not alone.several_samples  # P4 has no label


class FirstHalf(Splitter):
    """A way of one's own: hold out the first patients, then the last."""

    name = "first_half"

    def split(self, patients, seed=0):
        labelled = patients.labelled
        first = labelled[: len(labelled) // 2]
        yield "first", np.setdiff1d(labelled, first), first
        yield "last", first, np.setdiff1d(labelled, first)


def test_a_splitter_of_your_own_is_taken(make_bags, fit):
    bags = make_bags(labels=[0, 1, 0, 1, -1, 1, 0, 1])
    replicas = bags.replicas(FirstHalf(), n_seeds=2)
    assert replicas.fold.tolist() == ["first", "last"] * 2 and replicas.test[:, 4].all()
    assert not (replicas.train & replicas.test).any()
    stack, _ = fit(bags, replicas, network={"compression": "pca"}, max_epochs=1)
    assert stack.replicas.fold.tolist() == replicas.fold.tolist()


def test_folds_of_a_splitter_of_your_own_are_checked():
    class Leaky(FirstHalf):
        def split(self, patients, seed=0):
            yield "all", patients.labelled, patients.labelled[:1]

    with pytest.raises(ValueError, match=r"fold 'all' both trains on and holds out \['P0'\]"):
        make_replicas(Leaky(), LABELS, names=NAMES)


def test_replicas_are_joined_one_after_another():
    one, other = make_replicas("loo", LABELS), make_replicas(3, LABELS, seed=2)
    joined = type(one).join([one, other])
    assert len(joined) == len(one) + 3 and same(joined[: len(one)], one) and same(joined[-3:], other)
    assert joined.weights is None
