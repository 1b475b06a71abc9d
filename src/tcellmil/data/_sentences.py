"""The sentences of an AnnData, with all that is needed to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import some
from tcellmil.c2s import RankLine
from tcellmil.c2s._text import checked_ids

if TYPE_CHECKING:
    from anndata import AnnData


@dataclass(frozen=True)
class CellSentences:
    """Sentences as :func:`tcellmil.pp.cell_sentences` wrote them.

    Parameters
    ----------
    ids
        ``(n_cells, n_genes)``: index of each word in the vocabulary, -1 after the last.
    words
        The vocabulary, ``(n_words,)``.
    genes
        ``var_name`` of each word when the sentences were written; those of the AnnData may be others since.
    line
        From position to expression.
    params
        Arguments of the call that wrote them.
    """

    ids: np.ndarray
    words: np.ndarray
    genes: np.ndarray
    line: RankLine
    params: Mapping

    @classmethod
    def of(cls, adata: AnnData, key: str = _keys.CELL_SENTENCE) -> CellSentences:
        """Read the sentences named ``key``.

        Raises
        ------
        KeyError
            If there are none. The message names the call that writes them.
        ValueError
            If they do not fit their vocabulary.

        Examples
        --------
        >>> import tcellmil as tm
        >>> from tcellmil.data import CellSentences
        >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
        >>> tm.pp.cell_sentences(adata, n_genes=5)
        >>> CellSentences.of(adata).ids.shape
        (180, 5)
        """
        result, place = adata.uns.get(key), _keys.representation(key)
        call = "pp.cell_sentences(adata" + (")" if key == _keys.CELL_SENTENCE else f", key_added={key!r})")
        if not isinstance(result, Mapping) or not {"vocabulary", "line", "params"} <= set(result):
            what = f"adata.uns[{key!r}] holds no sentences" if key in adata.uns else f"adata.uns has no {key!r}"
            raise KeyError(f"{what}; run {call} first (there are {some(adata.uns)})")
        if place not in adata.obsm:
            raise KeyError(f"adata.obsm has no {place!r}; run {call} first")
        vocabulary: pd.DataFrame = result["vocabulary"]
        ids = checked_ids(adata.obsm[place], len(vocabulary))
        words, genes = (vocabulary[name].astype(str).to_numpy(dtype=object) for name in ("word", "gene"))
        return cls(ids, words, genes, RankLine.from_dict(result["line"]), result["params"])
