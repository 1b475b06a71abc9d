import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.nn import NetworkConfig, StackedAttention, StackedBagClassifier, pool_bags


def generators(n):
    return [torch.Generator().manual_seed(i) for i in range(n)]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("kind", ["tanh", "gated"])
def test_scores_follow_the_formula(kind):
    attention, z = StackedAttention(generators(2), 4, 3, kind), draw(2, 9, 4)
    for k in range(2):
        hidden = np.tanh((z[k] @ attention.v.weight[k] + attention.v.bias[k]).detach().numpy())
        if kind == "gated":
            gate = (z[k] @ attention.u.weight[k] + attention.u.bias[k]).detach().numpy()
            hidden = hidden / (1 + np.exp(-gate))
        expected = hidden @ attention.w.weight[k, :, 0].detach().numpy()
        np.testing.assert_allclose(attention(z)[k].detach().numpy(), expected, rtol=1e-5, atol=1e-6)


@given(sizes=st.lists(st.integers(1, 6), min_size=1, max_size=4), seed=st.integers(0, 1000), scale=st.floats(0.1, 80))
@settings(max_examples=50, deadline=None)
def test_attention_sums_to_one_within_a_bag_and_padding_gets_nothing(sizes, seed, scale):
    present = torch.arange(7) < torch.tensor(sizes)[:, None]
    scores, z = scale * draw(3, len(sizes), 7, seed=seed), draw(1, len(sizes), 7, 2, seed=seed + 1)
    embedding, attention = pool_bags(scores, z, present[None])
    torch.testing.assert_close(attention.sum(dim=-1), torch.ones(3, len(sizes)))
    assert (attention[:, ~present] == 0).all()
    assert (attention >= 0).all()
    torch.testing.assert_close(embedding, (attention[..., None] * z).sum(dim=2), atol=1e-5, rtol=1e-5)


def test_what_is_in_the_padding_does_not_matter():
    present = torch.tensor([[True, True, False]])
    scores, z = draw(2, 1, 3), draw(1, 1, 3, 4)
    other_scores, other_z = scores.clone(), z.clone()
    other_scores[..., 2], other_z[:, :, 2] = 50.0, 1e6
    for a, b in zip(pool_bags(scores, z, present[None]), pool_bags(other_scores, other_z, present[None]), strict=True):
        assert torch.equal(a, b)


def test_pooling_is_softmax_within_the_bag():
    scores, z = draw(2, 3, 5), draw(1, 3, 5, 4)
    embedding, attention = pool_bags(scores, z, torch.ones(1, 3, 5, dtype=torch.bool))
    weight = np.exp(scores.numpy()) / np.exp(scores.numpy()).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(attention.numpy(), weight, rtol=1e-5)
    np.testing.assert_allclose(embedding.numpy(), np.einsum("kbc,bcf->kbf", weight, z[0].numpy()), rtol=1e-4, atol=1e-6)


@given(order=st.permutations(range(8)), batch_encoding=st.sampled_from(["concat", "film", None]))
@settings(max_examples=30, deadline=None)
def test_the_order_of_cells_moves_attention_along_and_leaves_the_scores(order, batch_encoding):
    config = NetworkConfig(n_latent=4, n_attention=3, batch_encoding=batch_encoding)
    network = StackedBagClassifier(generators(2), config, n_cohorts=2, n_scores=2).eval()
    z, present, cohort = draw(1, 1, 8, 4), torch.arange(8)[None, None] < 6, torch.tensor([[[1.0, 0.0]]])
    scores, attention = network(z, present, cohort)
    moved_scores, moved_attention = network(z[:, :, order], present[:, :, order], cohort)
    torch.testing.assert_close(moved_scores, scores, atol=1e-5, rtol=1e-5)
    torch.testing.assert_close(moved_attention, attention[:, :, order], atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("n_hidden", 0, "n_hidden=0 must be a whole number of at least 1"),
        ("dropout", 1.0, r"dropout=1.0 must be in \[0, 1\)"),
        ("dropout_mil", -0.1, "dropout_mil=-0.1"),
        ("attention", "softmax", "attention='softmax' is not known; choose from .*gated"),
        ("batch_encoding", "onehot", "batch_encoding='onehot' is not known; choose from .*film"),
    ],
)
def test_a_wrong_size_or_kind_is_named(field, value, message):
    with pytest.raises(ValueError, match=message):
        NetworkConfig(**{field: value})
