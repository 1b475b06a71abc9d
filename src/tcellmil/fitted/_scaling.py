"""Bring a representation to [-1, 1], with nothing learned from patients outside the training set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from tcellmil.data._bags import Bags

#: How many standard deviations from the mean become 1; what lies beyond is clipped.
N_SD = 3.0

#: Median absolute deviation of a normal distribution, in standard deviations.
MAD_OF_NORMAL = 0.6745

#: A standard deviation below this share of the largest absolute value is rounding.
_ROUNDING = 1e-6


@dataclass(frozen=True)
class Scaling:
    """``clip((x - loc) / scale, -1, 1)``, one row per encoder or one row for all.

    Parameters
    ----------
    loc, scale
        ``(n_encoders or 1, n_features)`` float32.
    """

    loc: np.ndarray
    scale: np.ndarray

    @classmethod
    def unit_interval(cls, n_features: int) -> Scaling:
        """``2 x - 1``, for scores that are in [0, 1] by construction, such as AUCell's."""
        half = np.full((1, n_features), 0.5, dtype=np.float32)
        return cls(loc=half, scale=half)

    @classmethod
    def standard(cls, bags: Bags, train: np.ndarray) -> Scaling:
        """Mean and three standard deviations of each feature over the cells of the training bags.

        Parameters
        ----------
        bags
            The data.
        train
            ``(n_encoders, n_bags)`` bool.
        """
        mean, sd = moments(bags, train)
        # A feature that is constant over the training patients carries nothing: scale 1 leaves it at 0 there.
        scale = np.where(sd > 1e-6 * np.maximum(1, np.abs(mean)), N_SD * sd, 1)
        return cls(loc=mean.astype(np.float32), scale=scale.astype(np.float32))

    @classmethod
    def side_by_side(cls, parts: Sequence[Scaling]) -> Scaling:
        """One scaling of several representations; one row per encoder, unless one row serves all in every part."""
        n = max(len(part.loc) for part in parts)
        columns = ([np.broadcast_to(getattr(p, f), (n, p.loc.shape[1])) for p in parts] for f in ("loc", "scale"))
        return cls(*(np.concatenate(values, axis=1) for values in columns))

    def of(self, index: np.ndarray) -> Scaling:
        """The rows of some encoders; a single row serves all and stays single."""
        return self if len(self.loc) == 1 else Scaling(self.loc[index], self.scale[index])


def moments(bags: Bags, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of each feature over the cells of the training bags.

    Sums are kept for each bag, so a bag outside a row's training set contributes nothing to it.

    Parameters
    ----------
    bags
        The data.
    train
        ``(n_encoders, n_bags)`` bool.

    Returns
    -------
    Two arrays ``(n_encoders, n_features)`` float64.
    """
    x, sizes = bags.x.astype(np.float64), bags.sizes[:, None]
    starts = bags.offsets[:-1]
    mean_of_bag = bags.pseudobulk
    within = np.add.reduceat((x - np.repeat(mean_of_bag, bags.sizes, axis=0)) ** 2, starts, axis=0)
    means, sds = [], []
    for row in train:
        n = sizes[row].sum()
        mean = (sizes[row] * mean_of_bag[row]).sum(axis=0) / n
        between = sizes[row] * (mean_of_bag[row] - mean) ** 2
        means.append(mean)
        sds.append(np.sqrt((within[row] + between).sum(axis=0) / n))
    return np.array(means), np.array(sds)


def median_absolute_deviation(x: np.ndarray) -> np.ndarray:
    """Median absolute deviation from the median of each column, unscaled."""
    return np.median(np.abs(x - np.median(x, axis=0)), axis=0)


def shift_units(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    r"""How far each feature is shifted by one unit of an in-silico perturbation, and whether that is its MAD.

    The unit is the median absolute deviation :math:`\mathrm{MAD}_j`. It is 0 where more than half of the cells have the
    same value, such as for a regulon that is silent in most cells; the unit is then :math:`0.6745\,\mathrm{SD}_j`, with
    the standard deviation over all cells: in a normal distribution :math:`\mathrm{MAD} = 0.6745\,\mathrm{SD}`, so that
    both are of the same size. Of a regulon that has the value ``a`` in a share ``f`` of the cells and is 0 elsewhere,
    it is ``0.6745 a sqrt(f (1 - f))``. A feature that is the same in all cells has neither.

    Parameters
    ----------
    x
        ``(n_cells, n_features)``.

    Returns
    -------
    The units ``(n_features,)`` in units of ``x``, 0 for a feature that is the same in all cells, and
    ``(n_features,)`` bool: whether each unit is the MAD.

    References
    ----------
    Iglewicz and Hoaglin (1993), How to Detect and Handle Outliers, for the factor 0.6745. Where the MAD is 0 they take
    the mean absolute deviation from the median, which is ``f a`` here and next to nothing for a rare regulon.

    Examples
    --------
    >>> import numpy as np
    >>> rare = np.repeat([0.0, 0.1], [90, 10])
    >>> units, is_mad = shift_units(np.column_stack([np.linspace(0, 0.1, 100), rare, np.full(100, 0.1)]))
    >>> units.round(3).tolist(), is_mad.tolist()
    ([0.025, 0.02, 0.0], [True, False, False])
    """
    units = median_absolute_deviation(x).astype(np.float64)
    is_mad = units > 0
    rest = x[:, ~is_mad].astype(np.float64)
    sd = rest.std(axis=0)
    units[~is_mad] = np.where(sd > _ROUNDING * np.abs(rest).max(axis=0, initial=0), MAD_OF_NORMAL * sd, 0.0)
    return units, is_mad


def scale_cells(x: Tensor, loc: Tensor, scale: Tensor) -> Tensor:
    """Bring cells to the networks' scale.

    Parameters
    ----------
    x
        ``(n_encoders or 1, cell, feature)``.
    loc, scale
        ``(n_encoders or 1, feature)``, as in :class:`Scaling`.

    Returns
    -------
    ``(n_encoders or 1, cell, feature)`` in [-1, 1].
    """
    return ((x - loc[:, None]) / scale[:, None]).clamp_(-1, 1)
