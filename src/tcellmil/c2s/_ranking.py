"""Genes of each cell from the highest value to the lowest: a sentence is a row of integers."""

from __future__ import annotations

from collections.abc import Iterable
from numbers import Integral
from typing import TYPE_CHECKING, Literal, get_args

import numba
import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._checks import check_choice, check_count
from tcellmil._matrix import canonical_csr, native, row_blocks

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix

Ties = Literal["stable", "random"]


def rank_genes(
    X: Matrix,
    n_genes: int,
    *,
    ties: Ties = "stable",
    seed: int = 0,
    exclude: np.ndarray | None = None,
    keys: np.ndarray | None = None,
    gene_keys: np.ndarray | None = None,
) -> np.ndarray:
    """Find the genes with the highest values of each cell, in order.

    Only values above 0 count: a zero is not expressed, stored or not. The ``n_genes``-th highest value of a
    cell is found by counting, and only what is chosen is sorted; cells are independent, and any number of threads gives
    the same.

    Parameters
    ----------
    X
        Expression, cells x genes, at least 0: counts or log-normalised, any monotone transform of a cell's values gives
        the same. An array, a sparse matrix (CSR is used as it is, other formats are converted; entries that are stored
        twice are added up), a matrix of a backed AnnData or a dask array; of the last two, a block of rows at a time is
        read.
    n_genes
        Most genes of a cell, at least 1 and at most as many as there are.
    ties
        Order of genes with the same value. ``"stable"``: by column. ``"random"``: at random, another order in each
        cell, given by ``seed``, ``keys`` and ``gene_keys`` alone.
    seed
        Seed of that order, at least 0.
    exclude
        Genes that are left out, ``(n_genes_of_X,)``, of bool.
    keys, gene_keys
        Whole numbers that stand for the cells and for the genes in the random order, such as those of
        :func:`keys_of`; by default the numbers of rows and columns. With keys from names, a cell has the same
        sentence whatever other cells are there, and its genes are in the same order whatever other genes are.

    Returns
    -------
    Columns of ``X``, ``(n_cells, n_genes)``, int32: the gene with the highest value first, -1 after the last where a
    cell expresses fewer.

    Raises
    ------
    TypeError
        If ``X`` is no matrix.
    ValueError
        If values are negative, NaN, infinite or no real numbers, sparse indices are out of range, there are fewer
        genes than ``n_genes``, or another argument does not fit.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.c2s import rank_genes
    >>> rank_genes(np.array([[0, 2, 5, 2], [0, 0, 1, 0]]), 3)
    array([[ 2,  1,  3],
           [ 2, -1, -1]], dtype=int32)
    """
    blocks = row_blocks(X)
    n_cells, n_columns = X.shape
    n_genes = check_count(n_genes, "n_genes")
    check_choice(ties, get_args(Ties), "ties")
    if X.dtype.kind not in "biuf":
        raise ValueError(f"X holds values of type {X.dtype}, not real numbers; convert them: X.astype('float32')")
    skip = _checked_mask(exclude, n_columns)
    if n_genes > n_columns - skip.sum():
        left = f", {skip.sum():,} of them excluded" if skip.any() else ""
        raise ValueError(f"n_genes={n_genes} is more than there are: {n_columns:,} genes{left}; choose fewer")
    seed, keys, gene_keys = _checked_seed(seed), _checked_keys(keys, n_cells), _checked_keys(gene_keys, n_columns)

    ids = np.empty((n_cells, n_genes), dtype=np.int32)
    wrong = np.zeros((n_cells, 3), dtype=np.int32)
    for rows, block in blocks:
        of_ties = (skip, keys[rows], gene_keys, seed, ties == "random")
        block = block if sparse.issparse(block) else canonical_csr(block)
        _rank_block(block, *of_ties, ids[rows], wrong[rows])
        if wrong[rows, 2].any():  # columns of a cell in any order, or stored twice
            wrong[rows] = 0
            _rank_block(canonical_csr(block), *of_ties, ids[rows], wrong[rows])
    negative, not_finite, _ = wrong.sum(axis=0, dtype=np.int64)
    if negative or not_finite:
        raise ValueError(
            f"X holds {negative:,} negative and {not_finite:,} NaN or infinite values in "
            f"{np.count_nonzero(wrong.any(axis=1)):,} cells; genes are ranked by counts or log-normalised values, "
            "which are finite and at least 0, not by scaled ones"
        )
    return ids


