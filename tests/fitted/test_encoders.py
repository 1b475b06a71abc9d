"""Fitted encoders as arrays: some of them, more of them, and several representations side by side."""

from dataclasses import replace

import numpy as np
import pytest

from tcellmil.fitted import Encoders, FittedStack, Scaling
from tcellmil.nn import NetworkConfig

COMPRESSIONS = ("autoencoder", "pca", None)


@pytest.fixture(scope="module", params=COMPRESSIONS, ids=str)
def fitted(request, make_bags, fit):
    bags = make_bags()
    return bags, fit(bags, bags.replicas(3), network={"compression": request.param, "n_latent": 3})[0].encoders


def encode(encoders, x):
    return encoders.encode_all(x).numpy()


def test_encoders_know_their_number_and_sizes(fitted):
    bags, encoders = fitted
    assert len(encoders) == 3 and encoders.n_features == 6 and encoders.blocks == (6,)
    assert encoders.n_latent == encode(encoders, bags.x).shape[2] == (6 if encoders.config.compression is None else 3)


def test_some_of_the_encoders_encode_as_they_do_among_all(fitted):
    bags, encoders = fitted
    some = encoders.of(np.array([2, 0]))
    assert len(some) == 2
    np.testing.assert_allclose(encode(some, bags.x), encode(encoders, bags.x)[[2, 0]], atol=1e-6)


def test_encoders_that_are_joined_encode_as_by_themselves(fitted):
    bags, encoders = fitted
    joined = Encoders.join([encoders.of(np.array([k])) for k in range(3)])
    assert joined.config == encoders.config and joined.weights.keys() == encoders.weights.keys()
    for name, weight in encoders.weights.items():
        np.testing.assert_array_equal(joined.weights[name], weight)
    np.testing.assert_array_equal(joined.scaling.loc, encoders.scaling.loc)
    np.testing.assert_allclose(encode(joined, bags.x), encode(encoders, bags.x), atol=1e-6)


def test_one_scaling_for_all_stays_one_when_encoders_are_joined(make_bags, fit):
    bags = make_bags(unit_interval=True)
    encoders = fit(bags, bags.replicas(4))[0].encoders
    assert len(encoders.scaling.loc) == 1
    joined = Encoders.join([encoders.of(np.array([0, 1])), encoders.of(np.array([2, 3]))])
    assert len(joined) == 4 and len(joined.scaling.loc) == 1
    np.testing.assert_allclose(encode(joined, bags.x), encode(encoders, bags.x), atol=1e-6)


def test_single_encoders_with_one_scaling_each_are_joined_too(make_bags, fit):
    bags = make_bags(unit_interval=True)
    encoders = fit(bags, bags.replicas(2))[0].encoders
    joined = Encoders.join([encoders.of(np.array([k])) for k in range(2)])
    np.testing.assert_allclose(encode(joined, bags.x), encode(encoders, bags.x), atol=1e-6)


def test_representations_side_by_side_have_latents_side_by_side(fitted):
    bags, encoders = fitted
    config = replace(encoders.config, n_latent=3)
    both = Encoders.side_by_side(config, [encoders, encoders])
    assert (both.blocks, both.n_features, both.n_latent) == ((6, 6), 12, 2 * encoders.n_latent)
    assert both.weights.keys() == {f"{b}.{name}" for b in range(2) for name in encoders.weights}
    assert both.config is config and len(both) == 3
    other = bags.x[::-1]
    expected = np.concatenate([encode(encoders, bags.x), encode(encoders, other)], axis=-1)
    np.testing.assert_allclose(encode(both, np.hstack([bags.x, other])), expected, atol=1e-6)


def test_one_representation_side_by_side_is_itself_with_the_config_of_all(fitted):
    _, encoders = fitted
    config = NetworkConfig(compression=encoders.config.compression, n_latent=5)
    alone = Encoders.side_by_side(config, [encoders])
    assert alone.config is config and alone.weights is encoders.weights and alone.blocks == (6,)


def test_one_scaling_beside_one_per_encoder_becomes_one_per_encoder():
    each = Scaling(np.arange(6.0, dtype=np.float32).reshape(3, 2), np.ones((3, 2), np.float32))
    joint = Scaling.side_by_side([Scaling.unit_interval(1), each])
    assert joint.loc.tolist() == [[0.5, 0, 1], [0.5, 2, 3], [0.5, 4, 5]]
    assert joint.scale.tolist() == [[0.5, 1, 1]] * 3
    assert len(Scaling.side_by_side([Scaling.unit_interval(1), Scaling.unit_interval(2)]).loc) == 1


def test_many_cells_are_encoded_as_a_few(fitted, monkeypatch):
    bags, encoders = fitted
    whole = encode(encoders, bags.x)
    monkeypatch.setattr("tcellmil.fitted._encoders.CELLS_AT_ONCE", 7)
    np.testing.assert_allclose(encode(encoders, bags.x), whole, atol=1e-6)


def test_a_stack_takes_the_encoders_of_its_replicas(make_bags, fit):
    bags = make_bags()
    stack, _ = fit(bags, bags.replicas("loo", n_seeds=2), encoder="shared")
    assert isinstance(stack, FittedStack) and len(stack) == 16 and len(stack.encoders) == 2
    some = stack.select(np.array([15, 9]))
    assert len(some.encoders) == 1 and some.encoder_of_replica.tolist() == [0, 0]
    np.testing.assert_allclose(encode(some.encoders, bags.x)[0], encode(stack.encoders, bags.x)[1], atol=1e-6)
