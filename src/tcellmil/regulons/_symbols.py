"""Under which names the genes of a data set are known, and what to do where they are known under others."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._checks import some
from tcellmil._matrix import check_indices, holds_whole_numbers, row_blocks, value_range

if TYPE_CHECKING:
    from tcellmil._matrix import Block, Matrix

VERSION = r"(?<=\d)\.\d+$"  # ENSG00000141510.17


def gene_names(var: pd.DataFrame, gene_symbols: str | None) -> pd.Index:
    """Name of each gene: the index of ``var``, or a column of it; a gene without a symbol keeps the name of the index.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If ``gene_symbols`` is not the name of a column.
    """
    if gene_symbols is None:
        return var.index.astype(str)
    if not isinstance(gene_symbols, str):
        raise TypeError(f"gene_symbols must be the name of a column of adata.var, got {gene_symbols!r}")
    if gene_symbols not in var:
        raise KeyError(f"gene_symbols={gene_symbols!r} is not a column of adata.var; there are {some(var.columns)}")
    symbols = var[gene_symbols].astype(object)
    missing = symbols.isna() | (symbols.astype(str).str.strip() == "")
    return pd.Index(symbols.where(~missing, var.index.astype(object)).astype(str).to_numpy())


def merge_repeated(X: Matrix, names: pd.Index) -> tuple[Matrix, pd.Index, str]:
    """One column per name: those that share one are added up if ``X`` holds counts, else their highest value counts.

    The highest value is that of the same gene whatever the values were transformed by.

    Parameters
    ----------
    X
        Expression, cells x genes.
    names
        Name of each column.

    Returns
    -------
    The matrix, ``X`` itself where no name repeats; its names, unique, in the order in which they come first; and what
    was done, empty where nothing was.

    Raises
    ------
    ValueError
        If names repeat and a value is negative, or sparse indices are out of range.
    """
    codes, unique = pd.factorize(names)
    unique = pd.Index(unique)
    if len(unique) == len(names):
        return X, unique, ""
    check_indices(X)
    times = np.bincount(codes)
    shared = some(unique[times > 1], 3)
    if value_range(X)[0] < 0:
        raise ValueError(
            f"names of genes repeat ({shared}), and negative values cannot be merged; name a layer with counts or "
            "log-normalised values, or keep one gene of each name before"
        )
    counts = holds_whole_numbers(X)
    combine = np.add if counts else np.maximum
    blocks = [_merge_columns(block, codes, times[codes] > 1, combine) for _, block in row_blocks(X)]
    merged = sparse.vstack(blocks, format="csr") if blocks and sparse.issparse(blocks[0]) else np.vstack(blocks)
    how = "their counts are added up" if counts else "in each cell the highest of their values is taken"
    return merged, unique, f"{int((times[codes] > 1).sum())} genes share the names {shared}; {how}"


def _merge_columns(block: Block, codes: np.ndarray, repeated: np.ndarray, combine: np.ufunc) -> Block:
    """The columns of each code combined, in the order of the codes."""
    if block.dtype.itemsize < 4:  # sums of small integers would overflow
        block = block.astype(np.float32)
    n = int(codes.max()) + 1
    if not sparse.issparse(block):
        order = np.argsort(codes, kind="stable")
        return combine.reduceat(block[:, order], np.searchsorted(codes[order], np.arange(n)), axis=1)
    several = block[:, np.flatnonzero(repeated)].tocoo()
    key = several.row.astype(np.int64) * n + codes[repeated][several.col]
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    values = combine.reduceat(several.data[order], first) if first.size else several.data
    alone = block[:, np.flatnonzero(~repeated)].tocoo()
    rows, columns = np.divmod(key[first], n)
    return sparse.csr_matrix(
        (
            np.concatenate([alone.data, values]),
            (np.concatenate([alone.row, rows]), np.concatenate([codes[~repeated][alone.col], columns])),
        ),
        shape=(block.shape[0], n),
    )


def way_out(wanted: Collection[str], var: pd.DataFrame, obs_names: pd.Index) -> str:
    """Where in an AnnData the ``wanted`` names of genes are, if they are not its ``var_names``; empty if nowhere."""
    wanted = set(map(str, wanted))
    n = int(obs_names.isin(wanted).sum())
    if n:
        return f"{n} obs_names are, so this is genes x cells: transpose it, adata = adata.T.copy()"
    found = {
        str(column): int(pd.Index(var[column].dropna().astype(str)).isin(wanted).sum())
        for column in var.columns
        if not pd.api.types.is_numeric_dtype(var[column].dtype)
    }
    best = max(found, key=found.get, default=None)
    if best is not None and found[best]:
        return f"{found[best]} values of adata.var[{best!r}] are: pass gene_symbols={best!r}"
    n = int(var.index.astype(str).str.replace(VERSION, "", regex=True).isin(wanted).sum())
    if n:
        return (
            f"{n} are without the version at the end of var_names: "
            "adata.var_names = adata.var_names.str.split('.').str[0]"
        )
    return ""
