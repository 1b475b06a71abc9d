"""An ensemble is the weighted mean of its members' scores, and so is everything that follows from scores."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from tcellmil.fitted import FittedEnsemble, explain_bag, perturb_bags, predict_bags
from tcellmil.nn import NetworkConfig
from tcellmil.training import TrainingConfig, fit_stack

TRAINING = TrainingConfig(max_epochs=8, lr=3e-2, eps=1e-8, accelerator="cpu")


@pytest.fixture(scope="module")
def bags(make_bags):
    return make_bags(n_patients=6, n_cells=10)


@pytest.fixture(scope="module")
def found(bags):
    replicas = bags.replicas(2)
    networks = (
        NetworkConfig(compression="pca", n_latent=3, n_attention=4),
        NetworkConfig(compression=None, pooling="mean", moments="mean_sd", units="patients"),
    )
    stacks = [fit_stack(bags, replicas, network, TRAINING, progress=False)[0] for network in networks]
    stacks = [replace(stack, temperature=np.array([t, 2 * t])) for stack, t in zip(stacks, (0.5, 3.0), strict=True)]
    return FittedEnsemble(tuple(stacks), np.array([[0.25, 1.0], [0.75, 0.0]]))


def scores(ensemble, bags, i):
    scaled = ensemble.scale(bags.x[bags.bag(i)])[:, None]
    return ensemble.logits(scaled, bags.bag_covariates[i])[:, 0].numpy()


def test_scores_are_the_weighted_mean_of_scores(found, bags):
    parts = np.stack([scores(FittedEnsemble.of(member), bags, 2) for member in found.members])
    np.testing.assert_allclose(scores(found, bags, 2), (found.mixture[..., None] * parts).sum(axis=0), rtol=1e-5)


def test_attention_is_the_weighted_mean_and_sums_to_one(found, bags):
    attention = found.predict_bag(bags, 1)[1]
    np.testing.assert_allclose(attention.sum(axis=1), 1, rtol=1e-5)
    of_first = FittedEnsemble.of(found.members[0]).predict_bag(bags, 1)[1]
    np.testing.assert_allclose(attention[0], 0.25 * of_first[0] + 0.75 / 10, rtol=1e-4)
    np.testing.assert_allclose(attention[1], of_first[1], rtol=1e-5)  # the mean over cells does not count there


def test_latents_are_those_of_the_configuration_that_counts_most(found, bags):
    predictions = predict_bags(found, bags, found.replicas.test)
    assert found.leading == 0 and predictions.latent.shape == (60, 3)
    turned = replace(found, mixture=found.mixture[::-1])
    assert predict_bags(turned, bags, found.replicas.test).latent.shape == (60, 6)


def test_attributions_of_an_ensemble_add_up(found, bags):
    own = found.select(np.array([0]))
    explained = explain_bag(own, bags, 0, background=40, n_steps=16, output="logit", seed=0)
    assert abs(explained.error).max() < 0.01 * max(1.0, abs(explained.output - explained.expected).max())


def test_a_shift_is_what_shifted_cells_predict(found, bags):
    touched = np.ones(len(bags.x), dtype=bool)
    shown = np.ones((2, bags.n_bags), dtype=bool)
    amounts = np.full((1, bags.n_bags, 1), 0.4)
    _, shifted = perturb_bags(found, bags, np.array([[0]]), amounts, touched, shown)
    x = bags.x.copy()
    x[:, 0] += 0.4
    np.testing.assert_allclose(shifted[0], predict_bags(found, replace(bags, x=x)).probabilities, atol=1e-5)


def test_replicas_can_be_taken_out(found, bags):
    second = found.select(np.array([1]))
    np.testing.assert_allclose(scores(second, bags, 3)[0], scores(found, bags, 3)[1], rtol=1e-5)


def test_standard_deviations_of_equal_cells_have_a_slope(make_bags):
    bags = make_bags(n_patients=6, n_cells=10)
    bags.x[:, 2] = 0.5
    network = NetworkConfig(compression=None, pooling="mean", moments="mean_sd", units="patients")
    stack = fit_stack(bags, bags.replicas(2), network, TRAINING, progress=False)[0]
    cells = stack.scale(bags.x[bags.bag(0)])[:, None].requires_grad_()
    stack.scores(cells, bags.bag_covariates[0])[0].sum().backward()
    assert torch.isfinite(cells.grad).all()
