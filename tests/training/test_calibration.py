"""Temperatures come from a replica's own training patients."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import log_softmax

from tcellmil.nn import NetworkConfig
from tcellmil.training import TrainingConfig, fit_temperatures
from tcellmil.training._selection._calibration import best_temperature, inner_replicas

NETWORK = NetworkConfig(compression="autoencoder", n_hidden=8, n_latent=4, n_attention=4, dropout=0.0)
TRAINING = TrainingConfig(max_epochs=10, max_epochs_ae=2, lr=1e-2, eps=1e-8, accelerator="cpu")


def temperatures(bags, replicas):
    return fit_temperatures(bags, replicas, NETWORK, TRAINING, progress=False)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10_000), st.integers(2, 4), st.floats(0.2, 5))
def test_the_temperature_is_the_one_of_least_cross_entropy(seed, n_classes, truth):
    rng = np.random.default_rng(seed)
    labels = np.arange(60) % n_classes
    logits = truth * (rng.normal(size=(60, n_classes)) + 1.5 * np.eye(n_classes)[labels])
    found = best_temperature(logits, labels)
    loss = [-log_softmax(logits / t, axis=1)[np.arange(60), labels].mean() for t in np.geomspace(0.05, 20, 400)]
    own = -log_softmax(logits / found, axis=1)[np.arange(60), labels].mean()
    assert own <= min(loss) + 1e-6


def test_logits_that_are_twice_as_large_are_twice_as_hot():
    rng = np.random.default_rng(0)
    labels = np.arange(80) % 2
    logits = rng.normal(size=(80, 2)) + np.eye(2)[labels]
    assert best_temperature(2 * logits, labels) == pytest.approx(2 * best_temperature(logits, labels), rel=1e-3)


def test_inner_folds_split_the_training_patients_and_nobody_else(make_bags):
    bags = make_bags(n_patients=10)
    replicas = bags.replicas("rebalanced_loo")
    inner, owner = inner_replicas(replicas, bags.labels, 3)
    for k in range(len(replicas)):
        own = owner == k
        assert own.sum() == 3
        assert (inner.test[own].sum(axis=0) == replicas.train[k]).all()
        assert not (inner.train[own] & inner.test[own]).any()
        assert not (inner.train[own] & ~replicas.train[k]).any()


def test_inner_folds_keep_groups_together(make_bags):
    bags = make_bags(n_patients=12)
    groups = np.array([0, 1, 0, 1, 2, 3, 2, 3, 4, 5, 4, 5])
    inner, _ = inner_replicas(bags.replicas("loo"), bags.labels, 2, groups)
    for train, test in zip(inner.train, inner.test, strict=True):
        assert not set(groups[train]) & set(groups[test])


def test_a_held_out_patient_does_not_reach_its_replicas_temperature(make_bags):
    bags, changed = make_bags(n_patients=10), make_bags(n_patients=10, change=4)
    replicas = bags.replicas("loo")
    before, after = temperatures(bags, replicas), temperatures(changed, replicas)
    assert before[4] == after[4]
    assert (before[:4] != after[:4]).all()


def test_too_few_training_patients_are_named(make_bags):
    bags = make_bags(n_patients=8, labels=[0, 1, 0, 1, 0, 0, 0, 0])
    with pytest.raises(ValueError, match=r"needs two training patients of every class, fold 'P01' has 1; use cal"):
        inner_replicas(bags.replicas("loo"), bags.labels, 3)


def test_labels_of_each_replica_are_as_those_of_the_bags(make_bags):
    """Two replicas with labels of their own, together, are each as the one trained on bags with these labels."""
    bags = make_bags(n_patients=10)
    replicas, labels = bags.replicas("loo")[:2], np.stack([bags.labels, np.roll(bags.labels, 1)])
    together = fit_temperatures(bags, replicas, NETWORK, TRAINING, labels=labels, progress=False)
    for k in range(2):
        alone = temperatures(replace(bags, labels=labels[k]), replicas[k : k + 1])
        np.testing.assert_allclose(together[k], alone[0], rtol=1e-4)
