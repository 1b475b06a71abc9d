"""Fit a stack of replicas: scaling and encoder, latents, then attention and classifier."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
import torch
from torch import Tensor
from tqdm.auto import tqdm

from tcellmil._outcome_kinds import OF_CLASSES, SURVIVAL
from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._network import NetworkConfig
from tcellmil.nn._projection import StackedProjection

from ._bags import Bags
from ._config import TrainingConfig
from ._fitted import FittedStack
from ._plans import StackedPlan
from ._scaling import Scaling, scale_cells
from ._splits import Replicas
from ._stages import bags_per_step, fit_projection, train_autoencoder, train_classifier

#: Replicas are trained together up to about this many bytes of latents and activations; the result does not depend on
#: it.
STACK_BYTES = 4e9

#: Columns of the history of a stage, and their types.
HISTORY = {"replica": int, "stage": object, "epoch": int, "train_loss": float, "validation_loss": float}


def fit_stack(
    bags: Bags,
    replicas: Replicas,
    network: NetworkConfig | None = None,
    training: TrainingConfig | None = None,
    *,
    unit_interval: bool | Sequence[bool],
    encoders_of: FittedStack | None = None,
    labels: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    progress: bool = True,
) -> tuple[FittedStack, pd.DataFrame]:
    """Train one network for every replica, all in one stack.

    Parameters
    ----------
    bags
        Patients as bags of cells.
    replicas
        The patients that each replica trains on, and its seed.
    network, training
        Sizes and kinds; how to train.
    unit_interval
        The representation is in [0, 1] by construction and becomes 2x - 1; otherwise a scaling is learned from the
        training patients of each replica. One for all representations of ``bags``, or one for each.
    encoders_of
        A stack fitted on the same bags and replicas: its scaling and encoders are used again, which gives the same
        result as fitting them again if what concerns them in ``network`` and ``training`` is the same.
    labels
        ``(n_replicas, n_bags)``: class codes that each replica trains on; those of ``bags`` by default.
    targets
        ``(n_replicas, n_bags, 1 or 2)``: the same where the outcome is a number, or time and event.
    progress
        Show the progress bar.

    Returns
    -------
    The fitted stack and its history: a row a replica, stage and epoch.
    """
    network = network_for(bags, network or NetworkConfig())
    training = (training or TrainingConfig()).for_patients(bags.n_labelled_patients)
    blocks = bags.blocks or (bags.x.shape[1],)
    unit_interval = _one_a_block(unit_interval, len(blocks))
    # Above the encoders, the latent of a cell is the latents of all of its representations.
    joint = replace(network, n_latent=sum(network.latent_sizes(blocks)))
    labels = np.broadcast_to(bags.labels, replicas.train.shape) if labels is None else labels
    if network.outcome not in OF_CLASSES:
        if targets is None:
            targets = _targets_of(bags, len(replicas), network.outcome)
        _check_events(network.outcome, targets, replicas)
    per_fold = training.encoder == "per_fold"
    chunks = _chunks(bags, replicas, joint, training)
    n_epochs = len(chunks) * training.max_epochs
    if encoders_of is None and network.compression == "autoencoder":
        n_epochs += (len(chunks) if per_fold else 1) * len(blocks) * training.max_epochs_ae
    if encoders_of is not None:
        _check_same_encoders(encoders_of, replicas, network, bags.blocks)
    parts, histories = [], []
    with tqdm(total=n_epochs, disable=not progress, unit="epoch") as bar:
        if not per_fold and encoders_of is None:
            seeds, first, encoder_of_replica = np.unique(replicas.seed, return_index=True, return_inverse=True)
            everyone = np.repeat(bags.labels[None] >= 0, len(seeds), axis=0)
            encoders, history = _fit_encoders(bags, everyone, seeds, network, training, unit_interval, bar)
            histories.append(history.assign(replica=first[history["replica"]]))
        for chunk in chunks:
            own = replicas[chunk]
            if encoders_of is not None:
                encoders, encoder_of_chunk = _encoders_again(encoders_of.select(chunk), bags)
            elif per_fold:
                encoder_of_chunk = np.arange(len(chunk))
                encoders, history = _fit_encoders(bags, own.train, own.seed, network, training, unit_interval, bar)
                histories.append(history.assign(replica=chunk[history["replica"]]))
            else:
                encoder_of_chunk = encoder_of_replica[chunk]
            data = (bags, encoders.z, encoder_of_chunk, own.train, own.seed)
            of_chunk = None if targets is None else targets[chunk]
            plan = train_classifier(*data, joint, training, bar, labels[chunk], of_chunk, own.weights)
            histories.append(_history(plan, "mil").assign(replica=lambda table, chunk=chunk: chunk[table["replica"]]))
            parts.append((encoders, _weights(plan.network)))
    if encoders_of is not None:
        encoders = _Encoders(encoders_of.scaling, encoders_of.encoder, encoders.z)
        encoder_of_replica = encoders_of.encoder_of_replica
    elif per_fold:
        encoders, encoder_of_replica = _join_encoders([part for part, _ in parts]), np.arange(len(replicas))
    stack = FittedStack(
        config=network,
        n_cohorts=bags.n_cohorts,
        n_covariates=bags.n_covariates,
        n_classes=bags.n_classes,
        scaling=encoders.scaling,
        encoder=encoders.weights,
        encoder_of_replica=encoder_of_replica,
        classifier=_join([weights for _, weights in parts]),
        replicas=replicas,
        blocks=bags.blocks,
    )
    history = pd.concat([part for part in histories if len(part)], ignore_index=True)
    history.insert(1, "seed", replicas.seed[history["replica"]])
    history.insert(2, "fold", replicas.fold[history["replica"]])
    return stack, history


def network_for(bags: Bags, network: NetworkConfig) -> NetworkConfig:
    """The same network with the compression and the latent size that it has on these bags."""
    return network.for_patients(bags.n_labelled_patients).for_features(bags.x.shape[1])


@dataclass
class _Encoders:
    scaling: Scaling
    weights: dict[str, np.ndarray]
    z: Tensor


def _targets_of(bags: Bags, n_replicas: int, outcome: str) -> np.ndarray:
    if bags.targets is None:
        raise ValueError(f"outcome={outcome!r} needs numbers to train on, the bags have none; give them targets")
    return np.broadcast_to(bags.targets, (n_replicas, *bags.targets.shape))


def _check_events(outcome: str, targets: np.ndarray, replicas: Replicas) -> None:
    """Raise unless every replica has two events to train on."""
    if outcome != SURVIVAL:
        return
    events = (np.nan_to_num(targets[..., 1]) * replicas.train).sum(axis=1)
    if (events < 2).any():
        fold = str(replicas.fold[events.argmin()])
        raise ValueError(
            f"fold {fold!r} has {int(events.min())} events among its training patients, a hazard needs at least 2; "
            "use other folds"
        )


def _chunks(bags: Bags, replicas: Replicas, network: NetworkConfig, training: TrainingConfig) -> list[np.ndarray]:
    n_cells_bag = min(training.n_cells_bag or bags.sizes.max(), bags.sizes.max())
    floats = 6 * bags_per_step(bags, network, training) * n_cells_bag * (network.n_latent + network.n_attention)
    if training.encoder == "per_fold":
        floats += len(bags.x) * network.n_latent
    size = max(1, int(STACK_BYTES / (4 * floats)))
    return np.array_split(np.arange(len(replicas)), -(-len(replicas) // size))


def _one_a_block(unit_interval: bool | Sequence[bool], n_blocks: int) -> list[bool]:
    if np.ndim(unit_interval) == 0:
        return [bool(unit_interval)] * n_blocks
    if len(unit_interval) != n_blocks:
        raise ValueError(
            f"unit_interval has {len(unit_interval)} values, the bags have {n_blocks} representations; "
            "give one for each"
        )
    return [bool(value) for value in unit_interval]


def _fit_encoders(bags, train, seed, network, training, unit_interval, bar) -> tuple[_Encoders, pd.DataFrame]:
    """Encoders of each representation, trained by themselves; their latents side by side."""
    parts, histories = [], []
    for b, block in enumerate(bags.split()):
        own = network.for_features(block.x.shape[1])
        part, history = _fit_block(block, train, seed, own, training, unit_interval[b], bar, b)
        parts.append(part)
        histories.append(history)
    if len(parts) == 1:
        return parts[0], histories[0]
    encoders = _Encoders(
        Scaling.side_by_side([part.scaling for part in parts]),
        {f"{b}.{name}": w for b, part in enumerate(parts) for name, w in part.weights.items()},
        torch.cat([part.z for part in parts], dim=-1),
    )
    numbered = [table.assign(stage=table["stage"] + f".{b}") for b, table in enumerate(histories)]
    return encoders, pd.concat(numbered, ignore_index=True)


def _fit_block(bags, train, seed, network, training, unit_interval, bar, block) -> tuple[_Encoders, pd.DataFrame]:
    scaling = Scaling.unit_interval(bags.x.shape[1]) if unit_interval else Scaling.standard(bags, train)
    if network.compression == "autoencoder":
        plan = train_autoencoder(bags, scaling, train, seed, network, training, bar, block)
        encoder, history = plan.network, _history(plan, "autoencoder")
    else:
        encoder = fit_projection(bags, scaling, train, network)
        history = pd.DataFrame({name: [] for name in HISTORY}).astype(HISTORY)
    z = _encode(encoder, bags.x, scaling)
    mean, sd = _latent_scale(z, train[:, bags.bag_of_cell])
    encoder.absorb_latent_scale(mean, sd)
    return _Encoders(scaling, _weights(encoder), (z - mean) / sd), history


def _encoders_again(fitted: FittedStack, bags: Bags) -> tuple[_Encoders, np.ndarray]:
    parts = [fitted.encode(fitted.scale(part)) for part in np.array_split(bags.x, -(-len(bags.x) // 4096))]
    z = torch.cat(parts, dim=1).clone()  # made in inference mode, which training could not read
    return _Encoders(fitted.scaling, fitted.encoder, z), fitted.encoder_of_replica


def _check_same_encoders(
    fitted: FittedStack, replicas: Replicas, network: NetworkConfig, blocks: tuple[int, ...]
) -> None:
    same = [np.array_equal(getattr(fitted.replicas, name), getattr(replicas, name)) for name in ("seed", "train")]
    if not all(same):
        raise ValueError("encoders_of was fitted on other splits or seeds; pass a stack of the same replicas")
    if fitted.blocks != blocks:
        raise ValueError(f"encoders_of has blocks={fitted.blocks}, the bags have {blocks}; pass a stack of these bags")
    of_autoencoder = ("n_hidden", "dropout") if network.compression == "autoencoder" else ()
    for name in ("compression", "n_latent", *of_autoencoder):
        if getattr(fitted.config, name) != getattr(network, name):
            raise ValueError(
                f"encoders_of has {name}={getattr(fitted.config, name)!r}, network asks for {getattr(network, name)!r}"
            )


def _latent_scale(z: Tensor, member: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean of each latent, and one standard deviation for all, over each encoder's training cells.

    The overall scale of a latent space is arbitrary, which would make that of the bag classifier's steps arbitrary too;
    how far its axes differ among each other is not, so they share one scale. Both are ``(n_encoders, 1, n_latent)``.
    """
    own = [z[e, cells] for e, cells in enumerate(torch.from_numpy(member))]
    mean = torch.stack([cells.mean(dim=0) for cells in own])[:, None]
    sd = torch.stack([cells.var(dim=0).mean().sqrt() for cells in own])[:, None, None]
    return mean, sd.clamp(min=1e-6).expand_as(mean).contiguous()


@torch.no_grad()
def _encode(encoder: StackedAutoencoder | StackedProjection, x: np.ndarray, scaling: Scaling) -> Tensor:
    encoder = encoder.cpu()
    parts = torch.from_numpy(x).split(4096)
    loc, scale = torch.from_numpy(scaling.loc), torch.from_numpy(scaling.scale)
    return torch.cat([encoder.encode(scale_cells(part[None], loc, scale)) for part in parts], dim=1)


def _history(plan: StackedPlan, stage: str) -> pd.DataFrame:
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


def _join(weights: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in weights]) for name in weights[0]}


def _join_encoders(parts: list[_Encoders]) -> _Encoders:
    scaling = parts[0].scaling
    if len(scaling.loc) > 1 or len(parts[0].z) == 1:
        scaling = Scaling(*(np.concatenate([getattr(p.scaling, f) for p in parts]) for f in ("loc", "scale")))
    return _Encoders(scaling, _join([part.weights for part in parts]), parts[0].z)


def _weights(module: torch.nn.Module) -> dict[str, np.ndarray]:
    return {name: p.detach().cpu().numpy().copy() for name, p in module.state_dict().items()}
