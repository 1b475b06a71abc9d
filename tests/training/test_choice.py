"""Configurations are chosen within the training patients of each replica, and averaged where these cannot tell."""

from dataclasses import replace

import numpy as np
import pytest
from scipy.special import log_softmax

from tcellmil.fitted import replica_probabilities
from tcellmil.nn import NetworkConfig
from tcellmil.stats._model_choice import not_worse
from tcellmil.training import TrainingConfig, configurations, fit_ensemble
from tcellmil.training._selection._choice import MIN_SPREAD, first_with_same_test, weigh

TRAINING = TrainingConfig(max_epochs=4, lr=3e-2, eps=1e-8, accelerator="cpu")


def ensemble(bags, replicas, **options):
    networks = configurations(bags, NetworkConfig(n_latent=3), ["n_latent"])
    return fit_ensemble(bags, replicas, networks, TRAINING, progress=False, **options)


def same(one, other, replica):
    """Whether two ensembles are the same, bit for bit, in a replica."""
    pairs = [(one.mixture[:, replica], other.mixture[:, replica])]
    for a, b in zip(one.members, other.members, strict=True):
        pairs += [(a.classifier[name][replica], b.classifier[name][replica]) for name in a.classifier]
        pairs += [(a.encoders.weights[name][replica], b.encoders.weights[name][replica]) for name in a.encoders.weights]
        pairs += [(a.temperature[replica], b.temperature[replica])]
    return all(np.array_equal(x, y) for x, y in pairs)


def test_an_ensemble_is_attention_and_the_distribution_of_features(make_bags):
    found = configurations(make_bags(), NetworkConfig())
    assert [network.words for network in found] == ["pca 6, attention", "features, mean with sd, standardised"]


@pytest.mark.parametrize("compression", ["pca", "autoencoder", None])
def test_a_compression_that_is_named_is_that_of_all(make_bags, compression):
    found = configurations(make_bags(), NetworkConfig(compression=compression), ["compression"])
    assert {network.compression for network in found} == {compression} and len(found) == 2


def test_options_that_are_given_hold_in_every_configuration(make_bags):
    found = configurations(make_bags(), NetworkConfig(pooling="mean", moments="mean"), ["pooling", "moments"])
    assert {(network.pooling, network.moments) for network in found} == {("mean", "mean")} and len(found) == 2
    found = configurations(make_bags(), NetworkConfig(pooling="max"), ["pooling"])
    assert {network.pooling for network in found} == {"max"}


def test_a_held_out_patient_never_reaches_the_choice(make_bags):
    bags, changed = make_bags(n_patients=10), make_bags(n_patients=10, change=4)
    relabelled = replace(changed, labels=np.where(np.arange(10) == 4, 1 - changed.labels, changed.labels))
    replicas = bags.replicas("loo", n_seeds=2)
    fits = [ensemble(data, replicas)[0] for data in (bags, changed)]
    with_label = ensemble(relabelled, replicas)[0]
    for k in range(len(replicas)):
        own = replicas.test[k, 4]
        assert same(fits[0], fits[1], k) == own and same(fits[0], with_label, k) == own


def test_the_same_seed_gives_the_same_ensemble_twice(make_bags):
    bags = make_bags()
    replicas = bags.replicas("rebalanced_loo", n_seeds=2)
    (one, _, loss), (other, _, again) = ensemble(bags, replicas), ensemble(bags, replicas)
    assert np.array_equal(loss, again) and all(same(one, other, k) for k in range(len(replicas)))


def test_the_order_of_replicas_in_chunks_does_not_matter(make_bags, monkeypatch):
    from tcellmil.training import _fit

    bags = make_bags()
    replicas = bags.replicas("loo", n_seeds=2)
    whole = ensemble(bags, replicas)[0]
    monkeypatch.setattr(_fit, "STACK_BYTES", 1)
    pieces = ensemble(bags, replicas)[0]
    np.testing.assert_allclose(pieces.mixture, whole.mixture)
    np.testing.assert_allclose(replica_probabilities(pieces, bags), replica_probabilities(whole, bags), atol=1e-5)


def test_seeds_that_hold_out_the_same_patient_make_one_choice(make_bags):
    bags = make_bags()
    replicas = bags.replicas("rebalanced_loo", n_seeds=3)
    first = first_with_same_test(replicas, np.broadcast_to(bags.labels, replicas.train.shape), None)
    assert np.array_equal(first, np.tile(np.arange(8), 3))
    own_splits = bags.replicas(2, n_seeds=3)
    first = first_with_same_test(own_splits, np.broadcast_to(bags.labels, own_splits.train.shape), None)
    for k, chooser in enumerate(first):
        assert np.array_equal(own_splits.test[k], own_splits.test[chooser])


