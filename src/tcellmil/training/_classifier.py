"""Stage two of training: attention and classifier on the latents of bags."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags
from tcellmil.nn._attention import pool_bags
from tcellmil.nn._losses import instance_cross_entropy
from tcellmil.nn._network import NetworkConfig, StackedBagClassifier
from tcellmil.outcomes import Outcome

from ._batches import bag_batches
from ._config import TrainingConfig
from ._loop import run_plan
from ._stage import CLASSIFIER, VALIDATION_BAGS, StackedPlan, generators_of, rng_of, take

#: Least standard deviation of an embedding over patients, in units of the latents, by which it is divided.
MIN_SPREAD_OF_PATIENTS = 1e-4


class BagPlan(StackedPlan):
    """Attention and classifier on the latents of bags; the encoders stand still.

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
    outcome
        What is predicted; it owns the loss.
    targets
        ``(n_replicas, n_bags, n_columns)`` on the scale on which the networks learn; ``None`` for classes.
    instance_weight
        Weight of the cell branch's loss, where the network has one.
    pooled
        ``(n_encoders, n_bags, feature)``: embeddings of all bags, where they do not depend on the weights; no cells are
        read then.
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
        outcome: Outcome,
        targets: Tensor | None = None,
        instance_weight: float = 0.0,
        pooled: Tensor | None = None,
    ):
        super().__init__(network, group, seeds, config, early_stopping)
        self.instance_weight, self.outcome = instance_weight, outcome
        self._own_encoders = torch.equal(encoder_of_replica, torch.arange(len(z)))
        for name, value in {
            "z": z,
            "encoder_of_replica": encoder_of_replica,
            "labels": labels,
            "cohort": cohort,
            "weights": weights,
            "validation_weights": validation_weights,
            "targets": targets,
            "pooled": pooled,
        }.items():
            self.register_buffer(name, value, persistent=False)

    def step_options(self) -> dict[str, float]:
        """An AdamW whose step is, with a large ``eps``, proportional to the gradient."""
        return {"lr": self.config.lr, "eps": self.config.eps}

    def losses(self, batch: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
        """The outcome's loss; ``batch`` holds ``bags`` (seed, bag), ``cells`` and ``present`` (seed, bag, cell)."""
        replica_group = self.group[:1] if len(self.seeds) == 1 else self.group
        bags = batch["bags"][replica_group]  # (1 or replica, bag)
        scores = instances = present = None
        if self.pooled is not None:
            logits = self.network.classify(take(self.pooled, bags, self.encoder_of_replica), self.cohort[bags])
        else:
            logits, scores, instances, present = self._of_cells(batch, replica_group, bags)
        weights = take(self.weights if self.training else self.validation_weights, bags)
        labels = take(self.labels, bags)
        targets = None if self.targets is None else take(self.targets, bags)
        loss, size = self.outcome.loss(logits, labels, targets, weights)
        if instances is not None and self.training:
            loss = loss + self.instance_weight * instance_cross_entropy(instances, scores, labels, weights, present)
        return loss, size

    def _of_cells(self, batch: dict[str, Tensor], replica_group: Tensor, bags: Tensor) -> tuple[Tensor | None, ...]:
        """Outputs of bags by their cells, scores of these, class scores of these, and which are there."""
        n_replicas, n_encoders = len(self.group), len(self.z)
        cells, present = batch["cells"], batch["present"][replica_group]
        if n_encoders == len(self.seeds) and n_encoders < n_replicas:
            z = take(self.z, cells.flatten(1)).unflatten(1, cells.shape[1:])  # one encoder a seed serves its folds
            z = z if n_encoders == 1 else z[self.encoder_of_replica]
        elif self._own_encoders:
            z = take(self.z, cells[replica_group].flatten(1)).unflatten(1, cells.shape[1:])
        else:
            index = cells[replica_group].flatten(1)  # (1 or replica, bag x cell)
            z = take(self.z, index, self.encoder_of_replica).unflatten(1, cells.shape[1:])
        logits, _, scores, instances = self.network.branches(z, present, self.cohort[bags])
        return logits, scores, instances, present


def train_classifier(
    bags: Bags,
    z: Tensor,
    encoder_of_replica: np.ndarray,
    replicas: Replicas,
    network: NetworkConfig,
    training: TrainingConfig,
    bar,
    labels: np.ndarray,
    targets: np.ndarray | None = None,
) -> BagPlan:
    """Train one attention network and classifier per replica, on the latents of its training patients.

    Parameters
    ----------
    bags
        The data.
    z
        ``(n_encoders, n_cells, n_latent)``.
    encoder_of_replica
        ``(n_replicas,)``.
    replicas
        The patients that each replica trains on, and its seed.
    network, training
        Sizes and kinds; how to train.
    bar
        Progress bar, advanced by one with every epoch.
    labels
        ``(n_replicas, n_bags)`` class codes.
    targets
        ``(n_replicas, n_bags, n_columns)``, as the outcome has them; ``None`` for classes.
    """
    outcome, train = bags.outcome, replicas.train
    seeds, group = np.unique(replicas.seed, return_inverse=True)
    stack = StackedBagClassifier(
        generators_of(replicas.seed, CLASSIFIER),
        network,
        n_cohorts=bags.n_cohorts,
        n_covariates=bags.n_covariates,
        n_scores=outcome.n_scores,
        head=outcome.head(len(replicas)),
    )
    if bags.n_continuous:
        stack.classifier.set_covariate_units(*_covariate_units(bags, train))
    is_fixed = network.pooling == "mean" and network.n_embed is None  # only the classifier above it is learned
    pooled = pool_latents(bags, z, network.moments) if is_fixed or network.has_bag_units else None
    if network.has_bag_units:
        units = _embedding_units(pooled, encoder_of_replica, train, scaled=network.units == "patients")
        stack.classifier.set_embedding_units(*units)
    stopping = training.early_stopping == "both"
    held_out = _held_out_bags(labels, train, seeds, group, training) if stopping else np.zeros_like(train)
    fit_on = train & ~held_out
    counts = fit_on if replicas.weights is None else fit_on * replicas.weights
    targets, scale = outcome.scale_targets(targets, counts)
    class_weight = _balanced_class_weights(labels, fit_on, bags.n_outputs)
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
        cohort=torch.from_numpy(bags.bag_covariates),
        weights=torch.from_numpy((per_bag * counts).astype(np.float32)),
        validation_weights=torch.from_numpy((per_bag * held_out).astype(np.float32)),
        outcome=outcome,
        targets=None if targets is None else torch.from_numpy(np.nan_to_num(targets)).float(),
        instance_weight=network.instance_weight,
        pooled=pooled if is_fixed else None,
    )
    _run(plan, bags, training, [rng_of(seed, CLASSIFIER) for seed in seeds], bar)
    outcome.finish(stack.cpu().head, scale, lambda: _mean_output(stack, bags, z, encoder_of_replica, train))
    return plan


