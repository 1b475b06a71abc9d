"""What a small cohort has by default: principal components, and more epochs; what is requested is kept."""

import dataclasses

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from tcellmil.nn import NetworkConfig
from tcellmil.nn._network import SMALL_COHORT
from tcellmil.nn._projection import MANY_FEATURES, principal_axes
from tcellmil.training import TrainingConfig


def test_the_number_of_patients_decides():
    assert NetworkConfig().resolved(SMALL_COHORT - 1, 6).compression == "pca"
    assert NetworkConfig().resolved(SMALL_COHORT, 6).compression == "autoencoder"


def test_the_number_of_patients_decides_on_epochs():
    assert TrainingConfig().resolved(SMALL_COHORT - 1).max_epochs == 120
    assert TrainingConfig().resolved(SMALL_COHORT).max_epochs == 60
    assert TrainingConfig(max_epochs=7).resolved(2).max_epochs == 7


@pytest.mark.parametrize(("n_patients", "n_epochs"), [(4, 120), (SMALL_COHORT, 60)])
def test_as_many_epochs_are_run(make_bags, fit, n_patients, n_epochs):
    bags = make_bags(n_patients=n_patients, n_cells=3)
    _, history = fit(bags, bags.replicas(2), network={"compression": "pca"}, max_epochs=None)
    assert history["epoch"].nunique() == n_epochs


@pytest.mark.parametrize("compression", ["autoencoder", "pca", None])
@pytest.mark.parametrize("n_patients", [2, 1000])
def test_what_was_requested_is_kept(compression, n_patients):
    assert NetworkConfig(compression=compression).resolved(n_patients, 6).compression == compression


@pytest.mark.parametrize(("n_patients", "expected"), [(8, "pca"), (SMALL_COHORT, "autoencoder")])
def test_auto_gives_what_its_choice_gives(make_bags, fit, n_patients, expected):
    bags = make_bags(n_patients=n_patients)
    replicas = bags.replicas(2)
    chosen, _ = fit(bags, replicas, network={"compression": "auto"})
    named, _ = fit(bags, replicas, network={"compression": expected})
    assert chosen.config == named.config and chosen.config.compression == expected
    for of_chosen, of_named in [
        (chosen.encoders.weights, named.encoders.weights),
        (chosen.classifier, named.classifier),
    ]:
        assert of_chosen.keys() == of_named.keys()
        assert all(np.array_equal(of_chosen[name], of_named[name]) for name in of_chosen)


def test_several_samples_of_a_patient_count_once(make_bags, fit):
    bags = make_bags(n_patients=2 * SMALL_COHORT - 4, n_cells=3)
    persons = np.arange(bags.n_bags) // 2
    bags = dataclasses.replace(bags, labels=persons % 2, groups=persons)
    assert bags.n_labelled == 2 * SMALL_COHORT - 4 and bags.n_labelled_patients == SMALL_COHORT - 2
    stack, _ = fit(bags, bags.replicas(2), network={"compression": "auto"}, max_epochs=1)
    assert stack.config.compression == "pca"


def test_patients_without_an_outcome_do_not_count(make_bags, fit):
    labels = [*[0, 1] * 3, *[-1] * SMALL_COHORT]
    bags = make_bags(n_patients=len(labels), n_cells=3, labels=labels)
    stack, _ = fit(bags, bags.replicas("loo"), network={"compression": "auto"}, max_epochs=1)
    assert stack.config.compression == "pca"


def test_a_fitted_stack_says_which_compression_it_has(make_bags, fit):
    bags = make_bags()
    stack, _ = fit(bags, bags.replicas(2))
    with pytest.raises(ValueError, match="compression='auto' is for fitting; a fitted stack has one of 'autoencoder'"):
        dataclasses.replace(stack, config=dataclasses.replace(stack.config, compression="auto"))


@pytest.mark.parametrize(
    ("size", "n_latent"),
    [({"n_features": 1}, 1), ({"n_features": 40, "n_cells": 3, "n_patients": 4}, 8)],
    ids=["one feature", "fewer cells than features"],
)
def test_principal_components_of_awkward_shapes(make_bags, fit, size, n_latent):
    bags = make_bags(**size)
    bags.x[:, -1] = bags.x[0, -1] if bags.x.shape[1] > 1 else bags.x[:, -1]  # and one that is constant
    stack, _ = fit(bags, bags.replicas(2), network={"compression": "pca"})
    z = stack.encode(stack.scale(bags.x))
    assert z.shape == (2, len(bags.x), n_latent) and np.isfinite(z.numpy()).all()
    assert all(np.isfinite(w).all() for w in stack.classifier.values())


def test_the_direction_of_a_component_is_that_of_any_order_of_features(make_bags, fit):
    bags = make_bags(n_cells=40)
    turned = dataclasses.replace(bags, x=np.ascontiguousarray(bags.x[:, ::-1]))
    replicas = bags.replicas(2)
    latents = []
    for data in (bags, turned):
        stack, _ = fit(data, replicas, network={"compression": "pca", "n_latent": 3})
        latents.append(stack.encode(stack.scale(data.x)).numpy())
    np.testing.assert_allclose(*latents, atol=1e-4)


def test_axes_along_which_nothing_varies_are_zero():
    x = np.random.default_rng(0).normal(size=(5, 30))
    axes = principal_axes(torch.from_numpy(x), 8).numpy()
    norms = np.linalg.norm(axes, axis=0)
    np.testing.assert_allclose(norms, [1, 1, 1, 1, 0, 0, 0, 0], atol=1e-12)


def test_many_features_have_the_components_of_sklearn():
    rng = np.random.default_rng(0)
    x = rng.normal(size=(120, 6)) * [9, 7, 5, 4, 3, 2] @ rng.normal(size=(6, MANY_FEATURES + 200))
    x += 0.1 * rng.normal(size=x.shape)
    axes = principal_axes(torch.from_numpy(x), 4).numpy()
    expected = PCA(4, svd_solver="full").fit(x).components_
    np.testing.assert_allclose(np.abs(expected @ axes), np.eye(4), atol=1e-6)
    largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=0, keepdims=True), axis=0)
    assert (largest > 0).all()


def test_many_features_and_few_cells(make_bags, fit):
    bags = make_bags(n_patients=4, n_cells=3, n_features=MANY_FEATURES + 1)
    stack, _ = fit(bags, bags.replicas("loo", n_seeds=2), network={"compression": "pca", "n_latent": 10})
    z = stack.encode(stack.scale(bags.x)).numpy()
    assert z.shape == (8, 12, 10) and np.isfinite(z).all()
    for seed_of_fold in (stack.replicas.fold == fold for fold in np.unique(stack.replicas.fold)):
        assert np.ptp(stack.encoders.weights["components"][seed_of_fold], axis=0).max() == 0  # the same cells
