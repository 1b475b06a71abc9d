"""How far cells have to be moved to make one set of another."""

from __future__ import annotations

from typing import Literal

import numpy as np

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values, as_sets
from tcellmil.metrics._conditions import ByCondition, Labels, by_condition, two_labels

N_STEPS = 100_000_000  # of the network simplex
NEEDS_POT = (
    "the Wasserstein distance of {} real and {} generated cells needs Python Optimal Transport: "
    'pip install POT, or pip install "tcellmil[c2s]". Without it, draw as many cells of one as there are of the other'
)


@documented
def wasserstein(
    real: Values,
    generated: Values,
    *,
    order: Literal[1, 2] = 2,
    squared: bool = False,
    by: tuple[Labels, Labels] | None = None,
) -> float | ByCondition:
    r"""Wasserstein distance of two sets of cells, exact; *not* squared unless ``squared=True``.

    .. math:: W_p = \Bigl( \min_{\pi} \sum_{i,j} \pi_{ij} \lVert x_i - y_j \rVert^p \Bigr)^{1/p}, \qquad
        \sum_j \pi_{ij} = \tfrac{1}{n}, \quad \sum_i \pi_{ij} = \tfrac{1}{m}, \quad \pi_{ij} \ge 0

    with Euclidean distances. :func:`scfid` is the *squared* :math:`W_2` of two Gaussians: compare it with
    ``squared=True``, which is never below it (but for the unbiased covariance). Two sets from one distribution are
    apart, the more so the fewer cells and the more features: compare sets of the same numbers of cells.

    Parameters
    ----------
    %(real_generated)s
    order
        :math:`p`.
    squared
        Return :math:`W_2^2`, for ``order=2``.
    %(by_sets)s

    Returns
    -------
    The distance, at least 0, in the unit of the cells or, squared, its square.
    %(with_by)s

    Raises
    ------
    ImportError
        If the numbers of cells differ, there is more than one feature, and POT is not installed.
    TypeError, ValueError
        If the features differ, values are no finite numbers, ``order`` is another one, or ``squared`` is asked of
        ``order=1``.

    Notes
    -----
    Of as many real as generated cells, by :func:`scipy.optimize.linear_sum_assignment`, since one of the best plans
    moves whole cells; of one feature, in order of its values; else by ``ot.emd2`` of Python Optimal Transport (POT),
    which is given the steps that it needs: where it stops after its own 100,000, its value is too large. Time grows
    with about the third power of the number of cells, memory with the second: a second and 8 MB for 1,000 and 1,000
    cells of 512 features.

    References
    ----------
    Flamary et al. (2021), Journal of Machine Learning Research 22(78); Peyré & Cuturi (2019), Computational Optimal
    Transport, section 2.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import wasserstein
    >>> real = np.array([[0.0, 0.0], [4.0, 0.0]])
    >>> wasserstein(real, real + [0.0, 3.0]), wasserstein(real, real + [0.0, 3.0], squared=True)
    (3.0, 9.0)
    """
    check_choice(order, (1, 2), "order")
    if squared and order != 2:
        raise ValueError(f"squared=True is for order=2, got order={order}")
    if by is not None:
        return by_condition(wasserstein, real, generated, *two_labels(by), order=order, squared=squared)
    real, generated = as_sets(real, generated)
    cost = _on_a_line(real, generated, order) if real.shape[1] == 1 else _moved(real, generated, order)
    return float(np.sqrt(cost)) if order == 2 and not squared else float(cost)


def _on_a_line(real: np.ndarray, generated: np.ndarray, order: int) -> float:
    """Lowest cost of one feature, which moves the lowest to the lowest."""
    n, m = len(real), len(generated)
    steps = np.union1d(np.arange(n + 1) * m, np.arange(m + 1) * n)  # in units of 1 / nm, so that none is rounded
    apart = np.sort(real, axis=0)[steps[:-1] // m, 0] - np.sort(generated, axis=0)[steps[:-1] // n, 0]
    return float(np.diff(steps) / (n * m) @ np.abs(apart) ** order)


def _moved(real: np.ndarray, generated: np.ndarray, order: int) -> float:
    from scipy.spatial.distance import cdist

    costs = cdist(real, generated, "sqeuclidean" if order == 2 else "euclidean")
    return _assigned(costs) if len(real) == len(generated) else _transported(costs)


def _assigned(costs: np.ndarray) -> float:
    """Lowest mean cost of pairs."""
    from scipy.optimize import linear_sum_assignment

    return costs[linear_sum_assignment(costs)].mean()


def _transported(costs: np.ndarray) -> float:
    """Lowest cost of moving mass that every cell has an equal share of."""
    try:
        import ot
    except ImportError as error:
        raise ImportError(NEEDS_POT.format(*costs.shape)) from error
    cost, log = ot.emd2([], [], costs, numItermax=N_STEPS, log=True)
    if log["warning"] is not None:
        raise ValueError(f"the Wasserstein distance was not found: {log['warning']}")
    return max(float(cost), 0.0)
