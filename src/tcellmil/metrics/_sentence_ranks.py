"""Ranks of all genes from sentences of some of them."""

from __future__ import annotations

import numpy as np

from tcellmil._checks import check_count


def sentence_ranks(ids: np.ndarray, n_genes: int) -> np.ndarray:
    """Rank of every gene in each sentence; genes that are not in it share the last rank.

    The first gene has rank 1. In a sentence of 950 of 978 genes, the other 28 share rank 951, as in section 4.6.9 of
    the paper. A gene that occurs more than once has the mean of its positions.

    Parameters
    ----------
    ids
        Sentences, ``(n_cells, n_words)``: indices of genes from high to low, -1 where a sentence has ended, such as
        ``obsm["X_cell_sentence"]``.
    n_genes
        Number of genes that are ranked.

    Returns
    -------
    ``(n_cells, n_genes)`` float64, at least 1; for :func:`kendall_tau` and :func:`kendall_tau_b`.

    Raises
    ------
    TypeError
        If the indices are no whole numbers.
    ValueError
        If an index is not below ``n_genes``, or the shape is another one.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import sentence_ranks
    >>> sentence_ranks(np.array([[3, 0, -1]]), n_genes=5)
    array([[2., 3., 3., 1., 3.]])
    """
    ids, n_genes = np.asarray(ids), check_count(n_genes, "n_genes")
    if ids.dtype.kind not in "iu":
        raise TypeError(f"ids must be whole numbers, got {ids.dtype}")
    if ids.ndim != 2:
        raise ValueError(f"ids must be (n_cells, n_words), got shape {ids.shape}")
    if ids.size and ids.max() >= n_genes:
        raise ValueError(f"ids holds gene {ids.max()}, but n_genes={n_genes}: the last gene is {n_genes - 1}")
    there = ids >= 0
    position = np.cumsum(there, axis=1)
    rows, places = np.nonzero(there)
    key = rows * n_genes + ids[rows, places].astype(np.int64)
    size = len(ids) * n_genes
    total = np.bincount(key, weights=position[rows, places], minlength=size)
    times = np.bincount(key, minlength=size)
    last = np.repeat(there.sum(axis=1) + 1.0, n_genes)
    return np.divide(total, times, out=last, where=times > 0).reshape(len(ids), n_genes)