def keys_of(names: Iterable[str]) -> np.ndarray:
    """Whole numbers that stand for names: the same for a name in every process, of type uint64.

    Parameters
    ----------
    names
        Names of cells or genes.

    Returns
    -------
    Keys for :func:`rank_genes`, ``(n_names,)``.

    Examples
    --------
    >>> from tcellmil.c2s import keys_of
    >>> keys_of(["a", "b", "a"]) == keys_of(["a", "b", "c"])
    array([ True,  True, False])
    """
    return pd.util.hash_array(np.array([str(name) for name in names], dtype=object), categorize=False)


def _checked_mask(exclude: np.ndarray | None, n: int) -> np.ndarray:
    if exclude is None:
        return np.zeros(n, dtype=bool)
    exclude = np.asarray(exclude)
    if exclude.dtype != bool or exclude.shape != (n,):
        raise ValueError(
            f"exclude must be {n} values of bool, one for each gene, got {exclude.dtype} of shape {exclude.shape}"
        )
    return exclude


def _checked_seed(seed: int) -> np.uint64:
    if isinstance(seed, bool) or not isinstance(seed, Integral) or not 0 <= seed < 2**64:
        raise ValueError(f"seed={seed!r} must be a whole number of at least 0")
    return np.uint64(seed)


def _checked_keys(keys: np.ndarray | None, n: int) -> np.ndarray:
    if keys is None:
        return np.arange(n, dtype=np.uint64)
    keys = np.asarray(keys)
    if keys.dtype.kind not in "iu" or keys.shape != (n,):
        raise ValueError(f"keys must be {n} whole numbers, one for each, got {keys.dtype} of shape {keys.shape}")
    return keys.astype(np.uint64, copy=False)


def _rank_block(block: sparse.csr_matrix | sparse.csr_array, *rest: object) -> None:
    genes, start = (part.astype(np.int32, copy=False) for part in (block.indices, block.indptr))
    values = _comparable(block.data)
    bits = values.view(np.uint32 if values.dtype.itemsize == 4 else np.uint64)
    _rank_cells(values, bits, genes, start, *rest)


def _comparable(data: np.ndarray) -> np.ndarray:
    """Values in one of the two types for which the kernel is compiled, in the same order."""
    data = native(data)
    if data.dtype in (np.float32, np.float64):
        return data
    return data.astype(np.float32 if data.dtype.itemsize < 4 else np.float64)


@numba.njit(parallel=True, nogil=True, cache=True)
def _rank_cells(values, bits, genes, start, skip, keys, gene_keys, seed, random, ids, wrong):  # pragma: no cover
    """Fill ``ids``, and count in ``wrong`` the negative and not finite values, and columns that are not in order.

    Of numbers of at least 0, the ``bits`` as whole numbers have the order of the numbers. Where columns of a cell are
    in order, those in front come first among equal values.
    """
    n_genes, skips = ids.shape[1], skip.any()
    for cell in numba.prange(ids.shape[0]):
        first, last = start[cell], start[cell + 1]
        row, columns = values[first:last], genes[first:last]
        height = np.empty(row.size, bits.dtype)
        n, n_wrong, n_back = _heights(row, bits[first:last], columns, height)
        if n_wrong > 0 or n_back > 0:
            wrong[cell, 0] = (row < 0).sum() - (row == -np.inf).sum()
            wrong[cell, 1] = n_wrong - wrong[cell, 0]
            wrong[cell, 2] = n_back
            continue
        if skips:
            n -= _left_out(columns, skip, height)
        chosen = np.empty(min(n, n_genes) + 1, np.int64)
        least, n_ties = _kth_highest(height, n_genes) if n > n_genes else (bits.dtype.type(1), n)
        order = _random_order(columns, keys[cell], gene_keys, seed) if random else np.empty(0, np.uint64)
        if random and n > n_genes:
            first = np.where(height == least, ~order | np.uint64(1), np.uint64(0))
            _choose(first, *_kth_highest(first, n_ties), chosen, _choose(height, least, 0, chosen, 0))
        else:
            _choose(height, least, n_ties, chosen, 0)
        chosen = chosen[:-1]
        if random:
            chosen = chosen[np.argsort(order[chosen], kind="mergesort")]
        if random or bits.itemsize > 4:
            chosen = chosen[np.argsort(~height[chosen], kind="mergesort")]
        else:
            _sort(height, chosen)
        ids[cell, : chosen.size] = columns[chosen]
        ids[cell, chosen.size :] = -1


