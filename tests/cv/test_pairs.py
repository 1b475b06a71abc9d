"""Paired designs: both samples of a patient on one side of every split, and shares of classes that stay."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.cv import make_replicas
from tcellmil.cv._balancing import drop_samples

SCHEMES = ["loo", "rebalanced_loo", "leave_pair_out", 2, 3]


@st.composite
def designs(draw, least_pairs=4):
    """Labels and groups: pairs, and patients with one sample or with two of one class."""
    n_pairs = draw(st.integers(least_pairs, 8))
    others = draw(st.lists(st.sampled_from([(0,), (1,), (0, 0), (1, 1)]), max_size=4))
    samples = [(g, c) for g in range(n_pairs) for c in (0, 1)]
    samples += [(n_pairs + i, c) for i, own in enumerate(others) for c in own]
    groups, labels = np.array(draw(st.permutations(samples))).T
    return labels, groups


@pytest.mark.parametrize("cv", SCHEMES)
@given(design=designs(), seed=st.integers(0, 20))
@settings(max_examples=25, deadline=None)
def test_pairs_are_on_one_side_of_every_split(cv, design, seed):
    labels, groups = design
    replicas = make_replicas(cv, labels, groups=groups, seed=seed)
    for train, test in zip(replicas.train, replicas.test, strict=True):
        assert not set(groups[train]) & set(groups[test])
        assert set(labels[train]) == {0, 1}
    assert replicas.test.any(axis=0).all()


@given(design=designs(), seed=st.integers(0, 20))
@settings(max_examples=40, deadline=None)
def test_rebalancing_keeps_the_shares_of_any_design(design, seed):
    labels, groups = design
    train = make_replicas("rebalanced_loo", labels, groups=groups, seed=seed).train
    assert len({(int((own & (labels == 0)).sum()), int((own & (labels == 1)).sum())) for own in train}) == 1


def broken(train, labels, groups):
    """Training pairs of which one half is left out."""
    pairs = [g for g in np.unique(groups) if len(set(labels[groups == g])) == 2]
    return [g for g in pairs if train[groups == g].sum() == 1]


def test_of_pairs_alone_nothing_is_dropped():
    labels, groups = np.tile([0, 1], 5), np.repeat(np.arange(5), 2)
    replicas = make_replicas("rebalanced_loo", labels, groups=groups)
    assert len(replicas) == 5
    assert (replicas.train.sum(axis=1) == 8).all() and (replicas.train | replicas.test).all()


@pytest.mark.parametrize("seed", range(6))
def test_patients_of_one_class_are_dropped_before_a_pair_is_broken(seed):
    labels = np.array([0, 1] * 4 + [0, 0, 1, 1])
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 5, 6, 7])
    replicas = make_replicas("rebalanced_loo", labels, groups=groups, seed=seed)
    assert [broken(train, labels, groups) for train in replicas.train] == 8 * [[]]


@pytest.mark.parametrize("seed", range(6))
def test_whole_pairs_are_dropped_where_both_classes_have_too_many(seed):
    """A patient with two samples of each class holds out more than a pair does."""
    labels = np.array([0, 1] * 5 + [0, 0, 1, 1])
    groups = np.array([0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 5, 5])
    replicas = make_replicas("rebalanced_loo", labels, groups=groups, seed=seed)
    assert [broken(train, labels, groups) for train in replicas.train] == 6 * [[]]
    assert set(replicas.train.sum(axis=1)) == {10}


@given(design=designs(), wanted=st.tuples(st.integers(0, 3), st.integers(0, 3)), seed=st.integers(0, 20))
@settings(max_examples=60, deadline=None)
def test_as_many_samples_are_dropped_as_were_asked_for(design, wanted, seed):
    labels, groups = design
    dropped = drop_samples(
        np.arange(len(labels)), labels, groups, {0: wanted[0], 1: wanted[1]}, np.random.default_rng(seed)
    )
    assert len(set(dropped)) == len(dropped)
    assert tuple((labels[dropped] == c).sum() for c in (0, 1)) == wanted
