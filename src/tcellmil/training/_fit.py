"""Fit stacks of replicas: encoders, latents, then attention and classifier, for one or several configurations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from tcellmil._devices import device_for
from tcellmil._isolation import isolated
from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.fitted._encoders import Encoders
from tcellmil.fitted._stack import FittedStack
from tcellmil.nn._network import NetworkConfig

from ._classifier import bag_outputs, train_classifier
from ._config import TrainingConfig
from ._encoders import Encoded, check_same_encoders, encode_again, fit_encoders, history_of, weights_of
from ._selection._architecture import resolve

#: Replicas are trained together up to about this many bytes of latents and activations; the result does not depend on
#: it.
STACK_BYTES = 4e9

#: Fields of a network by which its encoders differ.
OF_ENCODERS = ("compression", "n_hidden", "n_latent", "dropout")


@dataclass(frozen=True)
class Inner:
    """Splits within the training patients of replicas.

    Parameters
    ----------
    replicas
        The patients that each inner replica trains on and holds out.
    owner
        ``(n_inner,)``: the replica within whose training patients it is, and whose encoder it reads.
    """

    replicas: Replicas
    owner: np.ndarray


@isolated
def fit_stack(
    bags: Bags,
    replicas: Replicas,
    network: NetworkConfig | None = None,
    training: TrainingConfig | None = None,
    *,
    encoders_of: FittedStack | None = None,
    labels: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    progress: bool = True,
) -> tuple[FittedStack, pd.DataFrame]:
    """Train one network for every replica, all in one stack.

    Parameters
    ----------
    bags
        Patients as bags of cells, and their outcome.
    replicas
        The patients that each replica trains on, and its seed.
    network, training
        Sizes and kinds; how to train. What is left open in them is resolved for these bags (:func:`resolve`).
    encoders_of
        A stack fitted on the same bags and replicas: its encoders are used again, which gives the same result as
        fitting them again if what concerns them in ``network`` and ``training`` is the same.
    labels
        ``(n_replicas, n_bags)``: class codes that each replica trains on; those of ``bags`` by default.
    targets
        ``(n_replicas, n_bags, n_columns)``: the same where the outcome is a number, or time and event.
    progress
        Show the progress bar.

    Returns
    -------
    The fitted stack and its history: one row per replica, stage and epoch.

    Raises
    ------
    ValueError
        If the outcome cannot be trained on the patients of some replica, or ``encoders_of`` does not fit.
    """
    network, training = resolve(bags, network, training)
    options = {"encoders_of": encoders_of, "labels": labels, "targets": targets, "progress": progress}
    stacks, history, _ = fit_stacks(bags, replicas, [network], training, **options)
    return stacks[0], history.drop(columns="configuration")


@isolated
def fit_stacks(
    bags: Bags,
    replicas: Replicas,
    networks: Sequence[NetworkConfig],
    training: TrainingConfig,
    *,
    inner: Inner | None = None,
    encoders_of: FittedStack | None = None,
    labels: np.ndarray | None = None,
    targets: np.ndarray | None = None,
    progress: bool = True,
) -> tuple[list[FittedStack], pd.DataFrame, list[np.ndarray]]:
    """Train several networks for every replica; those with the same encoders share them.

    Parameters
    ----------
    bags, replicas, labels, targets, progress
        As in :func:`fit_stack`.
    networks, training
        What to fit, resolved.
    inner
        Splits within the training patients of the replicas, on which attention and classifier are trained too. They
        read the encoder of their replica, which has seen the cells of all of its training patients, without labels.
    encoders_of
        As in :func:`fit_stack`; for all of the networks.

    Returns
    -------
    A stack per network; their history, with the position of the network as ``configuration``; and per network the
    outputs of the inner replicas for the patients that these hold out, ``(n_inner, n_bags, n_outputs)``, NaN elsewhere.
    """
    device_for(training.accelerator)  # an error now, not after the first encoder
    labels = np.broadcast_to(bags.labels, replicas.train.shape) if labels is None else labels
    targets = bags.outcome.targets_for(bags.targets, len(replicas)) if targets is None else targets
    bags.outcome.check_training(training.early_stopping)
    for network in networks:
        _check_branches(bags, network)
    for own, of_replica in ((replicas, slice(None)), *(((inner.replicas, inner.owner),) if inner else ())):
        of_targets = None if targets is None else targets[of_replica]
        bags.outcome.check_replicas(of_targets, own.train, own.fold)
    fits = []
    groups = [_Group(bags, replicas, [networks[i] for i in g], training, inner, encoders_of) for g in _groups(networks)]
    with tqdm(total=sum(group.n_epochs for group in groups), disable=not progress, unit="epoch") as bar:
        for positions, group in zip(_groups(networks), groups, strict=True):
            fits += zip(positions, *group.fit(labels, targets, bar), strict=True)
    fits.sort(key=lambda fit: fit[0])
    histories = [history.assign(configuration=i) for i, _, history, _ in fits]
    return [fit[1] for fit in fits], _with_splits(histories, replicas), [fit[3] for fit in fits]


def _groups(networks: Sequence[NetworkConfig]) -> list[list[int]]:
    """Positions of networks that share encoders, one list for each."""
    groups: dict[tuple, list[int]] = {}
    for i, network in enumerate(networks):
        groups.setdefault(tuple(getattr(network, name) for name in OF_ENCODERS), []).append(i)
    return list(groups.values())


class _Group:
    """Networks that share encoders."""

    def __init__(self, bags, replicas, networks, training, inner, encoders_of):
        self.bags, self.replicas, self.networks, self.training = bags, replicas, networks, training
        self.inner, self.encoders_of = inner, encoders_of
        # Above the encoders, the latent of a cell is the latents of all of its representations.
        n_latent = sum(networks[0].latent_size(n_features) for n_features in bags.blocks)
        self.joint = [replace(network, n_latent=n_latent) for network in networks]
        self.chunks = _chunks(bags, replicas, self.joint, training, inner)
        if encoders_of is not None:
            check_same_encoders(encoders_of, bags, replicas, networks[0])

    @property
    def n_epochs(self) -> int:
        """Epochs of all stages, for the progress bar."""
        n_each = 1 if self.inner is None else 2
        n_epochs = len(self.chunks) * len(self.networks) * n_each * self.training.max_epochs
        if self.encoders_of is None and self.networks[0].compression == "autoencoder":
            n_fits = len(self.chunks) if self.training.encoder == "per_fold" else 1
            n_epochs += n_fits * len(self.bags.blocks) * self.training.max_epochs_ae
        return n_epochs

    def fit(self, labels, targets, bar) -> tuple[list[FittedStack], list[pd.DataFrame], list[np.ndarray | None]]:
        """One entry per network in each of the lists."""
        bags, replicas, training, encoders_of = self.bags, self.replicas, self.training, self.encoders_of
        is_shared = training.encoder == "shared" and encoders_of is None
        shared = _Shared(bags, replicas, self.networks[0], training, bar) if is_shared else None
        histories = [[] if shared is None else [shared.history], *([] for _ in self.networks[1:])]
        encoder_parts, weights, outputs = [], [[] for _ in self.networks], [[] for _ in self.networks]
        for chunk in self.chunks:
            own = replicas[chunk]
            if encoders_of is not None:
                fitted = encoders_of.select(chunk)
                encoded, encoder_of_replica = encode_again(fitted, bags), fitted.encoder_of_replica
            elif shared is not None:
                encoded, encoder_of_replica = shared.encoded, shared.encoder_of_replica[chunk]
            else:
                encoded = fit_encoders(bags, own.train, own.seed, self.networks[0], training, bar)
                encoder_of_replica = np.arange(len(chunk))
                histories[0].append(_of_chunk(encoded.history, chunk))
            encoder_parts.append(encoded.encoders)
            for i, network in enumerate(self.joint):
                of_chunk = labels[chunk], None if targets is None else targets[chunk]
                plan = train_classifier(bags, encoded.z, encoder_of_replica, own, network, training, bar, *of_chunk)
                histories[i].append(_of_chunk(history_of(plan, "mil"), chunk))
                weights[i].append(weights_of(plan.network))
                if self.inner is not None and np.isin(self.inner.owner, chunk).any():
                    data = bags, encoded.z, encoder_of_replica, network, training, self.inner, chunk
                    outputs[i].append(_inner_outputs(*data, labels, targets, bar))
        if encoders_of is not None:
            encoders, encoder_of_replica = encoders_of.encoders, encoders_of.encoder_of_replica
        elif shared is not None:
            encoders, encoder_of_replica = shared.encoded.encoders, shared.encoder_of_replica
        else:
            encoders, encoder_of_replica = Encoders.join(encoder_parts), np.arange(len(replicas))
        stacks = [
            FittedStack(
                config=network,
                outcome=bags.outcome,
                n_cohorts=bags.n_cohorts,
                n_covariates=bags.n_covariates,
                encoders=encoders,
                encoder_of_replica=encoder_of_replica,
                classifier=_join(parts),
                replicas=replicas,
            )
            for network, parts in zip(self.networks, weights, strict=True)
        ]
        return (
            stacks,
            [_concatenated(parts) for parts in histories],
            [_in_order(parts, self.inner) for parts in outputs],
        )


def _inner_outputs(
    bags, z, encoder_of_replica, network, training, inner: Inner, chunk, labels, targets, bar
) -> tuple[np.ndarray, np.ndarray]:
    """Positions of the inner replicas of a chunk, and their outputs for whom they hold out."""
    index = np.flatnonzero(np.isin(inner.owner, chunk))
    own, owner = inner.replicas[index], inner.owner[index]
    encoder = encoder_of_replica[np.searchsorted(chunk, owner)]
    of_owner = labels[owner], None if targets is None else targets[owner]
    plan = train_classifier(bags, z, encoder, own, network, training, bar, *of_owner)
    outputs = bag_outputs(plan.network, bags, z, encoder, own.test).numpy()
    return index, np.where(own.test[..., None], outputs, np.nan)


def _in_order(parts: list[tuple[np.ndarray, np.ndarray]], inner: Inner | None) -> np.ndarray | None:
    if inner is None:
        return None
    outputs = np.concatenate([values for _, values in parts])
    return outputs[np.argsort(np.concatenate([index for index, _ in parts]))]


def _check_branches(bags: Bags, network: NetworkConfig) -> None:
    """Raise a ValueError where cells have a classifier of their own and there are not two classes."""
    outcome = bags.outcome
    if network.instance_weight > 0 and outcome.n_scores != 2:
        what = f"there are {outcome.n_scores}" if outcome.n_scores > 2 else f"the outcome is {outcome.kind!r}"
        raise ValueError(f"instance_weight needs two classes, {what}; use instance_weight=0")


class _Shared:
    """Encoders that all folds of a seed share, as in the paper: they see the cells of all labelled patients."""

    def __init__(self, bags: Bags, replicas: Replicas, network: NetworkConfig, training: TrainingConfig, bar):
        seeds, first, self.encoder_of_replica = np.unique(replicas.seed, return_index=True, return_inverse=True)
        everyone = np.repeat(bags.labels[None] >= 0, len(seeds), axis=0)
        self.encoded: Encoded = fit_encoders(bags, everyone, seeds, network, training, bar)
        self.history = _of_chunk(self.encoded.history, first)


def _chunks(
    bags: Bags, replicas: Replicas, networks: Sequence[NetworkConfig], training: TrainingConfig, inner: Inner | None
) -> list[np.ndarray]:
    """Replicas that are trained together, by the network that takes most."""
    n_cells_bag = min(training.n_cells_bag or bags.sizes.max(), bags.sizes.max())
    n_bags = bags.outcome.bags_per_step(bags.n_labelled, training.bags_per_batch)
    width = max(network.n_latent + network.n_attention for network in networks)
    n_each = 1 if inner is None else max(1, -(-len(inner.owner) // len(replicas)))
    floats = 6 * n_each * n_bags * n_cells_bag * width
    if training.encoder == "per_fold":
        floats += len(bags.x) * networks[0].n_latent
    size = max(1, int(STACK_BYTES / (4 * floats)))
    return np.array_split(np.arange(len(replicas)), -(-len(replicas) // size))


def _of_chunk(history: pd.DataFrame, chunk: np.ndarray) -> pd.DataFrame:
    return history.assign(replica=chunk[history["replica"]])


def _concatenated(parts: list[pd.DataFrame]) -> pd.DataFrame:
    return pd.concat([part for part in parts if len(part)], ignore_index=True)


def _with_splits(histories: list[pd.DataFrame], replicas: Replicas) -> pd.DataFrame:
    history = _concatenated(histories)
    history.insert(1, "seed", replicas.seed[history["replica"]])
    history.insert(2, "fold", replicas.fold[history["replica"]])
    return history


def _join(weights: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in weights]) for name in weights[0]}
