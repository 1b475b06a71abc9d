"""The bag classifier above the latent, and the sizes that define the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Literal

import torch
from torch import Tensor, nn

from tcellmil._checks import check_choice, check_count, choices

from ._attention import StackedAttention, max_of_bags, pool_bags
from ._cohort import StackedClassifier
from ._layers import StackedLayerNorm, StackedLinear

Compression = Literal["auto", "autoencoder", "pca"] | None
Pooling = Literal["attention", "mean", "max"]
Attention = Literal["tanh", "gated", "mlp"]
BatchEncoding = Literal["concat", "film"] | None
Moments = Literal["mean", "mean_sd"]
Units = Literal["cells", "patients"]

#: With fewer labelled patients than this a cohort is small, and has defaults of its own. On simulated cohorts of 16 to
#: 24 patients they were clearly ahead, from 48 on hardly or not (``benchmarks/small_cohorts.py``).
SMALL_COHORT = 48


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and kinds that define a network; with the arrays of its weights it is all that is needed to run it.

    Parameters
    ----------
    n_hidden
        Hidden width of the autoencoder.
    n_latent
        Size of the latent; of several representations, of each one's. Principal components are at most as many as the
        features, and without compression the latent is the features.
    n_attention
        Hidden width of the attention network.
    compression
        From features to latent: ``"autoencoder"`` (the paper), ``"pca"`` (``n_latent`` principal components of the
        training cells), or ``None``: the features themselves, standardised. ``"auto"``: principal components for fewer
        than 48 labelled patients, else the autoencoder; :doc:`/small_cohorts` says why.
    n_embed
        Width of a further layer between latent and attention that is trained with the bag classifier (linear, layer
        norm, ReLU); ``None``: there is none.
    pooling
        From cells to the bag: ``"attention"``, ``"mean"`` or ``"max"``.
    moments
        What is pooled: the ``"mean"`` over the bag's cells (the paper), or ``"mean_sd"``, their standard deviation
        beside it, which a small population moves more than the mean. Both are weighted by the attention, if there is
        any.
    units
        In which a bag's embedding reaches the classifier: ``"cells"``, those of the latents, in which directions that
        vary much among cells count more, or ``"patients"``: every column standardised over the training patients.
    attention
        ``"tanh"`` (the paper), ``"gated"``, or ``"mlp"`` (PaSCient).
    strength
        How readily attention leaves the mean over cells, at least 0: its scores are multiplied by it. At 0 it never
        does, at 2 it learns about four times as fast as at 1.
    instance_weight
        Weight of a second loss, that of a classifier of cells taught by the attention (scMILD's dual branch). Needs
        two classes and ``n_embed``, the layer that both branches share.
    batch_encoding
        How the classifier knows the cohort: ``"concat"`` (the paper), ``"film"`` or ``None``.
    dropout
        Dropout in the autoencoder's hidden layers.
    dropout_mil
        Dropout on the bag's embedding.
    """

    n_hidden: int = 96
    n_latent: int = 48
    n_attention: int = 64
    compression: Compression = "auto"
    n_embed: int | None = None
    pooling: Pooling = "attention"
    moments: Moments = "mean"
    units: Units = "cells"
    attention: Attention = "tanh"
    strength: float = 1.0
    instance_weight: float = 0.0
    batch_encoding: BatchEncoding = "concat"
    dropout: float = 0.1
    dropout_mil: float = 0.0

    def __post_init__(self):
        for name in ("n_hidden", "n_latent", "n_attention", *(["n_embed"] if self.n_embed is not None else [])):
            check_count(getattr(self, name), name)
        for name in ("dropout", "dropout_mil"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be in [0, 1)")
        check_choice(self.compression, choices(Compression), "compression")
        check_choice(self.pooling, choices(Pooling), "pooling")
        check_choice(self.moments, choices(Moments), "moments")
        check_choice(self.units, choices(Units), "units")
        check_choice(self.attention, choices(Attention), "attention")
        if self.has_bag_units and (self.pooling == "max" or self.n_embed is not None):
            raise ValueError(
                f"moments={self.moments!r} and units={self.units!r} need pooling='attention' or 'mean' and no n_embed; "
                "use moments='mean' and units='cells' here"
            )
        check_choice(self.batch_encoding, choices(BatchEncoding), "batch_encoding")
        if not 0 <= self.strength < float("inf"):
            raise ValueError(f"strength={self.strength!r} must be a number of at least 0")
        if not self.instance_weight >= 0:
            raise ValueError(f"instance_weight={self.instance_weight!r} must not be negative")
        if self.instance_weight > 0 and (self.n_embed is None or self.pooling != "attention"):
            raise ValueError(
                "instance_weight needs pooling='attention' and n_embed, the layer that both branches share"
            )

    def resolved(self, n_patients: int, n_features: int) -> NetworkConfig:
        """The network that is trained, with the compression and the latent size that a cohort has.

        ``compression="auto"`` depends on the number of labelled patients; without an autoencoder the latent size
        follows from the features.
        """
        if self.compression == "auto":
            chosen = replace(self, compression="pca" if n_patients < SMALL_COHORT else "autoencoder")
            return chosen.resolved(n_patients, n_features)
        return replace(self, n_latent=self.latent_size(n_features))

    @property
    def has_bag_units(self) -> bool:
        """A bag's embedding is centred and scaled before it reaches the classifier."""
        return self.moments != "mean" or self.units != "cells"

    @property
    def words(self) -> str:
        """What tells it from other configurations, such as ``"pca 48, attention"``; resolved."""
        size = {"pca": f"pca {self.n_latent}", "autoencoder": f"autoencoder {self.n_latent}", None: "features"}
        parts = [size[self.compression], self.pooling if self.moments == "mean" else f"{self.pooling} with sd"]
        return ", ".join(parts + (["standardised"] if self.units == "patients" else []))

    def latent_size(self, n_features: int) -> int:
        """Latent size of a representation of so many features; without an autoencoder it follows from them."""
        if self.compression is None:
            return n_features
        return min(self.n_latent, n_features) if self.compression == "pca" else self.n_latent

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)


