"""How far two sets of cells are apart as distributions, by a kernel."""

from __future__ import annotations

import numpy as np

from tcellmil._checks import check_positive
from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values, as_sets
from tcellmil.metrics._conditions import ByCondition, Labels, by_condition, two_labels


@documented
def mmd(
    real: Values, generated: Values, *, bandwidth: float | None = None, by: tuple[Labels, Labels] | None = None
) -> float | ByCondition:
    r"""Squared maximum mean discrepancy of two sets of cells, unbiased.

    .. math:: \mathrm{MMD}_u^2 = \frac{1}{n(n-1)} \sum_{i \ne j} k(x_i, x_j)
        + \frac{1}{m(m-1)} \sum_{i \ne j} k(y_i, y_j) - \frac{2}{nm} \sum_{i,j} k(x_i, y_j)

    with :math:`k(x, y) = \exp(-\lVert x - y \rVert^2 / (2 \sigma^2))`. The estimate of two sets from one distribution
    is 0 on average, so that it is *below 0* about as often as above; nothing is clipped, and there is no square root.
    The paper does not say which kernel it used: compare values of one bandwidth only.

    Parameters
    ----------
    %(real_generated)s
        At least two cells in each.
    bandwidth
        :math:`\sigma`, in the unit of the cells. By default the median of the distances above 0 between all cells of
        both sets, with ``by`` within each condition. It depends on the generated cells: to compare models, give all
        the same one.
    %(by_sets)s

    Returns
    -------
    The squared discrepancy, at most 2; 0 where all cells are the same point.
    %(with_by)s

    Raises
    ------
    TypeError, ValueError
        If the features differ, a set has fewer than two cells, values are no finite numbers, or ``bandwidth`` is not
        positive.

    Notes
    -----
    Time and memory grow with the square of the number of cells: 5,000 and 5,000 cells need 400 MB.

    References
    ----------
    Gretton et al. (2012), Journal of Machine Learning Research 13, 723: equation 3, and section 8 for the median.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import mmd
    >>> rng = np.random.default_rng(0)
    >>> real, generated = rng.normal(size=(200, 5)), rng.normal(size=(150, 5))
    >>> abs(mmd(real, generated)) < 0.01, mmd(real, generated + 1) > 0.1
    (True, True)
    """
    if bandwidth is not None:
        check_positive(bandwidth, "bandwidth")
    if by is not None:
        return by_condition(mmd, real, generated, *two_labels(by), bandwidth=bandwidth)
    from scipy.spatial.distance import cdist, pdist

    real, generated = as_sets(real, generated, n_least=2)
    # The differences themselves, not a product of matrices: equal cells have distance 0, and it counts.
    within, within_too = pdist(real, "sqeuclidean"), pdist(generated, "sqeuclidean")
    between = cdist(real, generated, "sqeuclidean").ravel()
    if bandwidth is None:
        squares = np.concatenate([within, within_too, between])
        squares = squares[squares > 0]
        if not squares.size:
            return 0.0
        bandwidth = np.median(np.sqrt(squares, out=squares))
    same, same_too, different = (np.exp(-d / (2 * bandwidth**2)).mean() for d in (within, within_too, between))
    return float(same + same_too - 2 * different)
