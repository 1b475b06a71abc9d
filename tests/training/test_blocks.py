"""Several representations of a cell, side by side in the bags."""

from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import tcellmil.training._fit as fitting
from tcellmil.fitted import explain_bag, perturb_bags, predict_bags
from tcellmil.nn import NetworkConfig
from tcellmil.training import TrainingConfig, fit_temperatures

WIDTHS = (6, 4)


@pytest.fixture(scope="session")
def make_blocks(make_bags):
    """Scores in [0, 1] beside values of any size; ``change`` is a patient whose values in some block are others."""

    def build(*, change=None, block=None, **kwargs):
        of_block = [{"change": change} if b == block else {} for b in range(2)]
        scores = make_bags(n_features=WIDTHS[0], unit_interval=True, **of_block[0], **kwargs)
        values = make_bags(n_features=WIDTHS[1], seed=1, **of_block[1], **kwargs)
        return replace(scores, x=np.hstack([scores.x, values.x]), blocks=WIDTHS, unit_interval=(True, False))

    return build


# one block, and each of several ------------------------------------------------------------------------------------


@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
def test_one_block_of_all_columns_is_no_block(make_bags, fit, same_weights, encoder):
    bags = make_bags()
    named = replace(bags, blocks=(bags.x.shape[1],))
    (plain, history), (stack, same_history) = (
        fit(b, b.replicas(2), encoder=encoder, dropout=0.2) for b in (bags, named)
    )
    assert same_weights(plain, stack)
    pd.testing.assert_frame_equal(history, same_history, check_exact=True)


@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
def test_the_first_block_has_the_encoder_that_it_has_alone(make_blocks, fit, encoder):
    bags = make_blocks()
    alone = bags.by_representation()[0]
    both, _ = fit(bags, bags.replicas(2), encoder=encoder, dropout=0.2)
    single, _ = fit(alone, alone.replicas(2), encoder=encoder, dropout=0.2)
    for name, weight in single.encoders.weights.items():
        np.testing.assert_array_equal(both.encoders.weights[f"0.{name}"], weight)
    z = both.encode(both.scale(bags.x)).numpy()
    np.testing.assert_array_equal(z[..., :8], single.encode(single.scale(alone.x)).numpy())
    assert z.shape[2] == both.n_latent == 16


def test_every_block_has_random_numbers_of_its_own(make_bags, fit):
    bags = make_bags()
    twice = replace(bags, x=np.hstack([bags.x, bags.x]), blocks=(6, 6), unit_interval=())
    stack, _ = fit(twice, twice.replicas(2))
    assert not np.array_equal(
        stack.encoders.weights["0.encoder.0.weight"], stack.encoders.weights["1.encoder.0.weight"]
    )


def test_every_block_has_a_standardised_latent_over_the_training_cells(make_blocks, fit):
    bags = make_blocks()
    stack, _ = fit(bags, bags.replicas(2))
    z = stack.encode(stack.scale(bags.x)).numpy()
    for k, train in enumerate(stack.replicas.train):
        own = z[k, train[bags.bag_of_cell]]
        np.testing.assert_allclose(own.mean(axis=0), 0, atol=1e-4)
        for block in (slice(0, 8), slice(8, 16)):
            assert own[:, block].var(axis=0, ddof=1).mean() == pytest.approx(1, abs=1e-3)


def test_scores_and_values_are_each_scaled_as_they_should_be(make_blocks, fit):
    bags = make_blocks()
    stack, _ = fit(bags, bags.replicas(2))
    scaled = stack.scale(bags.x).numpy()
    np.testing.assert_allclose(scaled[:, :, :6], np.broadcast_to(2 * bags.x[:, :6] - 1, (2, len(bags.x), 6)), atol=1e-6)
    for k, train in enumerate(stack.replicas.train):
        own = bags.x[train[bags.bag_of_cell], 6:]
        expected = np.clip((bags.x[:, 6:] - own.mean(axis=0)) / (3 * own.std(axis=0)), -1, 1)
        np.testing.assert_allclose(scaled[k, :, 6:], expected, atol=1e-4)


@pytest.mark.parametrize(("compression", "n_latent"), [("autoencoder", 16), ("pca", 8 - 2 + 4), (None, 10)])
def test_every_compression_works_on_every_block(make_blocks, fit, compression, n_latent):
    bags = make_blocks()
    stack, _ = fit(bags, bags.replicas(2), network={"compression": compression})
    predicted = predict_bags(stack, bags, stack.replicas.test)
    assert predicted.latent.shape == (len(bags.x), n_latent)
    assert np.isfinite(predicted.latent).all() and np.isfinite(predicted.probabilities).all()
    again, _ = fit(bags, stack.replicas, network={"compression": compression}, encoders_of=stack)
    np.testing.assert_allclose(
        predict_bags(again, bags).probabilities, predict_bags(stack, bags).probabilities, atol=1e-3
    )


def test_history_has_the_losses_of_every_block(make_blocks, fit):
    bags = make_blocks()
    _, history = fit(bags, bags.replicas(2), early_stopping="none")
    assert history["stage"].unique().tolist() == ["autoencoder.0", "autoencoder.1", "mil"]
    assert (history.groupby(["stage", "replica"]).size() == 3).all()