def test_weights_and_losses_are_those_of_the_inner_predictions(make_bags):
    bags = make_bags(n_patients=9, labels=[0, 0, 0, 0, 0, 1, 1, 1, 1])
    rng = np.random.default_rng(0)
    test = np.arange(9) % 3 == np.arange(3)[:, None]
    outputs = [np.where(test[..., None], scale * rng.normal(size=(3, 9, 2)), np.nan) for scale in (1.0, 40.0)]
    weights, spread, loss = weigh(bags, test, bags.labels, outputs)
    losses = []
    for values, own in zip(outputs, spread, strict=True):
        of_patient = np.nansum(values, axis=0)
        assert own == pytest.approx((of_patient[:, 1] - of_patient[:, 0]).std())
        log_p = log_softmax(of_patient / own, axis=1)[np.arange(9), bags.labels]
        losses.append(-log_p * np.where(bags.labels == 0, 9 / 10, 9 / 8))
    np.testing.assert_allclose(loss, np.mean(losses, axis=1))
    kept = not_worse(np.array(losses))
    np.testing.assert_allclose(weights, kept / kept.sum())
    (alone, _, _) = weigh(bags, test, bags.labels, outputs, single=True)
    assert alone.tolist() == [float(i == np.argmin(loss)) for i in range(2)]


def test_labels_take_no_part_in_the_spread(make_bags):
    bags = make_bags()
    rng = np.random.default_rng(0)
    test = np.arange(8) % 2 == np.arange(2)[:, None]
    outputs = [rng.normal(size=(2, 8, 2)) for _ in range(2)]
    spreads = [weigh(bags, test, labels, outputs)[1] for labels in (bags.labels, bags.labels[::-1])]
    np.testing.assert_array_equal(*spreads)


def test_scores_of_a_network_that_learned_nothing_stay_small(make_bags):
    bags = make_bags()
    test = np.arange(8) % 2 == np.arange(2)[:, None]
    outputs = [np.full((2, 8, 2), 0.3), 1e-9 * np.random.default_rng(0).normal(size=(2, 8, 2))]
    weights, spread, _ = weigh(bags, test, bags.labels, outputs)
    assert spread.tolist() == [MIN_SPREAD, MIN_SPREAD] and weights.tolist() == [0.5, 0.5]


def test_the_first_always_counts_and_others_where_they_are_not_worse(make_bags):
    bags = make_bags()
    test, y = np.arange(8) % 2 == np.arange(2)[:, None], np.eye(2)[bags.labels]
    noise = np.random.default_rng(0).normal(size=(8, 2))
    poor, good = (np.broadcast_to(scores, (2, 8, 2)) for scores in (noise, 4 * y + 0.5 * noise))
    assert weigh(bags, test, bags.labels, [poor, good])[0].tolist() == [0.5, 0.5]
    assert weigh(bags, test, bags.labels, [good, poor])[0].tolist() == [1.0, 0.0]
    assert weigh(bags, test, bags.labels, [poor, good], single=True)[0].tolist() == [0.0, 1.0]


def test_one_configuration_is_fitted_as_it_always_was(make_bags, fit):
    bags = make_bags()
    replicas = bags.replicas("loo")
    network = NetworkConfig(compression="pca", n_latent=3)
    found, history, loss = fit_ensemble(bags, replicas, [network], TRAINING, progress=False)
    assert loss is None and found.members[0].temperature is None and (found.mixture == 1).all()
    assert set(history["configuration"]) == {0}


def test_what_only_attention_finds_is_left_to_attention(make_bags):
    bags = make_bags(n_patients=24, n_cells=60, n_features=12)
    rng = np.random.default_rng(0)
    x = rng.normal(size=(24, 60, 12)).astype(np.float32)
    x[:, :3, 1] += 12  # three cells of a kind in every patient
    x[:, :3, 0] += np.where(bags.labels == 1, 4, -4)[:, None]  # whose state differs
    x[:, 3:, 0] -= (x[:, :, 0].sum(axis=1) / 57)[:, None]  # and is made up for by the rest: all means are alike
    bags = replace(bags, x=x.reshape(-1, 12), n_cohorts=0, cohorts=np.full(24, -1))
    networks = configurations(bags, NetworkConfig())
    assert [network.pooling for network in networks] == ["attention", "mean"]
    found, _, loss = fit_ensemble(bags, bags.replicas(3), networks, TrainingConfig(max_epochs=120), progress=False)
    assert (loss[0] < loss[1]).all() and found.mixture[0].mean() > 0.6
