"""How far several raters agree on the order of the same items."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from tcellmil._checks import check_count


class RankAgreement(NamedTuple):
    """Result of :func:`rank_agreement`; NaN where it is not defined.

    Parameters
    ----------
    n_pairs
        Pairs of raters whose rank correlation is defined.
    spearman_mean, spearman_min
        Mean and lowest of these rank correlations, in [-1, 1].
    kendall_w
        Kendall's coefficient of concordance of all raters, in [0, 1].
    top_overlap
        Mean over pairs of raters of the Jaccard index of their top items, in [0, 1].
    top_overlap_chance
        Mean of that index if every rater drew its top items at random.
    """

    n_pairs: int
    spearman_mean: float
    spearman_min: float
    kendall_w: float
    top_overlap: float
    top_overlap_chance: float


def rank_agreement(values: np.ndarray, n_top: int = 10) -> RankAgreement:
    r"""Agreement of several raters on the order of the same items.

    Spearman's rank correlation of every pair of raters; Kendall's coefficient of concordance of all :math:`m` of them,

    .. math:: W = \frac{12 S}{m^2 (n^3 - n) - m \sum_k \sum_{t \in k} (t^3 - t)}

    with :math:`S` the sum of squares of the rank sums of the :math:`n` items around their mean and :math:`t` the sizes
    of the groups of ties of rater :math:`k`; and the overlap of the raters' ``n_top`` items of largest *absolute*
    value. Items that tie with the last of the top are in it too, so that the order of the items does not matter; an
    item of value 0 never is. The correlations of a rater whose values are all the same are not defined and are
    left out.

    Parameters
    ----------
    values
        ``(n_raters, n_items)``, finite; at least two raters.
    n_top
        Size of the top, at least 1.

    Returns
    -------
    :class:`RankAgreement`, a tuple with names.

    Raises
    ------
    ValueError
        If there are fewer than two raters, values are not finite, or ``n_top`` is below 1.

    References
    ----------
    Kendall & Babington Smith (1939), Annals of Mathematical Statistics 10, 275.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import rank_agreement
    >>> agreement = rank_agreement(np.array([[0.1, -0.9, 0.4, 0.2], [0.1, -0.5, 0.3, 0.8]]), n_top=2)
    >>> round(agreement.spearman_mean, 3), round(agreement.kendall_w, 3), round(agreement.top_overlap, 3)
    (0.8, 0.9, 0.333)
    """
    values = np.asarray(values, dtype=float)
    if values.ndim != 2 or len(values) < 2:
        raise ValueError(f"values must be (n_raters, n_items) with at least two raters, got shape {values.shape}")
    if not np.isfinite(values).all():
        raise ValueError(f"values holds {int((~np.isfinite(values)).sum())} NaN or infinite values")
    n_top = check_count(n_top, "n_top")
    rho = spearman(values, values)[np.triu_indices(len(values), 1)]
    rho = rho[np.isfinite(rho)]
    return RankAgreement(
        n_pairs=len(rho),
        spearman_mean=float(rho.mean()) if len(rho) else np.nan,
        spearman_min=float(rho.min()) if len(rho) else np.nan,
        kendall_w=_concordance(values),
        top_overlap=_mean_overlap(top_items(values, n_top)),
        top_overlap_chance=_overlap_by_chance(values.shape[1], n_top),
    )


def spearman(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Rank correlation of every row of one table with every row of another; NaN for a row of equal values."""
    from scipy.stats import rankdata

    sides = []
    for values in (one, other):
        ranks = rankdata(values, axis=1) if values.size else np.zeros(values.shape)
        centred = ranks - (values.shape[1] + 1) / 2
        length = np.sqrt((centred**2).sum(axis=1, keepdims=True))
        sides.append(np.divide(centred, length, out=np.full(centred.shape, np.nan), where=length > 0))
    return np.clip(sides[0] @ sides[1].T, -1, 1) if one.shape[1] else np.full((len(one), len(other)), np.nan)


def top_items(values: np.ndarray, n_top: int) -> np.ndarray:
    """Which items are in the top of each rater, as in :func:`rank_agreement`, ``(n_raters, n_items)`` bool."""
    size = np.abs(values)
    if n_top >= size.shape[1]:
        return size > 0
    last = -np.partition(-size, n_top - 1, axis=1)[:, [n_top - 1]]
    return (size >= last) & (size > 0)


def _concordance(values: np.ndarray) -> float:
    from scipy.stats import rankdata

    m, n = values.shape
    ties = sum(float((size**3 - size).sum()) for size in (np.unique(row, return_counts=True)[1] for row in values))
    largest = m**2 * (n**3 - n) - m * ties
    if largest <= 0:
        return np.nan
    sums = rankdata(values, axis=1).sum(axis=0)
    return float(12 * ((sums - m * (n + 1) / 2) ** 2).sum() / largest)


def _mean_overlap(top: np.ndarray) -> float:
    counts = top.sum(axis=1)
    one, other = np.triu_indices(len(top), 1)
    both = (top.astype(int) @ top.T.astype(int))[one, other]
    either = counts[one] + counts[other] - both
    return float((both[either > 0] / either[either > 0]).mean()) if (either > 0).any() else np.nan


def _overlap_by_chance(n_items: int, n_top: int) -> float:
    """Mean Jaccard index of two random subsets: their intersection is hypergeometric."""
    from scipy.stats import hypergeom

    if n_items == 0:
        return np.nan
    size = min(n_top, n_items)
    both = np.arange(size + 1)
    return float((hypergeom.pmf(both, n_items, size, size) * both / (2 * size - both)).sum())