# a stack is its replicas, and nothing leaks -------------------------------------------------------------------------


@pytest.mark.parametrize("dropout", [0.0, 0.3])
@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
def test_a_replica_trained_in_a_stack_predicts_as_if_trained_alone(make_blocks, fit, encoder, dropout):
    bags = make_blocks()
    replicas = bags.replicas("rebalanced_loo", n_seeds=2, seed=3)
    stack, _ = fit(bags, replicas, encoder=encoder, dropout=dropout)
    for k in (0, 5, 11):
        alone, _ = fit(bags, replicas[[k]], encoder=encoder, dropout=dropout)
        in_stack = predict_bags(stack.select(np.array([k])), bags).probabilities
        np.testing.assert_allclose(in_stack, predict_bags(alone, bags).probabilities, atol=1e-4)
    other = predict_bags(stack.select(np.array([0])), bags).probabilities
    assert np.abs(other - in_stack).max() > 1e-3


def test_replicas_trained_in_several_chunks_are_the_same(make_blocks, fit, monkeypatch):
    bags = make_blocks()
    replicas = bags.replicas("loo")
    whole, _ = fit(bags, replicas)
    monkeypatch.setattr(fitting, "STACK_BYTES", 1.0)
    parts, _ = fit(bags, replicas)
    for a, b in (
        (whole.encoders.scaling.loc, parts.encoders.scaling.loc),
        (whole.encoders.weights["1.centre"], parts.encoders.weights["1.centre"]),
    ):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_allclose(predict_bags(whole, bags).latent, predict_bags(parts, bags).latent, atol=1e-4)


@pytest.mark.parametrize("block", [0, 1])
def test_no_value_of_a_held_out_patient_in_any_block_reaches_a_weight(make_blocks, same_weights, fit, block):
    patient = 4
    bags, changed = make_blocks(), make_blocks(change=patient, block=block)
    columns = np.array_split(np.abs(bags.x - changed.x).max(axis=0), [WIDTHS[0]])
    assert columns[block].min() > 0.1 and columns[1 - block].max() == 0
    replicas = bags.replicas("loo")
    before, after = (fit(b, replicas, dropout=0.2)[0] for b in (bags, changed))
    assert same_weights(before.select(np.array([patient])), after.select(np.array([patient])))
    for k in (0, 3, 7):
        k = np.array([k])
        assert not same_weights(before.select(k), after.select(k), part=f"encoder.{block}")
        assert same_weights(before.select(k), after.select(k), part=f"encoder.{1 - block}")
        assert not same_weights(before.select(k), after.select(k), part="classifier")


def test_temperatures_are_fitted_on_several_blocks(make_blocks):
    bags = make_blocks()
    training = TrainingConfig(max_epochs=3, max_epochs_ae=3, accelerator="cpu")
    network = NetworkConfig(compression="autoencoder", n_hidden=8, n_latent=4, n_attention=4)
    found = fit_temperatures(bags, bags.replicas(2), network, training, progress=False)
    assert found.shape == (2,) and (found > 0).all()


# explanation and perturbation ---------------------------------------------------------------------------------------


def test_the_values_of_a_bag_add_up_over_all_blocks(make_blocks, fit):
    bags = make_blocks()
    stack, _ = fit(bags, bags.replicas("loo"), max_epochs=20, lr=1e-2)
    options = {"background": 100, "n_steps": 32, "output": "probability", "seed": 0}
    part = explain_bag(stack.select(np.array([2])), bags, 2, **options)
    assert part.values.shape == (12, 2, 10)
    assert np.abs(part.error).max() < 0.02 * np.abs(part.output - part.expected).max()
    for block in (slice(0, 6), slice(6, 10)):
        assert np.abs(part.values[..., block]).max() > 1e-4


def test_a_shift_of_a_feature_of_the_second_block_is_that_of_its_values(make_blocks, fit):
    bags = make_blocks()
    bags = replace(bags, x=np.clip(bags.x, -1, 1))  # all on the networks' scale, before and after
    stack, _ = fit(bags, bags.replicas("loo"), max_epochs=20, lr=1e-2)
    amounts = np.full((1, bags.n_bags, 1), 0.4)
    everywhere = np.ones(len(bags.x), dtype=bool)
    base, perturbed = perturb_bags(stack, bags, np.array([[7]]), amounts, everywhere, stack.replicas.test)
    x = bags.x.copy()
    x[:, 7] += 0.4
    shifted = predict_bags(stack, replace(bags, x=x), stack.replicas.test).probabilities
    np.testing.assert_allclose(perturbed[0], shifted, atol=1e-5)
    assert np.abs(perturbed[0] - base).max() > 1e-3


# bad input ----------------------------------------------------------------------------------------------------------


def test_encoders_of_other_blocks_are_refused(make_blocks, fit):
    bags = make_blocks()
    stack, _ = fit(bags, bags.replicas(2))
    other = replace(bags, blocks=(5, 5))
    with pytest.raises(ValueError, match=r"encoders_of has blocks=\(6, 4\), the bags have \(5, 5\)"):
        fit(other, other.replicas(2), encoders_of=stack)
