"""The expression of an AnnData under the names that networks and regulons use."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import pandas as pd

from tcellmil._checks import check_layer
from tcellmil._log import logger
from tcellmil.regulons._symbols import gene_names, merge_repeated, way_out

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil._matrix import Matrix


def named_expression(adata: AnnData, layer: str | None, gene_symbols: str | None, verb: str) -> tuple[Matrix, pd.Index]:
    """Values, cells x genes, and the unique name of each gene; genes that share a name are merged, and a line says so.

    Raises
    ------
    KeyError
        If there is no such layer or column.
    ValueError
        If ``adata.X`` is empty, or names repeat where values are negative.
    """
    X = check_layer(adata, layer)
    if gene_symbols is None:
        return X, adata.var_names
    X, names, merged = merge_repeated(X, gene_names(adata.var, gene_symbols))
    if merged:
        logger.info("%s: %s", verb, merged)
    return X, names


def check_names_match(wanted: Collection[str], what: str, genes: pd.Index, adata: AnnData) -> None:
    """Raise a ValueError if none of ``wanted`` is among ``genes``, but elsewhere in ``adata``: it says where."""
    if genes.isin(list(wanted)).any():
        return
    elsewhere = way_out(wanted, adata.var, adata.obs_names)
    if elsewhere:
        raise ValueError(f"none of {len(set(wanted))} {what} is among the {len(genes)} genes, but {elsewhere}")
