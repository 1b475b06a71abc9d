"""Rank correlations of many columns with one vector."""

from __future__ import annotations

import numba
import numpy as np
import pandas as pd


def rank_correlation(columns: np.ndarray, y: np.ndarray) -> pd.DataFrame:
    r"""Kendall's tau-b and Spearman's rho of every column with one vector, with ties, in :math:`O(n \log n)` each.

    With :math:`n_0 = n(n-1)/2` pairs, of which :math:`n_x` are tied in the column, :math:`n_y` in the vector and
    :math:`n_{xy}` in both, and :math:`D` discordant ones,

    .. math:: \tau_b = \frac{n_0 - n_x - n_y + n_{xy} - 2 D}{\sqrt{(n_0 - n_x)(n_0 - n_y)}}

    and rho is Pearson's correlation of the ranks, ties sharing their mean rank. Sorted by the column and then by the
    vector, the discordant pairs are the inversions of the vector, which a merge sort counts.

    p-values are two-sided and for independent observations: tau's from the normal approximation with the variance
    corrected for ties, rho's from :math:`t = \rho \sqrt{(n - 2) / (1 - \rho^2)}` with :math:`n - 2` degrees of freedom.
    They equal ``scipy.stats.kendalltau(method="asymptotic")`` and ``scipy.stats.spearmanr``.

    Parameters
    ----------
    columns
        ``(n_observations, n_columns)``, finite; float32 is compared as float32.
    y
        ``(n_observations,)``, finite.

    Returns
    -------
    One row per column: ``tau``, ``tau_p``, ``rho``, ``rho_p``. NaN where the column or ``y`` is constant or there are
    fewer than two observations; with two, only the p-values are NaN.

    Raises
    ------
    ValueError
        If shapes do not fit or a value is not finite.

    References
    ----------
    Knight (1966), Journal of the American Statistical Association 61, 436; Kendall (1970), Rank Correlation Methods.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import rank_correlation
    >>> rank_correlation(np.array([[1, 5], [2, 5], [3, 5], [4, 5]]), np.array([1, 3, 2, 4]))[["tau", "rho"]].round(3)
         tau  rho
    0  0.667  0.8
    1    NaN  NaN
    """
    from scipy.special import ndtr, stdtr

    columns, y = np.asarray(columns), np.asarray(y)
    if columns.ndim != 2 or y.shape != columns.shape[:1]:
        raise ValueError(
            f"columns must be (n_observations, n_columns) and y (n_observations,), got {columns.shape} and {y.shape}"
        )
    columns, y = (values if values.dtype.kind == "f" else values.astype(float) for values in (columns, y))
    for name, values in (("columns", columns), ("y", y)):
        if not np.isfinite(values).all():
            raise ValueError(f"{name} holds {int((~np.isfinite(values)).sum())} NaN or infinite values; drop them")
    n = len(y)
    tau, z, rho = np.full((3, columns.shape[1]), np.nan)
    if n >= 2:
        order = np.argsort(y, kind="stable")
        rank_of_y = np.concatenate([[0], np.cumsum(np.diff(y[order]) != 0)])  # dense
        _correlate(columns, order, rank_of_y, tau, z, rho)
    with np.errstate(divide="ignore", invalid="ignore"):
        t = rho * np.sqrt((n - 2) / ((1 + rho) * (1 - rho)))
        rho_p = 2 * stdtr(n - 2, -np.abs(t)) if n > 2 else np.full_like(rho, np.nan)
    return pd.DataFrame({"tau": tau, "tau_p": 2 * ndtr(-np.abs(z)), "rho": rho, "rho_p": rho_p})


