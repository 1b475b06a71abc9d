"""Encoders that are not trained: the features themselves, or their principal components."""

from __future__ import annotations

import torch
from torch import Tensor

from ._input_units import StandardisedInput


class StackedProjection(StandardisedInput):
    """K linear encoders of standardised cells.

    Parameters
    ----------
    n_replicas
        Number of encoders.
    n_input
        Number of features of a cell.
    n_latent
        Number of principal components; ``None``: the latent is the standardised features.
    """

    def __init__(self, n_replicas: int, n_input: int, n_latent: int | None = None):
        super().__init__(n_replicas, n_input)
        size = n_input if n_latent is None else n_latent
        self.register_buffer("components", None if n_latent is None else torch.zeros(n_replicas, n_input, n_latent))
        self.register_buffer("unit", torch.ones(n_replicas, 1, size))
        self.register_buffer("shift", torch.zeros(n_replicas, 1, size))

    def fit_components(self, k: int, x: Tensor) -> None:
        """Principal components of the cells ``(cell, n_input)``, on the networks' scale, of replica ``k``.

        Of the two directions of an axis, the one in which its largest entry is positive.
        """
        x = self.standardise(x[None], slice(k, k + 1))[0].double()
        _, axes = torch.linalg.eigh(torch.atleast_2d(torch.cov(x.T)))  # of one feature, cov is a number
        axes = axes.flip(1)[:, : self.components.shape[2]]
        largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
        self.components[k] = (axes * largest.sign()).float()

    def encode(self, x: Tensor) -> Tensor:
        """Latent of cells: ``(replica or 1, cell, n_input)`` to ``(replica, cell, n_latent)``."""
        z = self.standardise(x)
        if self.components is not None:
            z = torch.bmm(z, self.components)
        return z * self.unit - self.shift

    @torch.no_grad()
    def absorb_latent_scale(self, mean: Tensor, sd: Tensor) -> None:
        """Make the latent ``(z - mean) / sd``; both are ``(replica, 1, n_latent)``."""
        self.unit /= sd
        self.shift.copy_((self.shift + mean) / sd)
