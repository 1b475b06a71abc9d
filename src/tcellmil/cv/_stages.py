"""The two stages of training a stack, from arrays to fitted networks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tcellmil._outcome_kinds import CONTINUOUS, OF_CLASSES, SURVIVAL
from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._network import NetworkConfig, StackedBagClassifier
from tcellmil.nn._projection import StackedProjection

from ._bags import Bags
from ._batches import bag_batches, cell_batches
from ._config import TrainingConfig
from ._lightning import Epochs, run_plan
from ._plans import AutoencoderPlan, BagPlan
from ._scaling import Scaling, median_absolute_deviation, moments, scale_cells

#: Least spread of a feature on the networks' scale: what varies less is not blown up.
MIN_SPREAD = 1e-3

#: Least spread in standard deviations, for features whose median absolute deviation is small or 0.
MIN_SPREAD_OF_SD = 0.3

# What a seed's random numbers are for; each purpose has a stream of its own.
_AUTOENCODER, _CLASSIFIER, _VALIDATION_CELLS, _VALIDATION_BAGS = range(2, 6)


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
        _generators(seed, _AUTOENCODER, block),
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
            held_out[i, _rng(seed, _VALIDATION_CELLS, block).choice(cells, n_held_out, replace=False)] = True
    fit_cells = np.stack([cells[~row[cells]] for row in held_out])
    stack.set_input_units(*(torch.from_numpy(m[:, None]) for m in _centre_and_spread(bags, scaling, train)))
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
    rngs = [_rng(seed, _AUTOENCODER, block) for seed in seeds]
    size = training.batch_size
    train_epochs = Epochs(lambda: cell_batches(rngs, fit_cells, size), -(-fit_cells.shape[1] // size))
    validation = None
    if stopping:
        kept_back = torch.from_numpy(np.stack([np.flatnonzero(row) for row in held_out]))
        parts = kept_back.split(4096, dim=1)
        validation = Epochs(lambda: iter(parts), len(parts))
    run_plan(
        plan,
        train_epochs,
        validation,
        max_epochs=training.max_epochs_ae,
        accelerator=training.accelerator,
        bar=bar,
        stage="autoencoder",
    )
    return plan


def fit_projection(bags: Bags, scaling: Scaling, train: np.ndarray, network: NetworkConfig) -> StackedProjection:
    """Standardised features, or their principal components, of the bags that each row of ``train`` marks.

    The parameters are those of :func:`train_autoencoder`; nothing is random.
    """
    n_latent = network.n_latent if network.compression == "pca" else None
    stack = StackedProjection(len(train), bags.x.shape[1], n_latent)
    stack.set_input_units(*(torch.from_numpy(m[:, None]) for m in _centre_and_spread(bags, scaling, train)))
    if n_latent is not None:
        loc, scale = torch.from_numpy(scaling.loc), torch.from_numpy(scaling.scale)
        # Seeds of a fold train on the same cells, which have the same components.
        _, first, same = np.unique(train, axis=0, return_index=True, return_inverse=True)
        for k in first:
            row = slice(None) if len(loc) == 1 else slice(k, k + 1)
            x = torch.from_numpy(bags.x[train[k, bags.bag_of_cell]])[None]
            stack.fit_components(k, scale_cells(x, loc[row], scale[row])[0])
        stack.components.copy_(stack.components[first][same.ravel()])
    return stack


def _centre_and_spread(bags: Bags, scaling: Scaling, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and robust spread of each feature on the networks' scale, over each encoder's training cells.

    The spread is the median absolute deviation, times 1.4826 as in a normal distribution, but at least
    :data:`MIN_SPREAD_OF_SD` standard deviations. A feature that is quiet in most cells and high in a rare population
    stands out in these units; its standard deviation, which the rare cells themselves inflate, would hide them.
    """
    mean, sd = moments(bags, train)
    deviation = np.stack([median_absolute_deviation(bags.x[own]) for own in train[:, bags.bag_of_cell]])
    spread = np.maximum(1.4826 * deviation, MIN_SPREAD_OF_SD * sd)
    return (mean - scaling.loc) / scaling.scale, np.maximum(spread / scaling.scale, MIN_SPREAD)


