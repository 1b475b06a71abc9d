"""Pooling by maximum, and the loss that teaches cells."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from tcellmil.nn import NetworkConfig, StackedBagClassifier, instance_cross_entropy
from tcellmil.nn._attention import max_of_bags


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_the_maximum_is_over_the_cells_that_are_there():
    z, present = draw(2, 3, 5, 4), torch.arange(5) < torch.tensor([[5], [2], [1]])
    z[:, 1, 2:] = 100.0
    embedding, share = max_of_bags(z, present[None])
    for k in range(2):
        for b, n in enumerate((5, 2, 1)):
            values = z[k, b, :n].numpy()
            np.testing.assert_array_equal(embedding[k, b].numpy(), values.max(axis=0))
            np.testing.assert_allclose(share[k, b, :n], np.bincount(values.argmax(axis=0), minlength=n) / 4)
    assert (share[:, 2, 1:] == 0).all()


def test_the_cell_branch_learns_from_attention_in_positive_bags_only():
    logits, scores = draw(1, 2, 3, seed=1), torch.tensor([[[0.0, 1.0, 2.0], [5.0, -5.0, 0.0]]])
    labels, weights = torch.tensor([[1, 0]]), torch.ones(1, 2)
    present = torch.ones(1, 2, 3, dtype=torch.bool)
    pseudo = torch.tensor([[0.5, 0.6, 0.7], [0.0, 0.0, 0.0]])  # scores run from -5 to 5
    q = logits[0].sigmoid()
    expected = -(0.7 * pseudo * q.log() + 0.3 * (1 - pseudo) * (1 - q).log()).mean()
    found = instance_cross_entropy(logits, scores, labels, weights, present)
    torch.testing.assert_close(found, expected[None])


def test_bags_of_other_folds_and_padding_do_not_matter_to_the_cell_branch():
    logits, scores = draw(2, 3, 4, seed=2), draw(2, 3, 4, seed=3)
    labels, weights = torch.tensor([[1, 0, 1]]).expand(2, -1), torch.tensor([[1.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    present = torch.ones(1, 3, 4, dtype=torch.bool)
    present[0, 0, 3] = False
    before = instance_cross_entropy(logits, scores, labels, weights, present)
    logits[:, 2], scores[:, 2], logits[:, 0, 3], scores[:, 0, 3] = 9.0, 99.0, 9.0, 99.0
    after = instance_cross_entropy(logits, scores, labels, weights, present)
    assert torch.equal(before, after) and before[1] == 0


def test_the_attention_is_the_teacher_and_gets_no_gradient_from_the_cells():
    scores = draw(1, 2, 3).requires_grad_()
    logits = draw(1, 2, 3, seed=1).requires_grad_()
    present = torch.ones(1, 2, 3, dtype=torch.bool)
    instance_cross_entropy(logits, scores, torch.tensor([[1, 0]]), torch.ones(1, 2), present).sum().backward()
    assert scores.grad is None and (logits.grad != 0).all()


def test_the_dual_branch_is_for_two_classes():
    generators = [torch.Generator()]
    with pytest.raises(ValueError, match=r"instance_weight needs two classes, the network has 3 scores"):
        StackedBagClassifier(generators, NetworkConfig(n_embed=4, instance_weight=1.0), n_cohorts=0, n_scores=3)


def test_an_embedding_layer_is_linear_norm_relu():
    network = StackedBagClassifier(
        [torch.Generator().manual_seed(0)],
        NetworkConfig(n_latent=3, n_embed=4, pooling="mean", batch_encoding=None),
        n_cohorts=0,
        n_scores=2,
    )
    torch.nn.init.ones_(network.classifier.linear.weight)
    z = draw(1, 2, 5, 3)
    linear = network.embedding[0]
    hidden = F.relu(F.layer_norm(z[0] @ linear.weight[0] + linear.bias[0], (4,)))
    expected = hidden.mean(dim=1).sum(dim=-1)
    found, _ = network(z, torch.ones(1, 2, 5, dtype=torch.bool), torch.zeros(1, 2, 0))
    torch.testing.assert_close(found[0, :, 0], expected)
