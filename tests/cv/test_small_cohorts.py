"""What a small cohort has by default: principal components, and more epochs; nothing else than if asked for."""

import dataclasses

import numpy as np
import pytest

from tcellmil.cv import TrainingConfig
from tcellmil.nn import NetworkConfig
from tcellmil.nn._network import SMALL_COHORT


def test_the_number_of_patients_decides():
    assert NetworkConfig().for_patients(SMALL_COHORT - 1).compression == "pca"
    assert NetworkConfig().for_patients(SMALL_COHORT).compression == "autoencoder"


def test_the_number_of_patients_decides_on_epochs():
    assert TrainingConfig().for_patients(SMALL_COHORT - 1).max_epochs == 120
    assert TrainingConfig().for_patients(SMALL_COHORT).max_epochs == 60
    assert TrainingConfig(max_epochs=7).for_patients(2).max_epochs == 7


@pytest.mark.parametrize(("n_patients", "n_epochs"), [(4, 120), (SMALL_COHORT, 60)])
def test_as_many_epochs_are_run(make_bags, fit, split, n_patients, n_epochs):
    bags = make_bags(n_patients=n_patients, n_cells=3)
    _, history = fit(bags, split(2, bags), network={"compression": "pca"}, max_epochs=None)
    assert history["epoch"].nunique() == n_epochs


@pytest.mark.parametrize("compression", ["autoencoder", "pca", None])
@pytest.mark.parametrize("n_patients", [2, 1000])
def test_what_was_asked_for_is_kept(compression, n_patients):
    assert NetworkConfig(compression=compression).for_patients(n_patients).compression == compression


@pytest.mark.parametrize(("n_patients", "expected"), [(8, "pca"), (SMALL_COHORT, "autoencoder")])
def test_auto_gives_what_its_choice_gives(make_bags, fit, split, n_patients, expected):
    bags = make_bags(n_patients=n_patients)
    replicas = split(2, bags)
    chosen, _ = fit(bags, replicas, network={"compression": "auto"})
    named, _ = fit(bags, replicas, network={"compression": expected})
    assert chosen.config == named.config and chosen.config.compression == expected
    for of_chosen, of_named in [(chosen.encoder, named.encoder), (chosen.classifier, named.classifier)]:
        assert of_chosen.keys() == of_named.keys()
        assert all(np.array_equal(of_chosen[name], of_named[name]) for name in of_chosen)


def test_patients_without_an_outcome_do_not_count(make_bags, fit, split):
    labels = [*[0, 1] * 3, *[-1] * SMALL_COHORT]
    bags = make_bags(n_patients=len(labels), n_cells=3, labels=labels)
    stack, _ = fit(bags, split("loo", bags), network={"compression": "auto"}, max_epochs=1)
    assert stack.config.compression == "pca"


@pytest.mark.parametrize(
    ("size", "n_latent"),
    [({"n_features": 1}, 1), ({"n_features": 40, "n_cells": 3, "n_patients": 4}, 8)],
    ids=["one feature", "fewer cells than features"],
)
def test_principal_components_of_awkward_shapes(make_bags, fit, split, size, n_latent):
    bags = make_bags(**size)
    bags.x[:, -1] = bags.x[0, -1] if bags.x.shape[1] > 1 else bags.x[:, -1]  # and one that is constant
    stack, _ = fit(bags, split(2, bags), network={"compression": "pca"})
    z = stack.encode(stack.scale(bags.x))
    assert z.shape == (2, len(bags.x), n_latent) and np.isfinite(z.numpy()).all()
    assert all(np.isfinite(w).all() for w in stack.classifier.values())


def test_the_direction_of_a_component_does_not_depend_on_the_order_of_features(make_bags, fit, split):
    bags = make_bags(n_cells=40)
    turned = dataclasses.replace(bags, x=np.ascontiguousarray(bags.x[:, ::-1]))
    replicas = split(2, bags)
    latents = []
    for data in (bags, turned):
        stack, _ = fit(data, replicas, network={"compression": "pca", "n_latent": 3})
        latents.append(stack.encode(stack.scale(data.x)).numpy())
    np.testing.assert_allclose(*latents, atol=1e-4)
