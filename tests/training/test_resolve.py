"""What ``"auto"`` and ``None`` mean is decided once, before anything runs."""

from dataclasses import replace

import numpy as np
import pytest

import tcellmil.training._fit as fitting
from tcellmil.nn import NetworkConfig
from tcellmil.nn._network import SMALL_COHORT
from tcellmil.training import TrainingConfig, resolve


@pytest.mark.parametrize(
    ("n_patients", "compression", "n_latent", "max_epochs"),
    [(8, "pca", 6, 120), (SMALL_COHORT - 1, "pca", 6, 120), (SMALL_COHORT, "autoencoder", 48, 60)],
)
def test_the_number_of_patients_and_features_decides(make_bags, n_patients, compression, n_latent, max_epochs):
    network, training = resolve(make_bags(n_patients, n_cells=2))
    assert (network.compression, network.n_latent, training.max_epochs) == (compression, n_latent, max_epochs)


@pytest.mark.parametrize("compression", ["auto", "autoencoder", "pca", None])
@pytest.mark.parametrize("max_epochs", [None, 7])
@pytest.mark.parametrize("n_patients", [8, SMALL_COHORT])
def test_what_is_resolved_stays_as_it_is(make_bags, compression, max_epochs, n_patients):
    bags = make_bags(n_patients, n_cells=2)
    once = resolve(bags, NetworkConfig(compression=compression), TrainingConfig(max_epochs=max_epochs))
    assert resolve(bags, *once) == once
    assert once[0].compression != "auto" and once[1].max_epochs is not None
    larger = make_bags(2 * SMALL_COHORT, n_cells=2)
    assert resolve(larger, *once) == once  # nothing is left to decide


def test_what_is_requested_is_kept(make_bags):
    network = NetworkConfig(n_hidden=5, compression="autoencoder", pooling="max", dropout=0.3)
    training = TrainingConfig(max_epochs=9, lr=0.5, encoder="shared")
    assert resolve(make_bags(), network, training) == (network, training)


def test_groups_and_patients_without_an_outcome_count_as_they_should(make_bags):
    bags = make_bags(SMALL_COHORT, n_cells=2)
    assert resolve(bags)[0].compression == "autoencoder"
    assert resolve(replace(bags, groups=np.arange(SMALL_COHORT) // 2))[0].compression == "pca"
    unlabelled = np.where(np.arange(SMALL_COHORT) == 0, -1, bags.labels)
    assert resolve(replace(bags, labels=unlabelled))[0].compression == "pca"


def test_a_fit_resolves_once_and_its_stack_says_what(make_bags, fit, monkeypatch):
    calls = []
    monkeypatch.setattr(fitting, "resolve", lambda *args: calls.append(args) or resolve(*args))
    bags = make_bags()
    stack, history = fit(bags, bags.replicas(2), network={"compression": "auto", "n_latent": 48}, max_epochs=None)
    assert len(calls) == 1 and (stack.config.compression, stack.config.n_latent) == ("pca", 6)
    assert history["epoch"].nunique() == 120
