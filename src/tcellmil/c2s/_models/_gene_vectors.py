"""Where random weights begin to learn about genes: with vectors that say which genes occur in the same cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from tcellmil._checks import check_count

if TYPE_CHECKING:
    from tcellmil.c2s._language_model import LanguageModel

#: Most cells that are read.
MOST_CELLS = 20_000
#: Root mean square of the vectors where genes are read and where they are written; the random part has 0.02.
READ, WRITTEN = 0.1, 0.05
#: Tables with no more cells, or words, are decomposed whole: ARPACK can miss vectors of equal singular values.
MOST_DENSE = 300
#: Genes that are rarer, or more frequent, count no more for it.
LEAST_DEVIATION = 0.05
#: Singular values that are smaller than this share of the largest are rounding errors.
LEAST_SINGULAR = 1e-6


def gene_vectors(ids: np.ndarray, n_words: int, width: int, *, seed: int = 0) -> np.ndarray:
    r"""Vectors of genes, alike for genes that occur in the same sentences.

    Latent semantic analysis (Deerwester et al., 1990), with the singular values shared evenly between cells and genes
    (Levy et al., 2015): of the table :math:`M` of cells and genes, 1 where the gene is in the cell's sentence,
    standardised by column (rare and frequent words as if their standard deviation were 0.05),

    .. math:: M \approx U S V^T, \qquad W = V \sqrt{S} Q

    with a random rotation :math:`Q`, so that no place of a vector is more important than another. It is the rotation
    nearest to :math:`V^T G` with random :math:`G`, so that the vectors do not depend on the signs of singular vectors,
    nor on which of those with equal singular values are taken for a basis. No label is read.

    Parameters
    ----------
    ids
        ``(n_cells, n_genes)`` integers: words of each cell, -1 where it has fewer. Of more than 20,000 cells so many
        are drawn.
    n_words
        How many words there are.
    width
        Numbers of a vector. Fewer singular vectors are used where there are fewer cells or words.
    seed
        Of the rotation and of the draw.

    Returns
    -------
    ``(n_words, width)`` float32 with a root mean square of 1 over the words that some cells have and others have not; 0
    for the rest.

    Raises
    ------
    ValueError
        If ``ids`` are not such integers, or ``width`` is no count.

    Notes
    -----
    20,000 cells of 200 genes among 20,000 take less than a minute with 64 numbers.

    Examples
    --------
    >>> ids = np.array([[0, 1], [1, 0], [2, 3], [3, 2], [0, 1]])
    >>> vectors = gene_vectors(ids, 5, 2)
    >>> np.round(np.corrcoef(vectors[:4])[0], 2), vectors[4]
    (array([ 1.,  1., -1., -1.]), array([0., 0.], dtype=float32))
    """
    from sklearn.decomposition import PCA

    width, rng = check_count(width, "width"), np.random.default_rng(seed)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or (ids.size and not -1 <= ids.min() <= ids.max() < n_words):
        held = f", {ids.min()} to {ids.max()}" if ids.size else ""
        raise ValueError(
            f"ids must be (n_cells, n_genes), whole numbers from -1 to {n_words - 1}; got {ids.dtype} of shape "
            f"{ids.shape}{held}"
        )
    if len(ids) > MOST_CELLS:
        ids = ids[np.sort(rng.permutation(len(ids))[:MOST_CELLS])]
    cell, place = np.nonzero(ids >= 0)
    occurs = sparse.csr_matrix((np.ones(len(cell)), (cell, ids[cell, place])), shape=(len(ids), n_words))
    occurs.sum_duplicates()
    occurs.data[:] = 1
    share = np.asarray(occurs.sum(axis=0)).ravel() / max(1, len(ids))
    deviation = np.sqrt(share * (1 - share))
    n = min(width, np.count_nonzero(deviation) - 1, len(ids) - 1)
    vectors = np.zeros((n_words, width))
    if n < 1:
        return vectors.astype(np.float32)
    scaled = occurs @ sparse.diags(1 / np.maximum(deviation, LEAST_DEVIATION))
    start = int(rng.integers(2**32))
    if min(scaled.shape) <= MOST_DENSE:
        found = PCA(n, svd_solver="full").fit(scaled.toarray())
    else:
        found = PCA(n, svd_solver="arpack", random_state=start).fit(scaled.tocsr())
    V, S = found.components_.T, found.singular_values_
    S = np.where(S > LEAST_SINGULAR * S.max(), S, 0)
    left, _, right = np.linalg.svd(V.T @ rng.normal(size=(n_words, width)), full_matrices=False)
    vectors = V * np.sqrt(S) @ left @ right
    vectors[deviation == 0] = 0
    vectors /= np.sqrt((vectors[deviation > 0] ** 2).mean())
    return vectors.round(4).astype(np.float32)  # the last digits depend on the number of threads


def add_gene_vectors(lm: LanguageModel, ids: np.ndarray, *, seed: int = 0) -> None:
    """Add vectors of genes to the weights of their tokens, in place.

    They get a root mean square of 0.1 where genes are read, and of 0.05 where they are written by other weights. A
    gene of several tokens is left alone, and so are weights that are not trained.

    Parameters
    ----------
    lm
        The model, whose weights are random.
    ids, seed
        See :func:`gene_vectors`.
    """
    import torch

    spelled = lm.tokenizer(list(lm.words), add_special_tokens=False)["input_ids"]
    whole = np.array([len(tokens) == 1 for tokens in spelled], dtype=bool)
    tokens = [tokens[0] for tokens in spelled if len(tokens) == 1]
    read, written = lm.model.get_input_embeddings().weight, lm.model.get_output_embeddings().weight
    vectors = torch.from_numpy(gene_vectors(ids, len(lm.words), read.shape[1], seed=seed)[whole])
    with torch.no_grad():
        for table, length in [(read, READ)] if lm.is_tied else [(read, READ), (written, WRITTEN)]:
            if not table.requires_grad:
                continue
            table.index_add_(
                0, torch.tensor(tokens, dtype=torch.int64, device=table.device), (length * vectors).to(table)
            )
