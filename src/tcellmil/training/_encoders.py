"""Encoders of each representation, fitted by themselves: scaling, then compression."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.fitted._encoders import CELLS_AT_ONCE, Encoders
from tcellmil.fitted._scaling import Scaling, scale_cells
from tcellmil.fitted._stack import FittedStack
from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._network import NetworkConfig
from tcellmil.nn._projection import StackedProjection

from ._autoencoder import train_autoencoder
from ._config import TrainingConfig
from ._projection import fit_projection
from ._stage import StackedPlan

#: Columns of the history of a stage, and their types.
HISTORY = {"replica": int, "stage": object, "epoch": int, "train_loss": float, "validation_loss": float}


@dataclass(frozen=True)
class Encoded:
    """Encoders, and the cells that they were fitted on.

    Parameters
    ----------
    encoders
        Scaling and weights.
    z
        Latent of all cells, ``(n_encoders, n_cells, n_latent)``.
    history
        One row per encoder (as ``replica``) and epoch; empty where nothing was trained.
    """

    encoders: Encoders
    z: Tensor
    history: pd.DataFrame


def fit_encoders(
    bags: Bags, train: np.ndarray, seed: np.ndarray, network: NetworkConfig, training: TrainingConfig, bar
) -> Encoded:
    """Fit one encoder per row of ``train``, on the cells of the bags that the row marks.

    Parameters
    ----------
    bags
        The data.
    train
        ``(n_encoders, n_bags)`` bool.
    seed
        ``(n_encoders,)``.
    network, training
        Sizes and kinds, resolved; how to train.
    bar
        Progress bar, advanced by one with every epoch.
    """
    parts = [_fit_block(own, train, seed, network, training, bar, b) for b, own in enumerate(bags.by_representation())]
    encoders = Encoders.side_by_side(network, [part.encoders for part in parts])
    if len(parts) == 1:
        return replace(parts[0], encoders=encoders)
    numbered = [part.history.assign(stage=part.history["stage"] + f".{b}") for b, part in enumerate(parts)]
    z = torch.cat([part.z for part in parts], dim=-1)
    return Encoded(encoders, z, pd.concat(numbered, ignore_index=True))


def encode_again(fitted: FittedStack, bags: Bags) -> Encoded:
    """The cells by encoders that were fitted before."""
    return Encoded(fitted.encoders, fitted.encoders.encode_all(bags.x), no_history())


def check_same_encoders(fitted: FittedStack, bags: Bags, replicas: Replicas, network: NetworkConfig) -> None:
    """Raise a ValueError unless fitting again would give the encoders of ``fitted``."""
    same = [np.array_equal(getattr(fitted.replicas, name), getattr(replicas, name)) for name in ("seed", "train")]
    if not all(same):
        raise ValueError("encoders_of was fitted on other splits or seeds; pass a stack of the same replicas")
    if fitted.encoders.blocks != bags.blocks:
        raise ValueError(
            f"encoders_of has blocks={fitted.encoders.blocks}, the bags have {bags.blocks}; pass a stack of these bags"
        )
    of_autoencoder = ("n_hidden", "dropout") if network.compression == "autoencoder" else ()
    for name in ("compression", "n_latent", *of_autoencoder):
        if getattr(fitted.config, name) != getattr(network, name):
            raise ValueError(
                f"encoders_of has {name}={getattr(fitted.config, name)!r}, network has {getattr(network, name)!r}"
            )


def history_of(plan: StackedPlan, stage: str) -> pd.DataFrame:
    """Losses of a stage, one row per replica and epoch."""
    train = np.array(plan.train_loss)  # (epoch, replica)
    validation = np.array(plan.validation_loss) if plan.validation_loss else np.full_like(train, np.nan)
    epoch, row = np.nonzero(np.isfinite(train))
    return pd.DataFrame(
        {
            "replica": row,
            "stage": stage,
            "epoch": epoch,
            "train_loss": train[epoch, row],
            "validation_loss": validation[epoch, row],
        }
    ).sort_values(["replica", "epoch"], ignore_index=True)


def no_history() -> pd.DataFrame:
    """The history of a stage without training."""
    return pd.DataFrame({name: [] for name in HISTORY}).astype(HISTORY)


def weights_of(module: torch.nn.Module) -> dict[str, np.ndarray]:
    """Weights and buffers of a module as arrays."""
    return {name: p.detach().cpu().numpy().copy() for name, p in module.state_dict().items()}


def _fit_block(bags: Bags, train, seed, network, training, bar, block: int) -> Encoded:
    n_features = bags.x.shape[1]
    config = replace(network, n_latent=network.latent_size(n_features))
    scaling = Scaling.unit_interval(n_features) if bags.unit_interval[0] else Scaling.standard(bags, train)
    if network.compression == "autoencoder":
        plan = train_autoencoder(bags, scaling, train, seed, config, training, bar, block)
        encoder, history = plan.network, history_of(plan, "autoencoder")
    else:
        encoder, history = fit_projection(bags, scaling, train, config), no_history()
    z = _encode(encoder, bags.x, scaling)
    mean, sd = _latent_scale(z, train[:, bags.bag_of_cell])
    encoder.absorb_latent_scale(mean, sd)
    return Encoded(Encoders(config, (n_features,), scaling, weights_of(encoder)), (z - mean) / sd, history)


@torch.no_grad()
def _encode(encoder: StackedAutoencoder | StackedProjection, x: np.ndarray, scaling: Scaling) -> Tensor:
    encoder = encoder.cpu()
    parts = torch.from_numpy(x).split(CELLS_AT_ONCE)
    loc, scale = torch.from_numpy(scaling.loc), torch.from_numpy(scaling.scale)
    return torch.cat([encoder.encode(scale_cells(part[None], loc, scale)) for part in parts], dim=1)


def _latent_scale(z: Tensor, member: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean of each latent, and one standard deviation for all, over each encoder's training cells.

    The overall scale of a latent space is arbitrary, which would make that of the bag classifier's steps arbitrary too;
    how far its axes differ among each other is not, so they share one scale. Both are ``(n_encoders, 1, n_latent)``.
    """
    own = [z[e, cells] for e, cells in enumerate(torch.from_numpy(member))]
    mean = torch.stack([cells.mean(dim=0) for cells in own])[:, None]
    sd = torch.stack([cells.var(dim=0).mean().sqrt() for cells in own])[:, None, None]
    return mean, sd.clamp(min=1e-6).expand_as(mean).contiguous()
