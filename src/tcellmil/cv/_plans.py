"""The two training stages as Lightning modules: one optimiser step trains every replica.

Batches are drawn for a seed, over all patients, and read by all replicas of that seed; what a replica must not see is
masked out of its loss. So a replica meets the same cells in the same order whether it trains in a stack or alone, and
folds share the work of gathering them. A masked cell adds an exact zero to the gradient.
"""

from __future__ import annotations

import lightning as L
import numpy as np
import torch
from torch import Tensor, nn

from tcellmil._outcome_kinds import CLASSES, CONTINUOUS, OF_CLASSES
from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._layers import StackedDropout
from tcellmil.nn._losses import (
    bag_cox_loss,
    bag_cross_entropy,
    bag_squared_error,
    instance_cross_entropy,
    masked_mse,
)
from tcellmil.nn._network import StackedBagClassifier

from ._config import TrainingConfig
from ._early_stopping import BestState
from ._optim import StackedAdamW
from ._scaling import scale_cells


class StackedPlan(L.LightningModule):
    """What both stages share: the manual step, a validation loss a replica, the best state of each, the history.

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
        self.automatic_optimization = False
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

    def configure_optimizers(self) -> StackedAdamW:
        """One AdamW for all."""
        return StackedAdamW(
            self.network.parameters(), len(self.group), weight_decay=self.config.weight_decay, **self.step_options()
        )

    def step_options(self) -> dict[str, float]:
        """Learning rate, and what else the stage asks of the optimiser."""
        raise NotImplementedError

    def on_fit_start(self) -> None:
        """Seed the dropout of each seed by itself."""
        generators = [torch.Generator(self.device).manual_seed(int(s)) for s in self.seeds]
        for module in self.network.modules():
            if isinstance(module, StackedDropout):
                module.set_random_state(generators, self.group)
        self._running = torch.ones(len(self.group), device=self.device)

    def on_train_epoch_start(self) -> None:
        """Forget the last epoch's sums."""
        self._sum = torch.zeros(2, len(self.group), device=self.device)

    def training_step(self, batch, batch_idx) -> None:
        """One step of every replica that runs and has something of its own in the batch."""
        optimizer = self.optimizers().optimizer
        losses, size = self.losses(batch)
        optimizer.active = self._running * (size > 0)
        optimizer.zero_grad()
        losses.sum().backward()
        optimizer.step()
        self._sum += torch.stack([losses.detach() * size, size]) * self._running  # a stopped replica has no history

    def on_validation_epoch_start(self) -> None:
        """Forget the last epoch's sums."""
        self._validation_sum = torch.zeros(2, len(self.group), device=self.device)

    def validation_step(self, batch, batch_idx) -> None:
        """Add up each replica's loss on what it holds out of its own training patients."""
        losses, size = self.losses(batch)
        self._validation_sum += torch.stack([losses * size, size])

    def on_validation_epoch_end(self) -> None:
        """Keep best states, lower learning rates, stop replicas."""
        loss = self._validation_sum[0] / self._validation_sum[1]  # NaN for a replica that holds nothing out
        self.validation_loss.append(loss.cpu().numpy())
        self._running = self.best.update(loss, self.optimizers().optimizer, self._running)
        if not self._running.any():
            self.trainer.should_stop = True

    def on_train_epoch_end(self) -> None:
        """Write the epoch into the history."""
        self.train_loss.append((self._sum[0] / self._sum[1]).cpu().numpy())

    def on_fit_end(self) -> None:
        """Leave the network in each replica's best state."""
        if self.best is not None:
            self.best.restore()


class AutoencoderPlan(StackedPlan):
    """Stage one: reconstruct the standardised cells of the training patients.

    Parameters
    ----------
    network, group, seeds, config, early_stopping
        As in :class:`StackedPlan`.
    x
        Representation, ``(cell, feature)``.
    loc, scale
        Scaling to [-1, 1], ``(n_encoders or 1, feature)``.
    member
        ``(n_encoders, cell)``: the cells that each may see.
    """

    def __init__(
        self,
        network: StackedAutoencoder,
        group,
        seeds,
        config,
        early_stopping,
        *,
        x: Tensor,
        loc: Tensor,
        scale: Tensor,
        member: Tensor,
    ):
        super().__init__(network, group, seeds, config, early_stopping)
        for name, value in {"x": x, "loc": loc, "scale": scale, "member": member}.items():
            self.register_buffer(name, value, persistent=False)

    def step_options(self) -> dict[str, float]:
        """An ordinary AdamW."""
        return {"lr": self.config.lr_ae}

    def losses(self, cells: Tensor) -> tuple[Tensor, Tensor]:
        """Reconstruction error; ``cells`` is ``(seed, cell)``."""
        index = cells if len(self.seeds) == 1 else cells[self.group]  # (1 or replica, cell)
        member = _take(self.member, index).float()
        x = scale_cells(self.x[index], self.loc, self.scale)
        return masked_mse(self.network(x), self.network.standardise(x), member), member.sum(dim=-1)


