"""Sentences that a model wrote, as an AnnData."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._params import plain, storable
from tcellmil._provenance import record_of
from tcellmil.c2s import Generated, RankLine, rank_line_expression

if TYPE_CHECKING:
    from anndata import AnnData


def generated_adata(
    found: Generated, words: Sequence[str], line: RankLine, conditions: pd.DataFrame, params: Mapping[str, object]
) -> AnnData:
    """Expression along the line, conditions, and the sentences as :func:`tcellmil.pp.cell_sentences` writes them."""
    from anndata import AnnData

    obs = conditions.astype("category").assign(n_unknown=found.n_unknown, n_repeated=found.n_repeated)
    adata = AnnData(rank_line_expression(found.ids, line, len(words)), obs=obs, var=pd.DataFrame(index=list(words)))
    names = np.array(words, dtype=object)
    adata.obsm[_keys.representation(_keys.CELL_SENTENCE)] = found.ids
    adata.uns[_keys.CELL_SENTENCE] = storable(
        {
            "vocabulary": pd.DataFrame({"gene": names, "word": names}),
            "line": line.as_dict(),
            "params": {**plain(**params), "values": "log", **record_of("generate_cells")},
        }
    )
    return adata
