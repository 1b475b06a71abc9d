"""From sentences back to expression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._log import logger, warn
from tcellmil._params import plain, storable
from tcellmil._provenance import record_of
from tcellmil.c2s import Parsed, RankLine, rank_line_expression, read_sentences, words_of
from tcellmil.c2s._text import checked_ids, count_repeated
from tcellmil.data import CellSentences

if TYPE_CHECKING:
    from anndata import AnnData

MANY_UNKNOWN = 0.5  # share of the words


def sentences_to_expression(
    sentences: AnnData | Iterable[str] | np.ndarray,
    line: RankLine | Mapping[str, float] | AnnData | None = None,
    genes: Sequence[str] | None = None,
    *,
    key: str = _keys.CELL_SENTENCE,
) -> AnnData:
    """Turn sentences into expression along a line: ``intercept + slope * log10(1 + position)``.

    Words that are not in the vocabulary are left out before positions are counted, so that they move no gene; a gene
    that a sentence names several times takes the mean of its positions; a full stop or comma at the end of a word is no
    part of it. Values below 0 become 0, and genes that a sentence does not name are 0.

    Parameters
    ----------
    sentences
        An AnnData with sentences of :func:`tcellmil.pp.cell_sentences`; or a text per cell, such as a model wrote, in a
        list or a Series, whose index then names the cells; or indices of ``genes``, cells x words, with -1 for none.
    line
        The line: an AnnData with sentences, whose line and vocabulary are used, or a
        :class:`tcellmil.c2s.RankLine` or its numbers by name. By default that of the AnnData with the sentences.
    genes
        The vocabulary of text and of indices, where ``line`` is not an AnnData.
    key
        Name of the sentences in an AnnData: the ``key_added`` of :func:`tcellmil.pp.cell_sentences`.

    Returns
    -------
    A new AnnData, cells x all genes of the vocabulary:

    - ``X``: CSR, float32, in the unit of the line, usually ``log(1 + counts per 10,000)``,
    - ``obs``: ``n_words``, ``n_unknown`` (not in the vocabulary) and ``n_repeated`` (named before) of each sentence; of
      an AnnData, its columns too,
    - ``var_names``: the genes, ``var["word"]``: how a sentence writes them,
    - ``obsm["X_" + key]`` and ``uns[key]``: the sentences as they were read, for :func:`tcellmil.get.cell_sentences`.

    Raises
    ------
    KeyError
        If an AnnData has no sentences.
    TypeError
        If a sentence is no text.
    ValueError
        If there is no line or no vocabulary, or indices do not fit it.

    Warns
    -----
    UserWarning
        If more than half of the words are not in the vocabulary.

    References
    ----------
    Rizvi et al. (2025), section 4.2.

    Examples
    --------
    >>> import tcellmil as tm
    >>> line = {"slope": -1.0, "intercept": 3.0}
    >>> cells = tm.tl.sentences_to_expression(["LYZ CD14 LYZ.", "CD3D nonsense"], line, ["CD14", "CD3D", "LYZ"])
    >>> cells.to_df().round(2).values.tolist()
    [[2.700000047683716, 0.0, 2.700000047683716], [0.0, 3.0, 0.0]]
    >>> cells.obs["n_unknown"].tolist()
    [0, 1]
    """
    from anndata import AnnData

    own = CellSentences.of(sentences, key) if isinstance(sentences, AnnData) else None
    other = CellSentences.of(line, key) if isinstance(line, AnnData) else None
    vocabulary = _vocabulary(own or other, genes)
    line = _line(line, own, other)
    read = _read(sentences if own is None else own.ids, list(vocabulary["word"]))
    X = rank_line_expression(read.ids, line, len(vocabulary))
    obs = sentences.obs.copy() if own is not None else pd.DataFrame(index=_cell_names(sentences, X.shape[0]))
    for name in ("n_words", "n_unknown", "n_repeated"):
        obs[name] = getattr(read, name)
    adata = AnnData(X, obs=obs, var=pd.DataFrame({"word": vocabulary["word"].to_numpy()}, index=vocabulary["gene"]))
    adata.var_names.name = None
    adata.obsm[_keys.representation(key)] = read.ids.astype(np.int32)
    params = {**plain(n_genes=read.ids.shape[1]), **record_of("sentences_to_expression")}
    adata.uns[key] = storable({"vocabulary": vocabulary, "line": line.as_dict(), "params": params})
    _report(read)
    return adata


def _vocabulary(sentences: CellSentences | None, genes: Sequence[str] | None) -> pd.DataFrame:
    if genes is not None and sentences is not None:
        raise ValueError("genes is the vocabulary of text where line is no AnnData; here the AnnData has one")
    if genes is None and sentences is None:
        raise ValueError("text needs a vocabulary: line=adata, with sentences of pp.cell_sentences, or genes=[...]")
    words = np.array(words_of(genes), dtype=object) if sentences is None else sentences.words
    return pd.DataFrame({"gene": words if sentences is None else sentences.genes, "word": words}, dtype=object)


def _line(line: object, own: CellSentences | None, other: CellSentences | None) -> RankLine:
    if other is not None or (line is None and own is not None):
        return (other or own).line
    if isinstance(line, Mapping):
        return RankLine.from_dict(line)
    if not isinstance(line, RankLine):
        raise ValueError(
            f"line must be an AnnData with sentences, a RankLine or a dict with slope and intercept, got {line!r}"
        )
    return line


def _read(sentences: Iterable[str] | np.ndarray, words: list[str]) -> Parsed:
    """Sentences as indices, with what was found in them."""
    ids = sentences if isinstance(sentences, np.ndarray) else None
    if ids is None or ids.dtype.kind in "OUT":
        return read_sentences(sentences, words)
    ids = checked_ids(ids, len(words))
    n_words = (ids >= 0).sum(axis=1)
    return Parsed(ids, n_words, np.zeros_like(n_words), count_repeated(ids))


def _cell_names(sentences: object, n: int) -> pd.Index:
    return sentences.index.astype(str) if isinstance(sentences, pd.Series) else pd.RangeIndex(n).astype(str)


def _report(read: Parsed) -> None:
    words, unknown, repeated = (int(n.sum()) for n in (read.n_words, read.n_unknown, read.n_repeated))
    if unknown > MANY_UNKNOWN * words:
        warn(
            f"{unknown:,} of {words:,} words are not in the vocabulary and were left out; is it that of these "
            "sentences, in the same case?"
        )
    logger.info(
        "sentences_to_expression: %d cells of %d words, %d of them unknown and %d repeated",
        *(len(read.ids), words, unknown, repeated),
    )
