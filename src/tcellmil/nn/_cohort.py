"""From a bag's embedding and its cohort to class scores."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._layers import StackedDropout, StackedLinear


class StackedClassifier(nn.Module):
    r"""K linear classifiers of bags that know the bag's cohort.

    ``"concat"`` puts the one-hot cohort beside the embedding. ``"film"`` modulates the embedding,
    :math:`h' = (1 + \gamma_b) \odot h + \beta_b` (Perez et al., AAAI 2018), and starts as the identity because
    gamma and beta start at zero. A bag of an unseen cohort has an all-zero row: then ``"concat"`` adds nothing and
    ``"film"`` is the identity.

    Parameters
    ----------
    generators
        One random generator per replica.
    n_latent, n_cohorts, n_classes
        Sizes; ``n_cohorts=0`` where no cohort is given.
    n_covariates
        Further values of the bag's patient, which stand beside the embedding whatever the encoding of the cohort.
    encoding
        ``"concat"``, ``"film"`` or ``None``.
    dropout
        Share of embedding features dropped while training.
    has_units
        The embedding is centred and scaled (:meth:`set_embedding_units`) before anything else.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        n_latent: int,
        n_cohorts: int,
        n_classes: int,
        *,
        n_covariates: int = 0,
        encoding: str | None = "concat",
        dropout: float = 0.0,
        has_units: bool = False,
    ):
        super().__init__()
        self.encoding = encoding if n_cohorts else None
        self.dropout = StackedDropout(dropout)
        self.n_cohorts = n_cohorts
        n_extra = n_covariates + (n_cohorts if self.encoding == "concat" else 0)
        # From zero, for the reason that attention does: the first direction is then the difference of the classes.
        self.linear = StackedLinear(generators, n_latent + n_extra, n_classes, zero=True)
        if n_covariates:
            self.register_buffer("covariate_mean", torch.zeros(len(generators), 1, n_covariates))
            self.register_buffer("covariate_sd", torch.ones(len(generators), 1, n_covariates))
        else:
            self.covariate_mean = None
        self.register_buffer("embedding_mean", torch.zeros(len(generators), 1, n_latent) if has_units else None)
        self.register_buffer("embedding_sd", torch.ones(len(generators), 1, n_latent) if has_units else None)
        if self.encoding == "film":
            self.gamma = nn.Parameter(torch.zeros(len(generators), n_cohorts, n_latent))
            self.beta = nn.Parameter(torch.zeros(len(generators), n_cohorts, n_latent))

    def set_covariate_units(self, mean: Tensor, sd: Tensor) -> None:
        """Mean and standard deviation over a replica's training patients, ``(replica, 1, n_covariates)``."""
        self.covariate_mean.copy_(mean)
        self.covariate_sd.copy_(sd)

    def set_embedding_units(self, mean: Tensor, sd: Tensor) -> None:
        """What embeddings are centred by and divided by, ``(replica, 1, n_latent)``."""
        self.embedding_mean.copy_(mean)
        self.embedding_sd.copy_(sd)

    def forward(self, h: Tensor, side: Tensor) -> Tensor:
        """Class scores ``(replica, bag, class)``.

        ``h`` is ``(replica, bag, n_latent)``, ``side`` ``(replica or 1, bag, n_cohorts + n_covariates)``.
        """
        if self.embedding_mean is not None:
            h = (h - self.embedding_mean) / self.embedding_sd
        h = self.dropout(h)
        side = side.expand(h.shape[0], -1, -1)
        cohort, covariates = side[..., : self.n_cohorts], side[..., self.n_cohorts :]
        if self.encoding == "film":
            h = (1 + torch.bmm(cohort, self.gamma)) * h + torch.bmm(cohort, self.beta)
        parts = [h, cohort] if self.encoding == "concat" else [h]
        if self.covariate_mean is not None:
            parts.append((covariates - self.covariate_mean) / self.covariate_sd)
        return self.linear(torch.cat(parts, dim=-1) if len(parts) > 1 else h)
