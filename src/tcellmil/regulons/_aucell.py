"""AUCell: how early the targets of a regulon come in the ranking of a cell's genes, exact over ties."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numba
import numpy as np
from scipy import sparse

from tcellmil._matrix import canonical_csr, native, row_blocks
from tcellmil.regulons._expression import check_values

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix

RADIX_BITS = 11  # of the values, sorted in one pass
RADIX_MASK = (1 << RADIX_BITS) - 1


def aucell(
    X: Matrix,
    weights: np.ndarray | sparse.spmatrix | sparse.sparray,
    auc_threshold: float = 0.05,
) -> np.ndarray:
    r"""Score every regulon in every cell by the area under its recovery curve.

    Genes are ranked in each cell from the highest value (rank 0) to the lowest. With a cutoff :math:`k`, a regulon
    with target weights :math:`w_g` scores

    .. math::

        \mathrm{AUC} = \frac{\sum_g w_g \, h_g}{(k + 1) \sum_g w_g}, \qquad h_g = \max(0, k - \mathrm{rank}_g)

    Genes of equal value have no order. pySCENIC gives them a random one; here each gets the *mean* of
    :math:`\max(0, k - r)` over the ranks :math:`r \in [a, b)` that its tie group occupies,

    .. math::

        h_g = \frac{1}{b - a} \sum_{r=a}^{m-1} (k - r) = \frac{(m - a) \, (2k - a - m + 1)}{2 \, (b - a)},
        \qquad m = \max(a, \min(b, k)),

    which is the exact expectation of pySCENIC's score over its random tie breaking: nothing is random. All zeros of
    a cell, stored or not, are one tie group. They share one height, so they cost one constant per cell, and no row
    is ever made dense.

    Parameters
    ----------
    X
        Expression, cells x genes, at least 0: counts or log-normalised, any monotone transform gives the same scores.
        An array, a sparse matrix (CSR is used as it is, other formats are converted), a matrix of a backed AnnData
        or a dask array; of the last two, a block of rows at a time is read.
    weights
        Weight of each gene in each regulon, genes x regulons, at least 0, with one positive weight per regulon.
    auc_threshold
        Share of the ranking that counts, in (0, 1]. As in pySCENIC, ``k = round(auc_threshold * n_genes) - 1``.

    Returns
    -------
    Scores, cells x regulons, float32 in [0, 1]. The highest possible score is below 1 (``k + 1`` in the denominator
    is R-AUCell's and pySCENIC's convention).

    Raises
    ------
    ValueError
        If shapes do not fit, ``X`` holds negative or non-finite values or is sparse with indices out of range, a
        regulon has no weight or a negative one, or ``auc_threshold`` leaves fewer than one rank.

    Notes
    -----
    One deviation from pySCENIC: it sets a regulon to 0 in all cells when fewer than 80% of its genes are in the
    matrix. Here a regulon is scored with the genes that are there, which is also what pySCENIC does above 80%.

    References
    ----------
    Aibar et al. (2017), Nature Methods 14, 1083; Van de Sande et al. (2020), Nature Protocols 15, 2247.

    Examples
    --------
    Ranks of the four genes are 0, 1 and, tied, 2 and 3; ``k`` is 3, so their heights are 3, 2, 0.5 and 0.5:

    >>> import numpy as np
    >>> from tcellmil.regulons import aucell
    >>> aucell(np.array([[5.0, 3.0, 0.0, 0.0]]), np.array([[1, 0], [0, 0], [0, 1], [0, 0]]), auc_threshold=1)
    array([[0.75 , 0.125]], dtype=float32)
    """
    n_cells, n_genes = X.shape
    check_values(X, "AUCell", minimum=0)
    weights = _checked_weights(weights, n_genes)
    k = rank_cutoff(n_genes, auc_threshold)
    scores = np.empty((n_cells, weights.shape[1]), dtype=np.float32)
    regulon_sum = np.asarray(weights.sum(axis=0)).ravel()
    for rows, block in row_blocks(X):
        block = canonical_csr(block)
        _score_cells(
            *(_order_bits(block.data), block.indices, block.indptr),
            *(weights.data, weights.indices.astype(np.int32), weights.indptr.astype(np.int32)),
            *(regulon_sum, k, n_genes),
            scores[rows],
        )
    return scores


def rank_cutoff(n_genes: int, auc_threshold: float) -> int:
    """Rank ``k`` from which on a gene adds nothing, rounded as pySCENIC and R-AUCell do."""
    if not 0 < auc_threshold <= 1:
        raise ValueError(f"auc_threshold={auc_threshold} must be a share of the genes, in (0, 1]")
    k = int(round(auc_threshold * n_genes)) - 1
    if k < 1:
        raise ValueError(
            f"auc_threshold={auc_threshold} of {n_genes} genes leaves no rank to score; "
            f"raise it to at least {min(1.0, 2 / n_genes):.3g}, or use more genes"
        )
    return k


def _checked_weights(weights: np.ndarray | sparse.spmatrix, n_genes: int) -> sparse.csr_matrix:
    weights = sparse.csr_matrix(weights, dtype=np.float64)
    weights.sum_duplicates()
    if weights.shape[0] != n_genes:
        raise ValueError(f"weights has {weights.shape[0]} rows, but X has {n_genes} genes")
    if not np.isfinite(weights.data).all() or (weights.data < 0).any():
        raise ValueError("AUCell needs finite weights of at least 0; split a signed regulon into an up and a down part")
    empty = np.flatnonzero(np.asarray(weights.sum(axis=0)).ravel() == 0)
    if empty.size:
        raise ValueError(f"{empty.size} regulons have no target among the genes, the first in column {empty[0]}")
    return weights


def _order_bits(data: np.ndarray) -> np.ndarray:
    """Values of at least 0 as integers of the same order: the bits of such a float, read as an integer, keep it."""
    if data.dtype.kind not in "fi" or data.dtype.itemsize not in (4, 8):
        data = data.astype(np.float32 if data.dtype.itemsize < 4 else np.float64)
    data = native(data)
    return data.view(f"i{data.dtype.itemsize}")


@numba.njit(parallel=True, nogil=True, cache=True)
def _score_cells(
    bits, genes, cell_start, weight, regulon, gene_start, regulon_sum, k, n_genes, scores
):  # pragma: no cover
    """Fill ``scores`` (cells x regulons) from two CSR matrices: cells x genes and genes x regulons.

    Cells are independent, and each sums in the order of its own ranking: any number of threads gives the same bits.
    """
    for cell in numba.prange(scores.shape[0]):
        values = bits[cell_start[cell] : cell_start[cell + 1]]
        targets = genes[cell_start[cell] : cell_start[cell + 1]]
        ranking = _detected_from_high_to_low(values)
        # Every gene starts at the height of the zeros; a detected one adds what it stands above them.
        zero_height = _mean_height(ranking.size, n_genes, k)
        total = zero_height * regulon_sum
        first = 0
        while first < min(ranking.size, k):
            stop = first + 1
            while stop < ranking.size and values[ranking[stop]] == values[ranking[first]]:
                stop += 1
            height = _mean_height(first, stop, k) - zero_height
            for position in ranking[first:stop]:
                gene = targets[position]
                for edge in range(gene_start[gene], gene_start[gene + 1]):
                    total[regulon[edge]] += height * weight[edge]
            first = stop
        scores[cell] = total / ((k + 1) * regulon_sum)


@numba.njit(inline="always")
def _mean_height(first, stop, k):  # pragma: no cover
    """Mean of max(0, k - rank) over the ranks of a tie group, ``first`` to ``stop - 1``."""
    inside = max(0, min(stop, k) - first)
    return inside * (2 * k - 2 * first - inside + 1) / (2.0 * max(1, stop - first))


@numba.njit
def _detected_from_high_to_low(values):  # pragma: no cover
    """Positions of the values above 0, the highest first.

    A radix sort: three to eight times as fast here as comparing, and skipping the digits that all values share
    makes counts, which use few bits, cheaper still.
    """
    order = np.flatnonzero(values > 0)
    spare = np.empty_like(order)
    for shift in range(0, 8 * values.itemsize, RADIX_BITS):
        start = np.zeros(1 << RADIX_BITS, dtype=np.int64)
        for position in order:
            start[values[position] >> shift & RADIX_MASK] += 1
        if start.max() == order.size:
            continue
        total = 0
        for digit in range(RADIX_MASK, -1, -1):
            total, start[digit] = total + start[digit], total
        for position in order:
            digit = values[position] >> shift & RADIX_MASK
            spare[start[digit]] = position
            start[digit] += 1
        order, spare = spare, order
    return order
