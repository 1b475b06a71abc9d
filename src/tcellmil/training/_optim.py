"""AdamW on a stack: every replica has its own step count, learning rate and right to stand still."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor


class StackedAdamW(torch.optim.Optimizer):
    r"""AdamW (Loshchilov and Hutter, ICLR 2019) for parameters whose first axis is the replica.

    AdamW works element by element, so one optimiser on a stack is K optimisers. What :class:`torch.optim.AdamW`
    cannot do is give each slice a learning rate of its own, and leave a slice exactly as it is (weights, moments,
    step count) while the others move: a replica that has stopped, or that has no patient in the batch.

    Parameters
    ----------
    params
        Parameters of shape ``(n_replicas, ...)``.
    n_replicas
        K.
    lr
        Initial learning rate; ``optimizer.lr`` is the tensor ``(n_replicas,)`` that holds the current ones.
    betas, eps, weight_decay
        As in :class:`torch.optim.AdamW`.
    """

    def __init__(
        self,
        params: Iterable[Tensor],
        n_replicas: int,
        lr: float,
        *,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
    ):
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "weight_decay": weight_decay})
        device = self.param_groups[0]["params"][0].device
        self.lr = torch.full((n_replicas,), lr, device=device)
        self.active = torch.ones(n_replicas, device=device)
        exact = torch.float32 if device.type == "mps" else torch.float64  # MPS has no float64
        self._steps = torch.zeros(n_replicas, dtype=exact, device=device)

    @torch.no_grad()
    def step(self, closure=None) -> None:
        """Update the replicas whose ``active`` is 1; leave the rest bit for bit as they are."""
        if closure is not None:
            raise ValueError("StackedAdamW takes no closure; call backward() before step()")
        self._steps += self.active
        steps = self._steps.clamp(min=1)
        for group in self.param_groups:
            beta1, beta2 = group["betas"]
            step_size = (self.active * self.lr / (1 - beta1**steps)).float()
            correction = (1 - beta2**steps).sqrt().float()
            decay = 1 - self.active * self.lr * group["weight_decay"]
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                if not state:
                    state["mean"], state["square"] = torch.zeros_like(p), torch.zeros_like(p)
                column = (-1,) + (1,) * (p.ndim - 1)
                active = self.active.view(column)
                state["mean"].lerp_(p.grad, (1 - beta1) * active)
                state["square"].lerp_(p.grad.square(), (1 - beta2) * active)
                denominator = (state["square"].sqrt() / correction.view(column)).add_(group["eps"])
                p.mul_(decay.view(column)).sub_(step_size.view(column) * state["mean"] / denominator)