class StackedBagClassifier(nn.Module):
    """K attention networks and classifiers: from the latent of a bag's cells to class scores, or another outcome.

    Parameters
    ----------
    generators
        One random generator per replica.
    config
        Sizes and kinds.
    n_cohorts, n_covariates
        Number of cohorts (0: none given) and of covariates of the patient.
    n_scores
        Number of linear scores of a bag: of classes one each, of other outcomes one.
    head
        What follows the scores; ``None``: they are the outputs.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        config: NetworkConfig,
        *,
        n_cohorts: int,
        n_scores: int,
        n_covariates: int = 0,
        head: nn.Module | None = None,
    ):
        super().__init__()
        if config.instance_weight > 0 and n_scores != 2:
            raise ValueError(f"instance_weight needs two classes, the network has {n_scores} scores")
        self.pooling, self.moments = config.pooling, config.moments
        n_cell = config.n_latent if config.n_embed is None else config.n_embed
        self.embedding = None if config.n_embed is None else _embedding(generators, config.n_latent, n_cell)
        self.attention = None
        if config.pooling == "attention":
            self.attention = StackedAttention(generators, n_cell, config.n_attention, config.attention, config.strength)
        n_bag = 2 * n_cell if config.moments == "mean_sd" else n_cell
        self.classifier = StackedClassifier(
            generators,
            n_bag,
            n_cohorts,
            n_scores,
            n_covariates=n_covariates,
            encoding=config.batch_encoding,
            dropout=config.dropout_mil,
            has_units=config.has_bag_units,
        )
        self.head = head
        self.instances = StackedLinear(generators, n_cell, 1, zero=True) if config.instance_weight > 0 else None

    def forward(self, z: Tensor, present: Tensor, cohort: Tensor) -> tuple[Tensor, Tensor]:
        """Class scores and attention.

        Parameters
        ----------
        z
            ``(replica or 1, bag, cell, n_latent)``.
        present
            ``(replica or 1, bag, cell)``, False where a short bag is padded.
        cohort
            ``(replica or 1, bag, n_cohorts + n_covariates)``: one-hot, a row of zeros for an unseen cohort, and what
            else is known of the patient.

        Returns
        -------
        Class scores ``(replica, bag, class)`` and attention ``(replica, bag, cell)``. Scores of ordered classes are
        log-probabilities; a number is in units of the outcome, a time to event is a log hazard, each in place of one
        class.
        """
        return self.branches(z, present, cohort)[:2]

    def branches(
        self, z: Tensor, present: Tensor, cohort: Tensor
    ) -> tuple[Tensor, Tensor, Tensor | None, Tensor | None]:
        """Class scores and attention as :meth:`forward`; attention before the softmax; class scores of the cells.

        The last two are ``(replica, bag, cell)``, or ``None`` where the network has no such branch.
        """
        if self.embedding is not None:
            z = self.embedding(z.flatten(1, 2)).unflatten(1, z.shape[1:3])
        scores = instances = None
        if self.pooling == "max":
            z = z.expand(self._n_replicas, -1, -1, -1)
            embedding, attention = max_of_bags(z, present)
        else:
            if self.attention is None:
                uniform = torch.zeros((), dtype=z.dtype, device=z.device).expand(self._n_replicas, *z.shape[1:3])
                embedding, attention = pool_bags(uniform, z, present, self.moments)
            else:
                scores = self.attention(z.flatten(1, 2)).unflatten(1, z.shape[1:3])
                embedding, attention = pool_bags(scores, z, present, self.moments)
            if self.instances is not None:
                instances = self.instances(z.flatten(1, 2)).squeeze(-1).unflatten(1, z.shape[1:3])
        return self.classify(embedding, cohort), attention, scores, instances

    def classify(self, embedding: Tensor, cohort: Tensor) -> Tensor:
        """Outputs ``(replica, bag, output)`` of bags by their embeddings ``(replica, bag, feature)``."""
        outputs = self.classifier(embedding, cohort)
        return outputs if self.head is None else self.head(outputs)

    @property
    def _n_replicas(self) -> int:
        return len(self.classifier.linear.weight)


def _embedding(generators: Sequence[torch.Generator], n_in: int, n_out: int) -> nn.Sequential:
    return nn.Sequential(StackedLinear(generators, n_in, n_out), StackedLayerNorm(len(generators), n_out), nn.ReLU())
