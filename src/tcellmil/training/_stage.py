"""What both training stages share: one optimiser step trains every replica.

Batches are drawn for a seed, over all patients, and read by all replicas of that seed; what a replica must not see is
masked out of its loss. So a replica meets the same cells in the same order whether it trains in a stack or alone, and
folds share the work of gathering them. A masked cell adds an exact zero to the gradient.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import torch
from torch import Tensor, nn

from tcellmil.nn._layers import StackedDropout

from ._config import TrainingConfig
from ._early_stopping import BestState
from ._optim import StackedAdamW

# What a seed's random numbers are for; each purpose has a stream of its own.
AUTOENCODER, CLASSIFIER, VALIDATION_CELLS, VALIDATION_BAGS = range(2, 6)


class StackedPlan(nn.Module):
    """What both stages share: the manual step, a validation loss per replica, the best state of each, the history.

    Parameters
    ----------
    network
        The stack.
    group
        ``(n_replicas,)``: which of the seeds each replica belongs to.
    seeds
        The distinct seeds.
    config
        Training configuration.
    early_stopping
        Keep each replica's best state by its validation loss, and stop it by its own patience.
    """

    def __init__(
        self, network: nn.Module, group: np.ndarray, seeds: np.ndarray, config: TrainingConfig, early_stopping: bool
    ):
        super().__init__()
        self.network = network
        self.config = config
        self.seeds = seeds
        self.register_buffer("group", torch.from_numpy(group))
        self.best = BestState(network, len(group), config.patience) if early_stopping else None
        self.train_loss: list[np.ndarray] = []
        self.validation_loss: list[np.ndarray] = []

    def losses(self, batch) -> tuple[Tensor, Tensor]:
        """Loss of each replica in a batch, and how much of the batch was its own: both ``(n_replicas,)``."""
        raise NotImplementedError

    def step_options(self) -> dict[str, float]:
        """Learning rate, and what else the stage asks of the optimiser."""
        raise NotImplementedError

    @property
    def device(self) -> torch.device:
        """Where the stack is."""
        return self.group.device

    @property
    def has_stopped(self) -> bool:
        """Whether early stopping has ended every replica."""
        return not self._running.any()

    def start(self) -> None:
        """Make the optimiser, one AdamW for all, and seed the dropout of each seed by itself."""
        self.optimizer = StackedAdamW(
            self.network.parameters(), len(self.group), weight_decay=self.config.weight_decay, **self.step_options()
        )
        generators = [torch.Generator(self.device).manual_seed(int(s)) for s in self.seeds]
        for module in self.network.modules():
            if isinstance(module, StackedDropout):
                module.set_random_state(generators, self.group)
        self._running = torch.ones(len(self.group), device=self.device)

    def train_epoch(self, batches: Iterable) -> None:
        """One pass over the batches, written into the history."""
        self.train()
        total = torch.zeros(2, len(self.group), device=self.device)
        for batch in batches:
            losses, size = self.losses(to_device(batch, self.device))
            self.optimizer.active = self._running * (size > 0)  # who runs and has something of its own in the batch
            self.optimizer.zero_grad()
            losses.sum().backward()
            self.optimizer.step()
            total += torch.stack([losses.detach() * size, size]) * self._running  # a stopped replica has no history
        self.train_loss.append((total[0] / total[1]).cpu().numpy())

    @torch.no_grad()
    def validate(self, batches: Iterable) -> None:
        """Losses on what replicas hold out of their training patients: keep best states, lower rates, stop replicas."""
        self.eval()
        total = torch.zeros(2, len(self.group), device=self.device)
        for batch in batches:
            losses, size = self.losses(to_device(batch, self.device))
            total += torch.stack([losses * size, size])
        loss = total[0] / total[1]  # NaN for a replica that holds nothing out
        self.validation_loss.append(loss.cpu().numpy())
        self._running = self.best.update(loss, self.optimizer, self._running)

    def finish(self) -> None:
        """Leave the network in each replica's best state, on the CPU, in evaluation mode and without gradients."""
        if self.best is not None:
            self.best.restore()
        del self.optimizer
        self.cpu()
        self.network.eval().requires_grad_(False)


def to_device(batch: Tensor | dict[str, Tensor], device: torch.device) -> Tensor | dict[str, Tensor]:
    """A batch, or each of its parts, on a device."""
    if isinstance(batch, dict):
        return {name: part.to(device) for name, part in batch.items()}
    return batch.to(device)


def take(values: Tensor, index: Tensor, rows: Tensor | None = None) -> Tensor:
    """``values[rows[k], index[k]]``; ``index`` may have one row for all ``k``, ``rows`` are 0, 1, ... by default."""
    if rows is None:
        if len(index) == 1:
            return values[:, index[0]]
        rows = torch.arange(len(values), device=values.device)
    # One index into whole rows is three times as fast as two.
    place = rows[:, None] * values.shape[1] + index
    return values.flatten(0, 1).index_select(0, place.flatten()).unflatten(0, place.shape)


def rng_of(seed: int, purpose: int, block: int = 0) -> np.random.Generator:
    """The random numbers of a seed for one purpose, and for one of several representations."""
    return np.random.default_rng([int(seed), purpose, block] if block else [int(seed), purpose])


def generators_of(seeds: np.ndarray, purpose: int, block: int = 0) -> list[torch.Generator]:
    """The same as torch generators, one per seed."""
    return [torch.Generator().manual_seed(int(rng_of(seed, purpose, block).integers(2**63))) for seed in seeds]