@numba.njit(parallel=True, nogil=True, cache=True)
def _correlate(columns, order, rank_of_y, tau, z, rho):  # pragma: no cover
    """Fill the last three; ``rank_of_y`` are dense ranks in the order ``order``, from the lowest."""
    n = len(order)
    y_starts = _tie_starts(rank_of_y, np.arange(n))
    y_pairs, y_triples, y_weights = _tie_counts(y_starts)
    centred_y = _centred_ranks(y_starts)
    all_pairs = n * (n - 1) / 2.0
    for column in numba.prange(columns.shape[1]):
        x = columns[:, column][order]
        # Stable, so that ties of the column stay in the order of y and hold no inversion.
        by_x = np.argsort(x, kind="mergesort")
        x_starts = _tie_starts(x, by_x)
        x_pairs, x_triples, x_weights = _tie_counts(x_starts)
        if x_pairs == all_pairs or y_pairs == all_pairs:
            continue
        both_pairs = _pairs_tied_in_both(x_starts, rank_of_y[by_x])
        excess = all_pairs - x_pairs - y_pairs + both_pairs - 2 * _inversions(rank_of_y[by_x])
        tau[column] = excess / np.sqrt(all_pairs - x_pairs) / np.sqrt(all_pairs - y_pairs)
        tau[column] = min(1.0, max(-1.0, tau[column]))
        if n > 2:
            m = n * (n - 1.0)
            variance = (m * (2 * n + 5) - x_weights - y_weights) / 18 + 2 * x_pairs * y_pairs / m
            variance += x_triples * y_triples / (9 * m * (n - 2))
            z[column] = excess / np.sqrt(variance)

        centred_x = _centred_ranks(x_starts)
        product, squares_x, squares_y = 0.0, 0.0, 0.0
        for i in range(n):
            product += centred_x[i] * centred_y[by_x[i]]
            squares_x += centred_x[i] ** 2
            squares_y += centred_y[i] ** 2
        # The root of one product, not a product of roots: a perfect order gives exactly 1.
        rho[column] = min(1.0, max(-1.0, product / np.sqrt(squares_x * squares_y)))


@numba.njit
def _tie_starts(values, order):  # pragma: no cover
    """Where each group of equal values begins in ``values[order]``, which is sorted, and its length at the end."""
    starts = np.empty(len(order) + 1, dtype=np.int64)
    starts[0], n_groups = 0, 1
    for i in range(1, len(order)):
        if values[order[i]] != values[order[i - 1]]:
            starts[n_groups] = i
            n_groups += 1
    starts[n_groups] = len(order)
    return starts[: n_groups + 1]


@numba.njit
def _tie_counts(starts):  # pragma: no cover
    """Sums of t(t-1)/2, t(t-1)(t-2) and t(t-1)(2t+5) over the groups of t ties."""
    pairs, triples, weights = 0.0, 0.0, 0.0
    for group in range(len(starts) - 1):
        t = float(starts[group + 1] - starts[group])
        pairs += t * (t - 1) / 2
        triples += t * (t - 1) * (t - 2)
        weights += t * (t - 1) * (2 * t + 5)
    return pairs, triples, weights


@numba.njit
def _centred_ranks(starts):  # pragma: no cover
    """Twice the distance of each mean rank from the middle: whole numbers, whose sums are exact."""
    n = starts[-1]
    ranks = np.empty(n)
    for group in range(len(starts) - 1):
        ranks[starts[group] : starts[group + 1]] = starts[group] + starts[group + 1] - n
    return ranks


@numba.njit
def _pairs_tied_in_both(x_starts, rank_of_y):  # pragma: no cover
    """Pairs with equal x and equal y; ``rank_of_y`` is sorted within each group of equal x."""
    pairs, same, group = 0.0, 0, 0
    for i in range(1, len(rank_of_y)):
        if i == x_starts[group + 1]:
            group += 1
            same = 0
        elif rank_of_y[i] == rank_of_y[i - 1]:
            same += 1
            pairs += same
        else:
            same = 0
    return pairs


@numba.njit
def _inversions(ranks):  # pragma: no cover
    """Pairs in which the earlier rank is the higher one, by merging runs of twice the length; sorts ``ranks``."""
    n, run, inversions = len(ranks), 1, 0
    merged = np.empty_like(ranks)
    while run < n:
        for start in range(0, n, 2 * run):
            middle, stop = min(start + run, n), min(start + 2 * run, n)
            left, right = start, middle
            for i in range(start, stop):
                if left < middle and (right == stop or ranks[left] <= ranks[right]):
                    merged[i] = ranks[left]
                    left += 1
                else:
                    merged[i] = ranks[right]
                    right += 1
                    inversions += middle - left
        ranks, merged = merged, ranks
        run *= 2
    return inversions
