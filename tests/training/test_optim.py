import pytest
import torch

from tcellmil.training import StackedAdamW


def start(*shapes):
    generator = torch.Generator().manual_seed(0)
    return [torch.randn(*shape, generator=generator).requires_grad_() for shape in shapes]


def set_gradients(params, step):
    generator = torch.Generator().manual_seed(100 + step)
    for p in params:
        p.grad = torch.randn(p.shape, generator=generator)


def test_every_slice_moves_as_by_torch_adamw_with_its_own_learning_rate():
    shapes, rates = [(3, 4, 5), (3, 1, 5)], [1e-3, 1e-2, 0.3]
    params = start(*shapes)
    optimizer = StackedAdamW(params, 3, 1e-3, weight_decay=0.05)
    optimizer.lr = torch.tensor(rates)
    slices = [[p.detach()[k].clone().requires_grad_() for p in params] for k in range(3)]
    oracles = [torch.optim.AdamW(own, lr=lr, weight_decay=0.05) for own, lr in zip(slices, rates, strict=True)]
    for step in range(25):
        set_gradients(params, step)
        for k, oracle in enumerate(oracles):
            for p, own in zip(params, slices[k], strict=True):
                own.grad = p.grad[k].clone()
            oracle.step()
        optimizer.step()
    for k in range(3):
        for p, own in zip(params, slices[k], strict=True):
            torch.testing.assert_close(p[k], own, atol=1e-5, rtol=1e-5)


def test_a_replica_that_stands_still_is_left_bit_for_bit_and_goes_on():
    params = start((2, 3, 4))
    optimizer = StackedAdamW(params, 2, 1e-2)
    oracle_weight = params[0].detach()[1].clone().requires_grad_()
    oracle = torch.optim.AdamW([oracle_weight], lr=1e-2, weight_decay=1e-2)
    for step in range(12):
        moves = step % 3 != 1
        optimizer.active = torch.tensor([1.0, float(moves)])
        before = params[0].detach().clone()
        set_gradients(params, step)
        if moves:
            oracle_weight.grad = params[0].grad[1].clone()
            oracle.step()
        optimizer.step()
        assert torch.equal(params[0][1], before[1]) is not moves
        assert not torch.equal(params[0][0], before[0])
    torch.testing.assert_close(params[0][1], oracle_weight, atol=1e-6, rtol=1e-5)


def test_a_parameter_without_gradient_stays():
    params = start((2, 3), (2, 3))
    optimizer = StackedAdamW(params, 2, 1e-2)
    before = params[1].detach().clone()
    params[0].grad = torch.ones_like(params[0])
    optimizer.step()
    assert torch.equal(params[1], before)


def test_a_closure_is_refused():
    optimizer = StackedAdamW(start((1, 2)), 1, 1e-2)
    with pytest.raises(ValueError, match="takes no closure; call backward"):
        optimizer.step(lambda: None)
