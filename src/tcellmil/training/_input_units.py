"""Centre and spread of the features, over each encoder's training cells."""

from __future__ import annotations

import numpy as np

from tcellmil.data._bags import Bags
from tcellmil.fitted._scaling import Scaling, median_absolute_deviation, moments

#: Least spread of a feature on the networks' scale: what varies less is not blown up.
MIN_SPREAD = 1e-3

#: Least spread in standard deviations, for features whose median absolute deviation is small or 0.
MIN_SPREAD_OF_SD = 0.3


def centre_and_spread(bags: Bags, scaling: Scaling, train: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and robust spread of each feature on the networks' scale, over each encoder's training cells.

    The spread is the median absolute deviation, times 1.4826 as in a normal distribution, but at least
    :data:`MIN_SPREAD_OF_SD` standard deviations. A feature that is quiet in most cells and high in a rare population
    stands out in these units; its standard deviation, which the rare cells themselves inflate, would hide them.
    """
    mean, sd = moments(bags, train)
    deviation = np.stack([median_absolute_deviation(bags.x[own]) for own in train[:, bags.bag_of_cell]])
    spread = np.maximum(1.4826 * deviation, MIN_SPREAD_OF_SD * sd)
    return (mean - scaling.loc) / scaling.scale, np.maximum(spread / scaling.scale, MIN_SPREAD)
