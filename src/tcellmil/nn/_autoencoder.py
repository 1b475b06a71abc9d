"""The self-supervised autoencoder, r -> hidden -> latent -> hidden -> r, as a stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._input_units import StandardisedInput
from ._layers import StackedDropout, StackedLayerNorm, StackedLinear


class StackedAutoencoder(StandardisedInput):
    """K autoencoders of cells; each half is linear, layer norm, ReLU, dropout, linear.

    Parameters
    ----------
    generators
        One random generator per replica.
    n_input
        Number of features of a cell (regulons, say), scaled to [-1, 1].
    n_hidden, n_latent
        Width of the hidden layers and of the latent.
    dropout
        Share of hidden units dropped while training.
    """

    def __init__(
        self,
        generators: Sequence[torch.Generator],
        n_input: int,
        *,
        n_hidden: int = 96,
        n_latent: int = 48,
        dropout: float = 0.1,
    ):
        super().__init__(len(generators), n_input)
        self.encoder = _half(generators, n_input, n_hidden, n_latent, dropout)
        self.decoder = _half(generators, n_latent, n_hidden, n_input, dropout)

    def encode(self, x: Tensor) -> Tensor:
        """Latent of cells: ``(replica or 1, cell, n_input)`` to ``(replica, cell, n_latent)``."""
        return self.encoder(self.standardise(x))

    def forward(self, x: Tensor) -> Tensor:
        """Reconstruct *standardised* cells: ``(replica or 1, cell, n_input)`` to ``(replica, cell, n_input)``."""
        return self.decoder(self.encode(x))

    @torch.no_grad()
    def absorb_latent_scale(self, mean: Tensor, sd: Tensor) -> None:
        """Rewrite the inner layers so that the latent becomes ``(z - mean) / sd`` and the reconstruction stays.

        Both are ``(replica, 1, n_latent)``.
        """
        last, first = self.encoder[-1], self.decoder[0]
        first.bias += torch.bmm(mean, first.weight)
        first.weight *= sd.transpose(1, 2)
        last.weight /= sd
        last.bias.copy_((last.bias - mean) / sd)


def _half(generators: Sequence[torch.Generator], n_in: int, n_hidden: int, n_out: int, dropout: float) -> nn.Sequential:
    return nn.Sequential(
        StackedLinear(generators, n_in, n_hidden),
        StackedLayerNorm(len(generators), n_hidden),
        nn.ReLU(),
        StackedDropout(dropout),
        StackedLinear(generators, n_hidden, n_out),
    )
