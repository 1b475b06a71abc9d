"""Fit a stack of replicas: encoders, latents, then attention and classifier."""

from __future__ import annotations

from dataclasses import replace

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

from ._architecture import resolve
from ._classifier import train_classifier
from ._config import TrainingConfig
from ._encoders import Encoded, check_same_encoders, encode_again, fit_encoders, history_of, weights_of

#: Replicas are trained together up to about this many bytes of latents and activations; the result does not depend on
#: it.
STACK_BYTES = 4e9


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
    device_for(training.accelerator)  # an error now, not after the first encoder
    labels = np.broadcast_to(bags.labels, replicas.train.shape) if labels is None else labels
    targets = bags.outcome.targets_for(bags.targets, len(replicas)) if targets is None else targets
    bags.outcome.check_training(training.early_stopping)
    _check_branches(bags, network)
    bags.outcome.check_replicas(targets, replicas.train, replicas.fold)
    if encoders_of is not None:
        check_same_encoders(encoders_of, bags, replicas, network)
    # Above the encoders, the latent of a cell is the latents of all of its representations.
    joint = replace(network, n_latent=sum(network.latent_size(n_features) for n_features in bags.blocks))
    chunks = _chunks(bags, replicas, joint, training)
    parts, histories = [], []
    with tqdm(
        total=_n_epochs(bags, network, training, len(chunks), encoders_of), disable=not progress, unit="epoch"
    ) as bar:
        shared = _Shared(bags, replicas, network, training, bar) if _is_shared(training, encoders_of) else None
        histories += [shared.history] if shared is not None else []
        for chunk in chunks:
            own = replicas[chunk]
            if encoders_of is not None:
                fitted = encoders_of.select(chunk)
                encoded, encoder_of_replica = encode_again(fitted, bags), fitted.encoder_of_replica
            elif shared is not None:
                encoded, encoder_of_replica = shared.encoded, shared.encoder_of_replica[chunk]
            else:
                encoded = fit_encoders(bags, own.train, own.seed, network, training, bar)
                encoder_of_replica = np.arange(len(chunk))
                histories.append(_of_chunk(encoded.history, chunk))
            of_chunk = None if targets is None else targets[chunk]
            data = (bags, encoded.z, encoder_of_replica, own, joint, training)
            plan = train_classifier(*data, bar, labels[chunk], of_chunk)
            histories.append(_of_chunk(history_of(plan, "mil"), chunk))
            parts.append((encoded.encoders, weights_of(plan.network)))
    if encoders_of is not None:
        encoders, encoder_of_replica = encoders_of.encoders, encoders_of.encoder_of_replica
    elif shared is not None:
        encoders, encoder_of_replica = shared.encoded.encoders, shared.encoder_of_replica
    else:
        encoders, encoder_of_replica = Encoders.join([part for part, _ in parts]), np.arange(len(replicas))
    stack = FittedStack(
        config=network,
        outcome=bags.outcome,
        n_cohorts=bags.n_cohorts,
        n_covariates=bags.n_covariates,
        encoders=encoders,
        encoder_of_replica=encoder_of_replica,
        classifier=_join([weights for _, weights in parts]),
        replicas=replicas,
    )
    return stack, _with_splits(histories, replicas)


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


def _is_shared(training: TrainingConfig, encoders_of: FittedStack | None) -> bool:
    return training.encoder == "shared" and encoders_of is None


def _n_epochs(bags: Bags, network, training: TrainingConfig, n_chunks: int, encoders_of: FittedStack | None) -> int:
    n_epochs = n_chunks * training.max_epochs
    if encoders_of is None and network.compression == "autoencoder":
        n_fits = n_chunks if training.encoder == "per_fold" else 1
        n_epochs += n_fits * len(bags.blocks) * training.max_epochs_ae
    return n_epochs


def _chunks(bags: Bags, replicas: Replicas, network: NetworkConfig, training: TrainingConfig) -> list[np.ndarray]:
    n_cells_bag = min(training.n_cells_bag or bags.sizes.max(), bags.sizes.max())
    n_bags = bags.outcome.bags_per_step(bags.n_labelled, training.bags_per_batch)
    floats = 6 * n_bags * n_cells_bag * (network.n_latent + network.n_attention)
    if training.encoder == "per_fold":
        floats += len(bags.x) * network.n_latent
    size = max(1, int(STACK_BYTES / (4 * floats)))
    return np.array_split(np.arange(len(replicas)), -(-len(replicas) // size))


def _of_chunk(history: pd.DataFrame, chunk: np.ndarray) -> pd.DataFrame:
    return history.assign(replica=chunk[history["replica"]])


def _with_splits(histories: list[pd.DataFrame], replicas: Replicas) -> pd.DataFrame:
    history = pd.concat([part for part in histories if len(part)], ignore_index=True)
    history.insert(1, "seed", replicas.seed[history["replica"]])
    history.insert(2, "fold", replicas.fold[history["replica"]])
    return history


def _join(weights: list[dict[str, np.ndarray]]) -> dict[str, np.ndarray]:
    return {name: np.concatenate([part[name] for part in weights]) for name in weights[0]}
