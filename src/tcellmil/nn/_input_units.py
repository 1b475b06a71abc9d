"""Features in units of their spread, for every kind of encoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn

#: How far from its centre a standardised feature may be, in units of its spread.
MAX_SPREAD = 10.0


class StandardisedInput(nn.Module):
    """Centre and spread of the input features, one set per replica; not trained.

    Parameters
    ----------
    n_replicas
        Number of replicas.
    n_input
        Number of features of a cell.
    """

    def __init__(self, n_replicas: int, n_input: int):
        super().__init__()
        self.register_buffer("centre", torch.zeros(n_replicas, 1, n_input))
        self.register_buffer("spread", torch.ones(n_replicas, 1, n_input))

    def set_input_units(self, centre: Tensor, spread: Tensor) -> None:
        """Centre and spread of each feature over a replica's training cells, ``(replica, 1, n_input)``."""
        self.centre.copy_(centre)
        self.spread.copy_(spread)

    def standardise(self, x: Tensor, replicas: slice = slice(None)) -> Tensor:
        """Features in units of their spread, no further than :data:`MAX_SPREAD` from the centre, for some replicas.

        Scores such as AUCell's fill a narrow part of [-1, 1], and their spreads differ a hundredfold between
        features: a plain squared error would leave the quiet ones, which may mark a rare population, to be
        forgotten. The limit keeps a few far-off cells from taking over.
        """
        return ((x - self.centre[replicas]) / self.spread[replicas]).clamp(-MAX_SPREAD, MAX_SPREAD)
