"""Encoders that are not trained: the features themselves, or their principal components."""

from __future__ import annotations

import torch
from sklearn.decomposition import PCA
from torch import Tensor

from ._input_units import StandardisedInput

#: With more features, principal components come from a randomised decomposition, whose time grows with their number and
#: not with its cube.
MANY_FEATURES = 1000

#: Least variance along an axis, as a share of that along the first.
LEAST_VARIANCE = 1e-10


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
        """Principal components of the cells ``(cell, n_input)``, on the networks' scale, of replica ``k``."""
        x = self.standardise(x[None], slice(k, k + 1))[0].double()
        self.components[k] = principal_axes(x, self.components.shape[2]).float()

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


def principal_axes(x: Tensor, n_axes: int) -> Tensor:
    """Directions of largest variance, ``(n_features, n_axes)``, of ``(cell, n_features)``; the widest first.

    Of the two directions of an axis, the one in which its largest entry is positive. Axes along which nothing varies,
    of which there are some where cells are fewer than axes, are zero: which they are would be chance.
    """
    if x.shape[1] > MANY_FEATURES:
        n_found = min(n_axes, *x.shape)
        found = PCA(n_found, svd_solver="randomized", random_state=0).fit(x.numpy())
        axes, variance = torch.from_numpy(found.components_.T), torch.from_numpy(found.explained_variance_)
        axes = torch.nn.functional.pad(axes, (0, n_axes - n_found))
        variance = torch.nn.functional.pad(variance, (0, n_axes - n_found))
    else:
        variance, axes = torch.linalg.eigh(torch.atleast_2d(torch.cov(x.T)))  # of one feature, cov is a number
        variance, axes = variance.flip(0)[:n_axes], axes.flip(1)[:, :n_axes]
    axes = axes * (variance > LEAST_VARIANCE * variance[0])
    largest = axes.gather(0, axes.abs().argmax(dim=0, keepdim=True))
    return axes * torch.where(largest < 0, -1.0, 1.0)
