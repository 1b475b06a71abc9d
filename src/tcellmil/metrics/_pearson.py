"""Correlation of real and generated expression."""

from __future__ import annotations

import numpy as np

from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values, as_pairs
from tcellmil.metrics._conditions import ByCondition, Labels, average_by


@documented
def pearson(real: Values, generated: Values, *, by: Labels | None = None) -> np.ndarray | ByCondition:
    r"""Pearson's correlation of each real sample with its generated one, over genes.

    .. math:: r = \frac{\sum_g (x_g - \bar x)(y_g - \bar y)}
        {\sqrt{\sum_g (x_g - \bar x)^2} \sqrt{\sum_g (y_g - \bar y)^2}}

    Over genes, so that what all cells have in common counts: a generated mean profile has a high correlation with any
    cell. Compare it with that of real cells of another condition.

    Parameters
    ----------
    %(pairs)s
    %(by_pairs)s

    Returns
    -------
    ``(n_samples,)``, in [-1, 1]; NaN where all genes of one of the two have the same value.
    %(with_by)s

    Raises
    ------
    TypeError, ValueError
        If the shapes differ or values are no finite numbers.

    References
    ----------
    Rizvi et al. (2025), C2S-Scale, section 4.6.9.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import pearson
    >>> pearson(np.array([[1.0, 2.0, 3.0], [1.0, 0.0, 2.0]]), np.array([[2.0, 4.0, 6.0], [1.0, 3.0, 0.5]])).round(3)
    array([ 1.   , -0.945])
    """
    (one, same), (other, same_too) = (_unit(rows) for rows in as_pairs(real, generated))
    r = np.clip((one * other).sum(axis=1), -1, 1)
    r[same | same_too] = np.nan
    return average_by(r, by)


def _unit(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Centred rows of length 1, and which rows hold one value only."""
    same = np.ptp(rows, axis=1) == 0
    rows = rows - rows.mean(axis=1, keepdims=True)
    for length in (lambda x: np.abs(x).max(axis=1), lambda x: np.linalg.norm(x, axis=1)):  # squares neither 0 nor inf
        size = length(rows)[:, None]
        rows = np.divide(rows, size, out=np.zeros_like(rows), where=size > 0)
    return rows, same
