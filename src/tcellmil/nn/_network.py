"""The bag classifier above the latent, and the sizes that define the whole network."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import torch
from torch import Tensor, nn

from ._attention import StackedAttention, pool_bags
from ._cohort import StackedClassifier

ATTENTIONS = ("tanh", "gated")
BATCH_ENCODINGS = ("concat", "film", None)


@dataclass(frozen=True)
class NetworkConfig:
    """Sizes and kinds that define a network; with the arrays of its weights it is all that is needed to run it.

    Parameters
    ----------
    n_hidden, n_latent
        Hidden width and latent size of the autoencoder.
    n_attention
        Hidden width of the attention network.
    attention
        ``"tanh"`` (the paper) or ``"gated"``.
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
    attention: str = "tanh"
    batch_encoding: str | None = "concat"
    dropout: float = 0.1
    dropout_mil: float = 0.0

    def __post_init__(self):
        for name in ("n_hidden", "n_latent", "n_attention"):
            if int(getattr(self, name)) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be at least 1")
        for name in ("dropout", "dropout_mil"):
            if not 0 <= getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)!r} must be in [0, 1)")
        if self.attention not in ATTENTIONS:
            raise ValueError(f"attention={self.attention!r} is not known; choose from {ATTENTIONS}")
        if self.batch_encoding not in BATCH_ENCODINGS:
            raise ValueError(f"batch_encoding={self.batch_encoding!r} is not known; choose from {BATCH_ENCODINGS}")

    def as_dict(self) -> dict:
        """Plain values, for JSON."""
        return asdict(self)


class StackedBagClassifier(nn.Module):
    """K attention networks and classifiers: from the latent of a bag's cells to class scores.

    Parameters
    ----------
    generators
        One random generator a replica.
    config
        Sizes and kinds.
    n_cohorts, n_classes
        Number of cohorts (0: none given) and classes.
    """

    def __init__(self, generators: Sequence[torch.Generator], config: NetworkConfig, *, n_cohorts: int, n_classes: int):
        super().__init__()
        self.attention = StackedAttention(generators, config.n_latent, config.n_attention, config.attention)
        self.classifier = StackedClassifier(
            generators,
            config.n_latent,
            n_cohorts,
            n_classes,
            encoding=config.batch_encoding,
            dropout=config.dropout_mil,
        )

    def forward(self, z: Tensor, present: Tensor, cohort: Tensor) -> tuple[Tensor, Tensor]:
        """Class scores and attention.

        Parameters
        ----------
        z
            ``(replica or 1, bag, cell, n_latent)``.
        present
            ``(replica or 1, bag, cell)``, False where a short bag is padded.
        cohort
            ``(replica or 1, bag, n_cohorts)``, one-hot; a row of zeros for an unseen cohort.

        Returns
        -------
        Class scores ``(replica, bag, class)`` and attention ``(replica, bag, cell)``.
        """
        scores = self.attention(z.flatten(1, 2))
        scores = scores.view(scores.shape[0], *z.shape[1:3])
        embedding, attention = pool_bags(scores, z, present)
        return self.classifier(embedding, cohort), attention
