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
        One random generator a replica.
    n_latent, n_cohorts, n_classes
        Sizes; ``n_cohorts=0`` where no cohort is given.
    encoding
        ``"concat"``, ``"film"`` or ``None``.
    dropout
        Share of embedding features dropped while training.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        n_latent: int,
        n_cohorts: int,
        n_classes: int,
        *,
        encoding: str | None = "concat",
        dropout: float = 0.0,
    ):
        super().__init__()
        self.encoding = encoding if n_cohorts else None
        self.dropout = StackedDropout(dropout)
        n_extra = n_cohorts if self.encoding == "concat" else 0
        # From zero, for the reason that attention does: the first direction is then the difference of the classes.
        self.linear = StackedLinear(generators, n_latent + n_extra, n_classes, zero=True)
        if self.encoding == "film":
            self.gamma = nn.Parameter(torch.zeros(len(generators), n_cohorts, n_latent))
            self.beta = nn.Parameter(torch.zeros(len(generators), n_cohorts, n_latent))

    def forward(self, h: Tensor, cohort: Tensor) -> Tensor:
        """Class scores ``(replica, bag, class)``.

        ``h`` is ``(replica, bag, n_latent)``, ``cohort`` ``(replica or 1, bag, n_cohorts)``.
        """
        h = self.dropout(h)
        if self.encoding == "concat":
            h = torch.cat([h, cohort.expand(h.shape[0], -1, -1)], dim=-1)
        elif self.encoding == "film":
            cohort = cohort.expand(h.shape[0], -1, -1)
            h = (1 + torch.bmm(cohort, self.gamma)) * h + torch.bmm(cohort, self.beta)
        return self.linear(h)
