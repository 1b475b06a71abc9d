"""Each replica's own best state, learning rate and stop."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from ._optim import StackedAdamW

#: Least relative improvement of a validation loss that keeps a replica going.
MIN_IMPROVEMENT = 0.01


class BestState:
    """Early stopping for a stack, decided for each replica by itself.

    An improvement counts when it lowers the loss by :data:`MIN_IMPROVEMENT` of the best one so far.

    Parameters
    ----------
    network
        The stack whose slices are kept.
    n_replicas
        K.
    patience
        Epochs without improvement before a replica stops. Every half of that without improvement its learning rate
        halves.
    """

    def __init__(self, network: nn.Module, n_replicas: int, patience: int):
        self.network = network
        self.patience = patience
        self.loss = torch.full((n_replicas,), torch.inf)
        self.waited = torch.zeros(n_replicas, dtype=torch.long)
        self._state = {name: p.detach().clone() for name, p in network.named_parameters()}

    @torch.no_grad()
    def update(self, loss: Tensor, optimizer: StackedAdamW, running: Tensor) -> Tensor:
        """Take in a validation loss ``(n_replicas,)``; returns which replicas go on, as 0 and 1.

        A replica whose loss is NaN holds nothing out: it keeps its current state and runs to the end.
        """
        self.loss, self.waited = self.loss.to(loss.device), self.waited.to(loss.device)
        on = running.bool()
        unjudged = loss.isnan()
        better = on & ((loss < (1 - MIN_IMPROVEMENT) * self.loss) | unjudged)
        self.loss = torch.where(better & ~unjudged, loss, self.loss)
        self.waited = torch.where(better, 0, self.waited + 1)
        for name, p in self.network.named_parameters():
            self._state[name] = self._state[name].to(p.device)
            self._state[name][better] = p.detach()[better]
        half = max(1, self.patience // 2)
        optimizer.lr = torch.where(~better & (self.waited % half == 0), optimizer.lr / 2, optimizer.lr)
        return running * (self.waited < self.patience)

    @torch.no_grad()
    def restore(self) -> None:
        """Put every replica's best state back."""
        for name, p in self.network.named_parameters():
            p.copy_(self._state[name])