class BagPlan(StackedPlan):
    """Stage two: attention and classifier on the latents of bags; the encoder stands still.

    Parameters
    ----------
    network, group, seeds, config, early_stopping
        As in :class:`StackedPlan`.
    z
        ``(n_encoders, cell, n_latent)``.
    encoder_of_replica
        ``(n_replicas,)``.
    labels
        ``(n_replicas, n_bags)`` class codes.
    cohort
        ``(n_bags, n_cohorts + n_covariates)``: one-hot cohort, and covariates.
    weights, validation_weights
        ``(n_replicas, n_bags)``: class weight of the bags that each replica trains on, and is validated on; 0
        elsewhere.
    instance_weight
        Weight of the cell branch's loss, where the network has one.
    outcome, targets
        What is predicted, and, where that is a number or a time, ``(n_replicas, n_bags, 1 or 2)``: the number in units
        of the replica, or rank of the time, and event.
    """

    def __init__(
        self,
        network: StackedBagClassifier,
        group,
        seeds,
        config,
        early_stopping,
        *,
        z: Tensor,
        encoder_of_replica: Tensor,
        labels: Tensor,
        cohort: Tensor,
        weights: Tensor,
        validation_weights: Tensor,
        instance_weight: float = 0.0,
        outcome: str = CLASSES,
        targets: Tensor | None = None,
    ):
        super().__init__(network, group, seeds, config, early_stopping)
        self.instance_weight, self.outcome = instance_weight, outcome
        for name, value in {
            "z": z,
            "encoder_of_replica": encoder_of_replica,
            "labels": labels,
            "cohort": cohort,
            "weights": weights,
            "validation_weights": validation_weights,
            "targets": targets,
        }.items():
            self.register_buffer(name, value, persistent=False)

    def step_options(self) -> dict[str, float]:
        """An AdamW whose step is, with a large ``eps``, proportional to the gradient."""
        return {"lr": self.config.lr, "eps": self.config.eps}

    def losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The outcome's loss; ``batch`` holds ``bags`` (seed, bag), ``cells`` and ``present`` (seed, bag, cell)."""
        n_replicas, n_encoders = len(self.group), len(self.z)
        replica_group = self.group[:1] if len(self.seeds) == 1 else self.group
        bags = batch["bags"][replica_group]  # (1 or replica, bag)
        cells, present = batch["cells"], batch["present"][replica_group]
        if n_encoders == len(self.seeds) and n_encoders < n_replicas:
            z = _take(self.z, cells.flatten(1)).unflatten(1, cells.shape[1:])  # one encoder a seed serves its folds
            z = z if n_encoders == 1 else z[self.encoder_of_replica]
        else:
            z = _take(self.z, cells[replica_group].flatten(1)).unflatten(1, cells.shape[1:])
        logits, _, scores, instances = self.network.branches(z, present, self.cohort[bags])
        weights = _take(self.weights if self.training else self.validation_weights, bags)
        labels = _take(self.labels, bags)
        loss, size = self._outcome_loss(logits, labels, bags, weights)
        if instances is not None and self.training:
            loss = loss + self.instance_weight * instance_cross_entropy(instances, scores, labels, weights, present)
        return loss, size

    def _outcome_loss(self, outputs: Tensor, labels: Tensor, bags: Tensor, weights: Tensor) -> tuple[Tensor, Tensor]:
        """Loss and how much of the batch it is a mean over, both ``(n_replicas,)``."""
        if self.outcome in OF_CLASSES:
            return bag_cross_entropy(outputs, labels, weights), weights.sum(dim=-1)
        targets = _take(self.targets, bags)
        if self.outcome == CONTINUOUS:
            return bag_squared_error(outputs[..., 0], targets[..., 0], weights), weights.sum(dim=-1)
        time, event = targets.unbind(dim=-1)
        return bag_cox_loss(outputs[..., 0], time, event, weights), (event * (weights > 0)).sum(dim=-1)


def _take(values: Tensor, index: Tensor) -> Tensor:
    """``values[k, index[k]]``, where ``index`` may have one row for all ``k``."""
    if len(index) == 1:
        return values[:, index[0]]
    return values[torch.arange(len(values), device=values.device)[:, None], index]
