import numpy as np
import pytest
import torch
from torch import nn

from tcellmil.nn import StackedAutoencoder, StackedDropout, StackedLayerNorm, StackedLinear


def generators(n, first=0):
    return [torch.Generator().manual_seed(first + i) for i in range(n)]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def linear_slice(stacked, k):
    layer = nn.Linear(*stacked.weight.shape[1:], bias=stacked.bias is not None)
    layer.weight.data = stacked.weight[k].detach().T.clone()
    if stacked.bias is not None:
        layer.bias.data = stacked.bias[k, 0].detach().clone()
    return layer


@pytest.mark.parametrize("bias", [True, False])
def test_a_slice_of_stacked_linear_is_torch_linear(bias):
    stacked, x = StackedLinear(generators(3), 5, 4, bias=bias), draw(3, 7, 5)
    for k in range(3):
        torch.testing.assert_close(stacked(x)[k], linear_slice(stacked, k)(x[k]))


def test_one_input_is_read_by_all_replicas():
    stacked, x = StackedLinear(generators(3), 5, 4), draw(1, 7, 5)
    torch.testing.assert_close(stacked(x), stacked(x.repeat(3, 1, 1)))


def test_a_replica_starts_from_its_own_generator_alone():
    stack, alone = StackedLinear(generators(4), 5, 4), StackedLinear(generators(1, first=2), 5, 4)
    assert torch.equal(stack.weight[2], alone.weight[0])
    assert torch.equal(stack.bias[2], alone.bias[0])
    assert not torch.equal(stack.weight[1], alone.weight[0])


def test_linear_starts_within_the_bounds_of_torch():
    weight = StackedLinear(generators(2), 16, 200).weight
    assert weight.abs().max() <= 0.25
    assert weight.abs().max() > 0.24
    assert abs(weight.mean()) < 0.01


def test_a_slice_of_stacked_layer_norm_is_torch_layer_norm():
    stacked, x = StackedLayerNorm(3, 6), 5 * draw(3, 7, 6) + 2
    stacked.weight.data, stacked.bias.data = draw(3, 1, 6, seed=1), draw(3, 1, 6, seed=2)
    for k in range(3):
        layer = nn.LayerNorm(6)
        layer.weight.data, layer.bias.data = stacked.weight[k, 0].clone(), stacked.bias[k, 0].clone()
        torch.testing.assert_close(stacked(x)[k], layer(x[k]))


def torch_half(half, k):
    norm = nn.LayerNorm(half[1].weight.shape[-1])
    norm.weight.data, norm.bias.data = half[1].weight[k, 0].detach(), half[1].bias[k, 0].detach()
    return nn.Sequential(linear_slice(half[0], k), norm, nn.ReLU(), linear_slice(half[-1], k))


def test_a_slice_of_the_autoencoder_is_an_ordinary_autoencoder():
    stacked = StackedAutoencoder(generators(3), 5, n_hidden=8, n_latent=4, dropout=0.5).eval()
    x = draw(3, 11, 5)
    stacked.set_input_units(draw(3, 1, 5, seed=3), draw(3, 1, 5, seed=4).abs() + 0.5)
    standardised = stacked.standardise(x)
    for k in range(3):
        encoder, decoder = torch_half(stacked.encoder, k), torch_half(stacked.decoder, k)
        torch.testing.assert_close(stacked.encode(x)[k], encoder(standardised[k]), atol=1e-5, rtol=1e-5)
        torch.testing.assert_close(stacked(x)[k], decoder(encoder(standardised[k])), atol=1e-5, rtol=1e-5)


def test_features_are_standardised_by_each_replicas_moments_and_limited():
    stacked = StackedAutoencoder(generators(2), 1, n_hidden=4, n_latent=2)
    stacked.set_input_units(torch.tensor([0.0, 1.0]).view(2, 1, 1), torch.tensor([1.0, 0.5]).view(2, 1, 1))
    x = torch.tensor([0.5, 2.0]).view(1, 2, 1)
    torch.testing.assert_close(stacked.standardise(x), torch.tensor([[0.5, 2.0], [-1.0, 2.0]])[..., None])
    far = stacked.standardise(torch.full((1, 1, 1), 1e6))
    assert far.max() < 100


def test_a_standardised_latent_leaves_the_reconstruction_as_it_was():
    stacked, x = StackedAutoencoder(generators(2), 5, n_hidden=8, n_latent=4).eval(), draw(2, 50, 5)
    before, z = stacked(x).detach(), stacked.encode(x).detach()
    mean, sd = z.mean(dim=1, keepdim=True), z.std(dim=1, keepdim=True)
    stacked.absorb_latent_scale(mean, sd)
    torch.testing.assert_close(stacked.encode(x).detach(), (z - mean) / sd, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(stacked(x).detach(), before, atol=1e-4, rtol=1e-4)


def test_dropout_drops_its_share_and_keeps_the_mean():
    layer, x = StackedDropout(0.3), torch.ones(2, 200, 50)
    out = layer(x)
    assert abs((out == 0).float().mean() - 0.3) < 0.02
    torch.testing.assert_close(out[out != 0], torch.full_like(out[out != 0], 1 / 0.7))


def test_dropout_does_nothing_in_evaluation():
    x = draw(2, 3, 4)
    assert torch.equal(StackedDropout(0.9).eval()(x), x)


def test_replicas_of_one_seed_meet_the_masks_that_the_seed_meets_alone():
    x = torch.ones(3, 20, 10)
    stack, alone = StackedDropout(0.5), StackedDropout(0.5)
    stack.set_random_state(generators(2), torch.tensor([0, 1, 1]))
    alone.set_random_state(generators(1, first=1), torch.tensor([0]))
    out = stack(x)
    assert torch.equal(out[1], alone(x[:1])[0])
    assert torch.equal(out[1], out[2])
    assert not torch.equal(out[0], out[1])


def test_layers_leave_the_global_random_state_alone():
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()
    layer = StackedDropout(0.5)
    layer.set_random_state(generators(1), torch.tensor([0]))
    layer(StackedLinear(generators(1), 3, 3)(draw(1, 2, 3)))
    assert torch.equal(torch.get_rng_state(), state)
    assert np.array_equal(np.random.get_state()[1], numpy_state)