def _run(plan: BagPlan, bags: Bags, training: TrainingConfig, rngs: list[np.random.Generator], bar) -> None:
    labelled = np.flatnonzero(bags.labels >= 0)
    size = bags.outcome.bags_per_step(bags.n_labelled, training.bags_per_batch)

    def draw(generators) -> Iterator[dict[str, Tensor]]:
        n_cells = training.n_cells_bag if plan.pooled is None else 0
        return bag_batches(generators, labelled, bags.offsets, n_cells, size)

    def held_out() -> Iterator[dict[str, Tensor]]:
        return draw([rng_of(seed, VALIDATION_BAGS) for seed in plan.seeds])

    run_plan(
        plan,
        lambda: draw(rngs),
        None if plan.best is None else held_out,
        max_epochs=training.max_epochs,
        accelerator=training.accelerator,
        bar=bar,
        stage="attention",
    )


@torch.no_grad()
def bag_outputs(
    network: StackedBagClassifier, bags: Bags, z: Tensor, encoder_of_replica: np.ndarray, shown_to: np.ndarray
) -> Tensor:
    """Outputs of bags by all of their cells, ``(replica, bag, output)``; NaN where a bag is shown to no replica.

    Parameters
    ----------
    network
        The trained stack.
    bags, z, encoder_of_replica
        As in :func:`train_classifier`.
    shown_to
        ``(n_replicas, n_bags)`` bool: what is computed of bags that are shown to other replicas only is not meant.
    """
    network.cpu().eval()
    side, encoder = torch.from_numpy(bags.bag_covariates), torch.from_numpy(encoder_of_replica)
    found = []
    for i in range(bags.n_bags):
        if not shown_to[:, i].any():
            found.append(None)
            continue
        cells = z[:, None, bags.bag(i)]
        cells = cells if len(z) == 1 else cells[encoder]
        present = torch.ones((1, *cells.shape[1:3]), dtype=torch.bool)
        found.append(network(cells, present, side[i].expand(1, 1, -1))[0][:, 0])
    known = next(row for row in found if row is not None)
    return torch.stack([torch.full_like(known, torch.nan) if row is None else row for row in found], dim=1)


def _mean_output(
    network: StackedBagClassifier, bags: Bags, z: Tensor, encoder_of_replica: np.ndarray, train: np.ndarray
) -> Tensor:
    """Mean output over each replica's training patients, ``(replica, 1, 1)`` float64; all of their cells are used.

    The parameters are those of :func:`train_classifier`.
    """
    outputs = bag_outputs(network, bags, z, encoder_of_replica, train)[..., 0].double()
    own = torch.from_numpy(train)
    return (torch.where(own, outputs, 0.0).sum(dim=1) / own.sum(dim=1))[:, None, None]


def pool_latents(bags: Bags, z: Tensor, moments: str) -> Tensor:
    """Embeddings of bags all of whose cells count alike, ``(n_encoders, n_bags, feature)``."""
    found = []
    for i in range(bags.n_bags):
        cells = z[:, None, bags.bag(i)]
        present = torch.ones((1, 1, cells.shape[2]), dtype=torch.bool)
        found.append(pool_bags(torch.zeros(len(z), 1, cells.shape[2]), cells, present, moments)[0])
    return torch.cat(found, dim=1)


def _embedding_units(
    pooled: Tensor, encoder_of_replica: np.ndarray, train: np.ndarray, *, scaled: bool
) -> tuple[Tensor, Tensor]:
    """Mean and standard deviation of embeddings over each replica's training patients, ``(replica, 1, feature)``.

    Standard deviations are 1 where they are not asked for, and where a column does not vary among these patients.
    """
    own = torch.from_numpy(train / train.sum(axis=1, keepdims=True))[:, None]  # (replica, 1, bag)
    embedding = (pooled if len(pooled) == 1 else pooled[torch.from_numpy(encoder_of_replica)]).double()
    embedding = embedding.expand(len(train), -1, -1)
    mean = torch.bmm(own, embedding)
    sd = torch.bmm(own, (embedding - mean).square()).sqrt()
    sd = torch.where(sd > MIN_SPREAD_OF_PATIENTS, sd, 1.0) if scaled else torch.ones_like(sd)
    return mean.float(), sd.float()


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


def _held_out_bags(labels, train, seeds, group, training) -> np.ndarray:
    """Training patients that each replica is validated on: the first few of each class, in a random order."""
    held_out = np.zeros_like(train)
    rank = np.stack([rng_of(seed, VALIDATION_BAGS).permutation(train.shape[1]) for seed in seeds])
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
