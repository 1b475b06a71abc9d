"""The self-supervised autoencoder, r -> hidden -> latent -> hidden -> r, as a stack."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ._layers import StackedDropout, StackedLayerNorm, StackedLinear

#: How far from its centre a standardised feature may be, in units of its spread.
MAX_SPREAD = 10.0


class StackedAutoencoder(nn.Module):
    """K autoencoders of cells; each half is linear, layer norm, ReLU, dropout, linear.

    Parameters
    ----------
    generators
        One random generator a replica.
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
        super().__init__()
        self.encoder = _half(generators, n_input, n_hidden, n_latent, dropout)
        self.decoder = _half(generators, n_latent, n_hidden, n_input, dropout)
        self.register_buffer("centre", torch.zeros(len(generators), 1, n_input))
        self.register_buffer("spread", torch.ones(len(generators), 1, n_input))

    def set_input_units(self, centre: Tensor, spread: Tensor) -> None:
        """Centre and spread of each feature over a replica's training cells, ``(replica, 1, n_input)``."""
        self.centre.copy_(centre)
        self.spread.copy_(spread)

    def standardise(self, x: Tensor) -> Tensor:
        """Features in units of their spread, no further than :data:`MAX_SPREAD` from the centre.

        Scores such as AUCell's fill a narrow part of [-1, 1], and their spreads differ a hundredfold between
        features: a plain squared error would leave the quiet ones, which may mark a rare population, to be
        forgotten. The limit keeps a few far-off cells from taking over.
        """
        return ((x - self.centre) / self.spread).clamp(-MAX_SPREAD, MAX_SPREAD)

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
