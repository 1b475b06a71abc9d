"""How many genes of a real cell sentence a generated one has."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcellmil._docs import documented
from tcellmil.metrics._conditions import ByCondition, Labels, average_by

Sentences = np.ndarray | Sequence[str] | Sequence[Sequence[str]]


@documented
def gene_overlap(real: Sentences, generated: Sentences, *, by: Labels | None = None) -> np.ndarray | ByCondition:
    r"""Share of the genes of each real sentence that the generated one has.

    .. math:: \mathrm{Overlap}(G_\mathrm{gen}, G_\mathrm{ref})
        = \frac{|G_\mathrm{gen} \cap G_\mathrm{ref}|}{|G_\mathrm{ref}|}

    over *sets*: neither order nor repeats count. It is a recall: more generated genes never lower it, so compare
    sentences of the same length.

    Parameters
    ----------
    real, generated
        Sentences, as many of each; sentence ``i`` of one belongs to sentence ``i`` of the other. An array of whole
        numbers, ``(n_cells, n_genes)``, such as ``obsm["X_cell_sentence"]``, with -1 where a sentence has ended; or
        texts, whose words are genes; or lists of words.
    %(by_pairs)s

    Returns
    -------
    ``(n_cells,)``, in [0, 1]; 0 where nothing was generated.
    %(with_by)s

    Raises
    ------
    TypeError
        If sentences are neither whole numbers nor words.
    ValueError
        If the numbers of sentences differ, or a real sentence has no gene.

    References
    ----------
    Rizvi et al. (2025), C2S-Scale, section 4.4.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import gene_overlap
    >>> gene_overlap(["MALAT1 CD3D IL7R CCR7"], ["CD3D MALAT1 CD3D NKG7"])
    array([0.5])
    >>> gene_overlap(np.array([[4, 2, 7], [1, 3, -1]]), np.array([[7, 9], [3, 1]]))
    array([0.33333333, 1.        ])
    """
    sides = [_words(real, "real"), _words(generated, "generated")]
    n = sides[0][2]
    if sides[1][2] != n:
        raise ValueError(
            f"there are {n} real and {sides[1][2]} generated sentences; each real one needs one of its own"
        )
    rows = np.concatenate([row for row, _, _ in sides])
    words = [word for _, word, _ in sides]
    if words[0].dtype != words[1].dtype and words[0].size and words[1].size:
        raise TypeError("one of real and generated holds whole numbers, the other words; both must be of one kind")
    code, distinct = pd.factorize(np.concatenate(words))
    keys = rows * max(len(distinct), 1) + code
    of_real, of_generated = (_distinct(part) for part in np.split(keys, [len(words[0])]))
    shared = np.intersect1d(of_real, of_generated, assume_unique=True)
    n_real, n_shared = (np.bincount(part // max(len(distinct), 1), minlength=n) for part in (of_real, shared))
    if not n_real.all():
        empty = np.flatnonzero(n_real == 0)
        raise ValueError(f"{len(empty)} real sentences have no gene, the first in row {empty[0]}; leave them out")
    return average_by(n_shared / n_real, by)


def _words(sentences: Sentences, name: str) -> tuple[np.ndarray, np.ndarray, int]:
    """Row and word of every word, and the number of sentences."""
    if isinstance(sentences, pd.DataFrame):
        sentences = sentences.to_numpy()
    if isinstance(sentences, str):
        raise TypeError(f"{name} must be a list of sentences, got one text; write [text]")
    if isinstance(sentences, np.ndarray) and sentences.dtype != object and sentences.dtype.kind not in "US":
        if sentences.dtype.kind not in "iu" or sentences.ndim != 2:
            raise TypeError(
                f"{name} must be whole numbers, (n_cells, n_genes), or words, got {sentences.dtype} of shape "
                f"{sentences.shape}"
            )
        rows, places = np.nonzero(sentences >= 0)
        return rows, sentences[rows, places].astype(np.int64), len(sentences)
    lists = [sentence.split() if isinstance(sentence, str) else list(sentence) for sentence in sentences]
    words = [word for sentence in lists for word in sentence]
    wrong = [word for word in words if not isinstance(word, str)]
    if wrong:
        raise TypeError(f"{name} must hold words, got {wrong[0]!r}; whole numbers must be an array, (n_cells, n_genes)")
    rows = np.repeat(np.arange(len(lists)), [len(sentence) for sentence in lists])
    return rows, np.array(words, dtype=object), len(lists)


def _distinct(keys: np.ndarray) -> np.ndarray:
    """In order; ``np.unique`` hashes integers since numpy 2.3, and takes many times as long for millions of them."""
    keys = np.sort(keys)
    return keys[np.concatenate([[True], keys[1:] != keys[:-1]])] if keys.size else keys
