"""Stage one of training: autoencoders that reconstruct the standardised cells of the training patients."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from tcellmil.data._bags import Bags
from tcellmil.fitted._scaling import Scaling, scale_cells
from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._losses import masked_mse
from tcellmil.nn._network import NetworkConfig

from ._batches import cell_batches
from ._config import TrainingConfig
from ._input_units import centre_and_spread
from ._loop import run_plan
from ._stage import AUTOENCODER, VALIDATION_CELLS, StackedPlan, generators_of, rng_of, take


class AutoencoderPlan(StackedPlan):
    """Reconstruct the standardised cells of the training patients.

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
        member = take(self.member, index).float()
        x = scale_cells(self.x[index], self.loc, self.scale)
        return masked_mse(self.network(x), self.network.standardise(x), member), member.sum(dim=-1)


def train_autoencoder(
    bags: Bags,
    scaling: Scaling,
    train: np.ndarray,
    seed: np.ndarray,
    network: NetworkConfig,
    training: TrainingConfig,
    bar,
    block: int = 0,
) -> AutoencoderPlan:
    """Train one autoencoder a row of ``train``, on the cells of the bags that the row marks.

    Parameters
    ----------
    bags
        The data.
    scaling
        How the representation becomes the networks' input.
    train
        ``(n_encoders, n_bags)`` bool.
    seed
        ``(n_encoders,)``.
    network, training
        Sizes and kinds; how to train.
    bar
        Progress bar, advanced by an epoch at a time.
    block
        Which of several representations this is; each has random numbers of its own.
    """
    seeds, group = np.unique(seed, return_inverse=True)
    stack = StackedAutoencoder(
        generators_of(seed, AUTOENCODER, block),
        bags.x.shape[1],
        n_hidden=network.n_hidden,
        n_latent=network.n_latent,
        dropout=network.dropout,
    )
    cells = np.flatnonzero(bags.labels[bags.bag_of_cell] >= 0)
    own = train[:, bags.bag_of_cell]  # (encoder, cell)
    stopping = training.early_stopping != "none"
    held_out = np.zeros((len(seeds), len(bags.x)), dtype=bool)
    if stopping:
        n_held_out = max(1, round(training.validation_size * len(cells)))
        for i, seed in enumerate(seeds):
            held_out[i, rng_of(seed, VALIDATION_CELLS, block).choice(cells, n_held_out, replace=False)] = True
    fit_cells = np.stack([cells[~row[cells]] for row in held_out])
    stack.set_input_units(*(torch.from_numpy(m[:, None]) for m in centre_and_spread(bags, scaling, train)))
    plan = AutoencoderPlan(
        stack,
        group,
        seeds,
        training,
        stopping,
        x=torch.from_numpy(bags.x),
        loc=torch.from_numpy(scaling.loc),
        scale=torch.from_numpy(scaling.scale),
        member=torch.from_numpy(own),
    )
    rngs = [rng_of(seed, AUTOENCODER, block) for seed in seeds]
    size = training.batch_size
    parts: tuple[Tensor, ...] = ()
    if stopping:
        kept_back = torch.from_numpy(np.stack([np.flatnonzero(row) for row in held_out]))
        parts = kept_back.split(4096, dim=1)
    run_plan(
        plan,
        lambda: cell_batches(rngs, fit_cells, size),
        (lambda: parts) if stopping else None,
        max_epochs=training.max_epochs_ae,
        accelerator=training.accelerator,
        bar=bar,
        stage="autoencoder",
    )
    return plan