def train_classifier(
    bags: Bags,
    z: Tensor,
    encoder_of_replica: np.ndarray,
    train: np.ndarray,
    seed: np.ndarray,
    network: NetworkConfig,
    training: TrainingConfig,
    bar,
    labels: np.ndarray,
    targets: np.ndarray | None = None,
    weights: np.ndarray | None = None,
) -> BagPlan:
    """Train one attention network and classifier a row of ``train``, on the latents of the bags that the row marks.

    Parameters
    ----------
    bags
        The data.
    z
        ``(n_encoders, n_cells, n_latent)``.
    encoder_of_replica
        ``(n_replicas,)``.
    train
        ``(n_replicas, n_bags)`` bool.
    seed
        ``(n_replicas,)``.
    network, training
        Sizes and kinds; how to train.
    bar
        Progress bar, advanced by an epoch at a time.
    labels
        ``(n_replicas, n_bags)`` class codes.
    targets
        ``(n_replicas, n_bags, 1 or 2)``: the number of each bag, or time and event, where that is the outcome.
    weights
        ``(n_replicas, n_bags)``: how much each bag counts; all alike by default.
    """
    seeds, group = np.unique(seed, return_inverse=True)
    stack = StackedBagClassifier(
        _generators(seed, _CLASSIFIER),
        network,
        n_cohorts=bags.n_cohorts,
        n_covariates=bags.n_covariates,
        n_classes=bags.n_classes,
    )
    if bags.n_continuous:
        stack.classifier.set_covariate_units(*_covariate_units(bags, train))
    labelled = np.flatnonzero(bags.labels >= 0)
    stopping = training.early_stopping == "both"
    if stopping and network.outcome == SURVIVAL:
        raise ValueError(
            "early_stopping='both' cannot judge times to event: a few held-out patients have hardly a risk set; "
            "use early_stopping='autoencoder'"
        )
    held_out = _held_out_bags(labels, train, seeds, group, training) if stopping else np.zeros_like(train)
    fit_on = train & ~held_out
    counts = fit_on if weights is None else fit_on * weights
    if network.outcome == CONTINUOUS:
        loc, scale = _target_units(targets, counts)
        targets = (targets - loc) / scale
    elif network.outcome == SURVIVAL:
        targets = _ranked(targets)
    class_weight = _balanced_class_weights(labels, fit_on, bags.n_classes)
    per_bag = np.take_along_axis(class_weight, np.maximum(labels, 0), axis=1)
    plan = BagPlan(
        stack,
        group,
        seeds,
        training,
        stopping,
        z=z,
        encoder_of_replica=torch.from_numpy(encoder_of_replica),
        labels=torch.from_numpy(labels),
        cohort=torch.from_numpy(bags.side),
        weights=torch.from_numpy((per_bag * counts).astype(np.float32)),
        validation_weights=torch.from_numpy((per_bag * held_out).astype(np.float32)),
        instance_weight=network.instance_weight,
        outcome=network.outcome,
        targets=None if network.outcome in OF_CLASSES else torch.from_numpy(np.nan_to_num(targets)).float(),
    )
    rngs = [_rng(seed, _CLASSIFIER) for seed in seeds]
    size, n_cells = bags_per_step(bags, network, training), training.n_cells_bag
    n_batches = -(-len(labelled) // size)

    def draw(generators) -> Iterator[dict[str, Tensor]]:
        return bag_batches(generators, labelled, bags.offsets, n_cells, size)

    validation = None
    if stopping:
        validation = Epochs(lambda: draw([_rng(seed, _VALIDATION_BAGS) for seed in seeds]), n_batches)
    run_plan(
        plan,
        Epochs(lambda: draw(rngs), n_batches),
        validation,
        max_epochs=training.max_epochs,
        accelerator=training.accelerator,
        bar=bar,
        stage="attention",
    )
    if network.outcome == CONTINUOUS:
        stack.cpu().head.set_units(torch.from_numpy(loc), torch.from_numpy(scale))
    elif network.outcome == SURVIVAL:
        _centre_risks(stack, bags, z, encoder_of_replica, train)
    return plan


def bags_per_step(bags: Bags, network: NetworkConfig, training: TrainingConfig) -> int:
    """Bags in a batch: of times to event all of them, so that risk sets are whole."""
    return bags.n_labelled if network.outcome == SURVIVAL else training.bags_per_batch


@torch.no_grad()
def _centre_risks(
    network: StackedBagClassifier, bags: Bags, z: Tensor, encoder_of_replica: np.ndarray, train: np.ndarray
) -> None:
    """Make 0 the mean log hazard of each replica's training patients: only differences are learned, and folds differ.

    The parameters are those of :func:`train_classifier`; all cells of each patient are used.
    """
    network.cpu().eval()
    side = torch.from_numpy(bags.side)
    total = torch.zeros(len(train), 1, 1, dtype=torch.float64)
    for i in np.flatnonzero(train.any(axis=0)):
        cells = z[:, None, bags.bag(i)]
        cells = cells if len(z) == 1 else cells[torch.from_numpy(encoder_of_replica)]
        present = torch.ones((1, *cells.shape[1:3]), dtype=torch.bool)
        risk = network(cells, present, side[i].expand(1, 1, -1))[0]
        total += risk * torch.from_numpy(train[:, i])[:, None, None]
    network.head.set_units(-total / torch.from_numpy(train.sum(axis=1))[:, None, None], network.head.scale)


def _covariate_units(bags: Bags, train: np.ndarray) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of the numbers among the covariates over each replica's training patients.

    Both are ``(n_replicas, 1, n_covariates)``; 0 and 1 for what is one-hot, so that a value never seen adds nothing.
    """
    mean, sd = np.zeros((len(train), bags.n_covariates)), np.ones((len(train), bags.n_covariates))
    for k, own in enumerate(train):
        numbers = bags.covariates[own, : bags.n_continuous].astype(np.float64)
        spread = numbers.std(axis=0)
        mean[k, : bags.n_continuous] = numbers.mean(axis=0)
        sd[k, : bags.n_continuous] = np.where(spread > 1e-6, spread, 1)
    return torch.from_numpy(mean[:, None]).float(), torch.from_numpy(sd[:, None]).float()


def _target_units(targets: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of the number over each replica's training patients, ``(n_replicas, 1, 1)``."""
    share = (weights / weights.sum(axis=1, keepdims=True))[..., None]
    numbers = np.where(share > 0, targets, 0)
    mean = (share * numbers).sum(axis=1, keepdims=True)
    sd = np.sqrt((share * (numbers - mean) ** 2).sum(axis=1, keepdims=True))
    return mean, np.where(sd > 1e-12 * np.maximum(1, np.abs(mean)), sd, 1)


def _ranked(targets: np.ndarray) -> np.ndarray:
    """Times by their ranks, equal ones alike, which is all that a partial likelihood reads of them."""
    ranked = targets.copy()
    for row in ranked:
        row[:, 0] = np.unique(row[:, 0], return_inverse=True)[1]
    return ranked


def _held_out_bags(labels, train, seeds, group, training) -> np.ndarray:
    """Training patients that each replica is validated on: the first few of each class, in a random order."""
    held_out = np.zeros_like(train)
    rank = np.stack([_rng(seed, _VALIDATION_BAGS).permutation(train.shape[1]) for seed in seeds])
    for k, row in enumerate(train):
        for c in np.unique(labels[k, row]):
            own = np.flatnonzero(row & (labels[k] == c))
            n = max(1, round(training.validation_size * len(own)))
            if n >= len(own):
                raise ValueError(
                    f"early_stopping='both' needs at least 2 training patients of every class, a fold has {len(own)}; "
                    "use early_stopping='autoencoder'"
                )
            held_out[k, own[np.argsort(rank[group[k], own])[:n]]] = True
    return held_out


def _balanced_class_weights(labels: np.ndarray, train: np.ndarray, n_classes: int) -> np.ndarray:
    """``n / (n_classes * n_c)`` of each replica's own training patients, ``(replica, class)``."""
    counts = np.stack([(train & (labels == c)).sum(axis=1) for c in range(n_classes)], axis=1)
    return train.sum(axis=1, keepdims=True) / (n_classes * counts)


def _rng(seed: int, purpose: int, block: int = 0) -> np.random.Generator:
    return np.random.default_rng([int(seed), purpose, block] if block else [int(seed), purpose])


def _generators(seeds: np.ndarray, purpose: int, block: int = 0) -> list[torch.Generator]:
    return [torch.Generator().manual_seed(int(_rng(seed, purpose, block).integers(2**63))) for seed in seeds]