@numba.njit
def _heights(row, bits, columns, height):  # pragma: no cover
    """Fill ``height``, 0 for what is no word; count words, wrong values, and columns that are not behind the last.

    No step depends on a branch, so that many are taken at once.
    """
    n, n_wrong, n_back = np.int32(0), np.int32(0), np.int32(0)
    none = height.dtype.type(0)  # a plain 0 would make numbers of 64 bits floating
    for i in range(row.size):
        word = row[i] > 0
        n += np.int32(word)
        n_wrong += np.int32(not ((row[i] >= 0) & (row[i] < np.inf)))
        height[i] = bits[i] if word else none
    for i in range(1, row.size):
        n_back += np.int32(columns[i] <= columns[i - 1])
    return n, n_wrong, n_back


@numba.njit
def _left_out(columns, skip, height):  # pragma: no cover
    """Make the heights of skipped columns 0, and count those that were words."""
    n = 0
    for i in range(columns.size):
        if skip[columns[i]] and height[i] > 0:
            height[i] = 0
            n += 1
    return n


@numba.njit
def _choose(height, least, n_ties, chosen, n):  # pragma: no cover
    """Write positions of what is higher than ``least``, and of the first of its ties, from ``chosen[n]`` on.

    Without branches: what is not chosen is written over by the next. Gives back how many are chosen in all.
    """
    left = np.int64(n_ties)
    for position in range(height.size):
        value = height[position]
        tie = (value == least) & (left > 0)
        chosen[n] = position
        left -= np.int64(tie)
        n += np.int64((value > least) | tie)
    return n


@numba.njit
def _sort(height, chosen):  # pragma: no cover
    """Sort positions by heights of 32 bits, the highest first: in one number both are sorted faster."""
    low = np.uint64(0xFFFFFFFF)
    both = np.empty(chosen.size, np.uint64)
    for i in range(chosen.size):
        both[i] = ((low - np.uint64(height[chosen[i]])) << np.uint64(32)) | np.uint64(chosen[i])
    both.sort()
    for i in range(chosen.size):
        chosen[i] = np.int64(both[i] & low)


@numba.njit
def _kth_highest(height, k):  # pragma: no cover
    """The k-th highest of some whole numbers, bit by bit from the top; and how many of it are among the k."""
    found, bit = height.dtype.type(0), height.dtype.type(1) << height.dtype.type(8 * height.itemsize - 1)
    used = height.dtype.type(0)
    for value in height:
        used |= value
    while bit > 0:
        if used & bit and _n_above(height, found | bit, True) >= k:
            found |= bit
        bit >>= height.dtype.type(1)
    return found, k - _n_above(height, found, False)


@numba.njit
def _n_above(height, least, inclusive):  # pragma: no cover
    """How many numbers are above another; counted without a branch, so that many are compared at once."""
    n = np.int32(0)
    if inclusive:
        for i in range(height.size):
            n += np.int32(height[i] >= least)
    else:
        for i in range(height.size):
            n += np.int32(height[i] > least)
    return n


@numba.njit
def _random_order(columns, key, gene_keys, seed):  # pragma: no cover
    """A number for each gene of a cell that depends on the seed, the cell and the gene only."""
    of_cell = _mixed(key + _mixed(seed + np.uint64(0x9E3779B97F4A7C15)))
    order = np.empty(columns.size, np.uint64)
    for position in range(columns.size):
        order[position] = _mixed(of_cell ^ gene_keys[columns[position]])
    return order


@numba.njit
def _mixed(bits):  # pragma: no cover
    """The finaliser of SplitMix64 (Steele et al. 2014): every bit of the result depends on every bit given."""
    bits = (bits ^ (bits >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    bits = (bits ^ (bits >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return bits ^ (bits >> np.uint64(31))
