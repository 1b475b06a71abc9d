"""Every architecture of the engine keeps its promises: independent replicas, nothing from held-out patients."""

import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA

from tcellmil.fitted import predict_bags

ARCHITECTURES = {
    "no autoencoder": {"compression": None},
    "principal components": {"compression": "pca", "n_latent": 3},
    "mean": {"pooling": "mean"},
    "max": {"pooling": "max"},
    "gated": {"attention": "gated"},
    "non-linear attention": {"attention": "mlp", "n_embed": 5},
    "dual branch": {"attention": "gated", "n_embed": 5, "instance_weight": 1.0},
    "linear on means": {"compression": None, "pooling": "mean"},
    "film": {"batch_encoding": "film"},
    "no cohort": {"batch_encoding": None},
}
every_architecture = pytest.mark.parametrize("network", ARCHITECTURES.values(), ids=ARCHITECTURES.keys())


@every_architecture
def test_a_replica_trained_in_a_stack_predicts_as_if_trained_alone(make_bags, fit, network):
    bags = make_bags()
    replicas = bags.replicas("rebalanced_loo", n_seeds=2)
    stack, _ = fit(bags, replicas, network=network, dropout=0.2)
    for k in (0, 11):
        alone, _ = fit(bags, replicas[[k]], network=network, dropout=0.2)
        together = predict_bags(stack.select(np.array([k])), bags).probabilities
        np.testing.assert_allclose(together, predict_bags(alone, bags).probabilities, atol=1e-4)
    other = predict_bags(stack.select(np.array([0])), bags).probabilities
    assert np.abs(other - together).max() > 1e-4


@every_architecture
def test_the_values_of_a_held_out_patient_reach_no_weight_of_its_replicas(make_bags, fit, same_weights, network):
    bags, changed = make_bags(), make_bags(change=4)
    replicas = bags.replicas("loo")
    before, after = (fit(b, replicas, network=network, dropout=0.2)[0] for b in (bags, changed))
    assert same_weights(before.select(np.array([4])), after.select(np.array([4])))
    assert not same_weights(before.select(np.array([3])), after.select(np.array([3])))


@every_architecture
def test_attention_sums_to_one_and_training_lowers_the_loss(make_bags, fit, network):
    bags = make_bags()
    stack, history = fit(bags, bags.replicas("loo"), network=network, max_epochs=30, lr=1e-2)
    attention = predict_bags(stack, bags, stack.replicas.test).attention
    np.testing.assert_allclose(np.add.reduceat(attention, bags.offsets[:-1]), 1, rtol=1e-4)
    loss = history[history["stage"] == "mil"].groupby("epoch")["train_loss"].mean()
    assert loss.iloc[-5:].mean() < loss.iloc[:5].mean()


@every_architecture
def test_gradients_reach_the_cells(make_bags, fit, network):
    bags = make_bags()
    stack, _ = fit(bags, bags.replicas(2), network=network)
    cells = stack.scale(bags.x[bags.bag(0)])[:, None].requires_grad_()
    stack.logits(cells, bags.cohort_onehot[0]).square().sum().backward()
    assert torch.isfinite(cells.grad).all() and (cells.grad != 0).any()


def test_principal_components_are_those_of_the_training_cells(make_bags, fit):
    bags = make_bags(n_cells=40)
    stack, _ = fit(bags, bags.replicas("loo"), network={"compression": "pca", "n_latent": 3})
    for k in (0, 5):
        own = bags.bag_of_cell != k
        scaled = stack.select(np.array([k])).scale(bags.x)[0]
        centre, spread = (torch.from_numpy(stack.encoders.weights[name][k]) for name in ("centre", "spread"))
        x = ((scaled - centre) / spread).clamp(-10, 10).numpy()
        expected = PCA(3).fit(x[own]).transform(x)
        found = stack.select(np.array([k])).encode(stack.select(np.array([k])).scale(bags.x))[0].numpy()
        for i in range(3):
            assert abs(np.corrcoef(expected[:, i], found[:, i])[0, 1]) > 0.9999
        assert found[own].var(axis=0).mean() == pytest.approx(1, rel=0.01)


def test_without_compression_the_latent_is_the_standardised_features(make_bags, fit):
    bags = make_bags()
    stack, history = fit(bags, bags.replicas("loo"), network={"compression": None})
    z = stack.encode(stack.scale(bags.x))
    assert z.shape == (8, len(bags.x), 6)
    for j in range(6):
        assert np.corrcoef(z[0, :, j], bags.x[:, j])[0, 1] > 0.99  # beyond 3 deviations values are clipped
    assert set(history["stage"]) == {"mil"}


def test_the_mean_ignores_where_attention_would_look(make_bags, fit):
    bags = make_bags()
    stack, _ = fit(bags, bags.replicas("loo"), network={"pooling": "mean"})
    np.testing.assert_allclose(predict_bags(stack, bags).attention, 1 / 12, rtol=1e-5)


@pytest.mark.parametrize(
    ("network", "message"),
    [
        ({"compression": "ae"}, r"compression='ae' is not known; choose from"),
        ({"pooling": "sum"}, r"pooling='sum' is not known"),
        ({"attention": "linear"}, r"attention='linear' is not known"),
        ({"n_embed": 0}, r"n_embed=0 must be a whole number of at least 1"),
        ({"instance_weight": -1}, r"instance_weight=-1 must not be negative"),
        ({"instance_weight": 1}, r"instance_weight needs pooling='attention' and n_embed"),
    ],
)
def test_an_architecture_that_is_not_there_is_named(make_bags, fit, network, message):
    bags = make_bags()
    with pytest.raises(ValueError, match=message):
        fit(bags, bags.replicas("loo"), network=network)


@pytest.mark.parametrize("encoder", ["per_fold", "shared"])
@pytest.mark.parametrize("compression", ["autoencoder", "pca", None])
def test_encoders_used_again_give_what_fitting_them_again_gives(make_bags, fit, encoder, compression):
    bags = make_bags()
    replicas = bags.replicas("loo", n_seeds=2)
    first, _ = fit(bags, replicas, encoder=encoder, network={"compression": compression})
    other = {"compression": compression, "pooling": "mean"}
    anew, _ = fit(bags, replicas, encoder=encoder, network=other)
    again, history = fit(bags, replicas, encoder=encoder, network=other, encoders_of=first)
    np.testing.assert_allclose(
        predict_bags(again, bags).probabilities, predict_bags(anew, bags).probabilities, atol=1e-5
    )
    assert set(history["stage"]) == {"mil"}


@pytest.mark.parametrize(
    ("cv", "network", "message"),
    [
        (2, {}, r"encoders_of was fitted on other splits or seeds"),
        ("loo", {"n_latent": 4}, r"encoders_of has n_latent=8, network has 4"),
        ("loo", {"compression": "pca"}, r"encoders_of has compression='autoencoder', network has 'pca'"),
    ],
)
def test_encoders_of_another_kind_are_refused(make_bags, fit, cv, network, message):
    bags = make_bags()
    first, _ = fit(bags, bags.replicas("loo"))
    with pytest.raises(ValueError, match=message):
        fit(bags, bags.replicas(cv), network=network, encoders_of=first)
