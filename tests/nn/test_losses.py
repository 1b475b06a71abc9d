import numpy as np
import torch
from torch.nn import functional as F

from tcellmil.nn import bag_cross_entropy, masked_mse


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def test_each_replicas_error_is_the_mean_over_its_own_cells():
    output, target = draw(2, 5, 3), draw(1, 5, 3, seed=1)
    member = torch.tensor([[1.0, 1, 0, 0, 1], [0, 0, 0, 0, 0]])
    loss = masked_mse(output, target, member)
    torch.testing.assert_close(loss[0], F.mse_loss(output[0, [0, 1, 4]], target[0, [0, 1, 4]]))
    assert loss[1] == 0


def test_what_a_replica_does_not_train_on_gives_it_no_gradient():
    output = draw(2, 4, 3).requires_grad_()
    masked_mse(output, draw(1, 4, 3, seed=1), torch.tensor([[1.0, 0, 1, 0], [0, 0, 0, 0]])).sum().backward()
    assert (output.grad[0, [1, 3]] == 0).all()
    assert (output.grad[0, [0, 2]] != 0).all()
    assert (output.grad[1] == 0).all()


def test_cross_entropy_is_that_of_torch_with_class_weights():
    logits, labels = draw(2, 6, 3), torch.tensor([[0, 1, 2, 0, 1, 2], [2, 2, 1, 0, 0, 1]])
    class_weight = torch.tensor([0.5, 1.0, 3.0])
    loss = bag_cross_entropy(logits, labels, class_weight[labels])
    for k in range(2):
        torch.testing.assert_close(loss[k], F.cross_entropy(logits[k], labels[k], weight=class_weight))


def test_a_bag_of_weight_zero_does_not_count():
    logits, labels = draw(1, 4, 2).requires_grad_(), torch.tensor([[0, 1, 0, 1]])
    loss = bag_cross_entropy(logits, labels, torch.tensor([[1.0, 1, 0, 0]]))
    torch.testing.assert_close(loss[0], F.cross_entropy(logits[0, :2], labels[0, :2]))
    loss.sum().backward()
    assert (logits.grad[0, 2:] == 0).all()


def test_a_replica_without_a_bag_in_the_batch_has_loss_zero():
    loss = bag_cross_entropy(draw(2, 3, 2), torch.zeros(2, 3, dtype=torch.long), torch.zeros(2, 3))
    assert np.array_equal(loss.numpy(), [0, 0])
