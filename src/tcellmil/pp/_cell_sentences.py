"""Cells as sentences: which genes, from the highest value to the lowest."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_choice, some
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._verbs import Result, verb
from tcellmil.c2s._line import RankLine, line_through, rank_density, sentence_values
from tcellmil.c2s._ranking import Ties, keys_of, rank_genes
from tcellmil.c2s._text import Case, words_of
from tcellmil.pp._values import checked_values, holds_logarithms
from tcellmil.regulons._symbols import gene_names

if TYPE_CHECKING:
    from anndata import AnnData

Empty = Literal["error", "drop"]
#: ENSG00000204287, and HLA-DRA_ENSG00000204287 as in files of CELLxGENE.
ENSEMBL = r"(?:^|_)ENS[A-Z]*G\d{5,}"


@documented
@verb(obsm=[""], backed=True)
def cell_sentences(
    adata: AnnData,
    n_genes: int = 200,
    layer: str | None = None,
    ties: Ties = "stable",
    seed: int = 0,
    exclude: str | Sequence[str] | np.ndarray | None = None,
    gene_symbols: str | None = None,
    case: Case = "keep",
    empty: Empty = "error",
    key_added: str = _keys.CELL_SENTENCE,
    copy: bool = False,
) -> Result:
    """Write each cell as a sentence: its genes with the highest values, in order.

    Reads ``adata.X`` or a layer. A sentence is a row of integers; :func:`tcellmil.get.cell_sentences` gives the text.
    Counts and values that are normalised by cell, log or not, give the same sentences. The line from rank to expression
    (:func:`tcellmil.tl.sentences_to_expression`) is of log values: what holds counts, or another linear scale, is
    normalised for it to 1e4 per cell and ``log(1 + x)``, and ``params["values"]`` says so. Values are taken as
    logarithms where they are neither whole numbers nor above 30, as in :func:`tcellmil.pp.qc`.

    Parameters
    ----------
    adata
        Cells x genes, in memory or backed by a file. Of a file, a block of rows is in memory at a time; it is read
        three or four times.
    n_genes
        Length of a sentence: at most this many genes of a cell, of those that it expresses.
    %(layer)s
    ties
        Order of genes with the same value; in counts those are nearly all (in the PBMC of Kang et al. 2018, 97% of
        the expressed genes, and 95% of the first 200). ``"stable"``: in the order of ``var_names``, so that genes that
        come first there come first in every sentence; it depends on the cell's own row only. ``"random"``: in an order
        that differs between cells, so that no gene is preferred; it depends on ``seed``, the name of the cell and those
        of the genes, not on which other cells or genes there are.
    seed
        Seed of that order, at least 0.
    exclude
        Genes that are no words, such as ``["MALAT1"]``: their names as they are in sentences, the name of a column of
        ``adata.var`` of bool, or as many values of bool as there are genes. The counts of a cell still include theirs.
    %(gene_symbols_as_names)s
    case
        ``"keep"``: names as they are. ``"upper"``: in capitals, as released C2S models write them.
    empty
        What is done where a cell expresses no gene. ``"error"``: raise, naming cells. ``"drop"``: the cell has no
        sentence, and a warning says how many there are. No row of ``adata`` is removed: a row of -1 stays, the text is
        ``""``, and data sets for training leave it out.
    key_added
        Name of the result.
    %(copy)s

    Returns
    -------
    None, or the changed copy with ``copy=True``. Sets

    - ``obsm["X_" + key_added]``: int32, cells x ``n_genes``: genes as rows of the vocabulary, -1 after the last,
    - ``uns[key_added]["vocabulary"]``: DataFrame ``gene, word``, a row per gene: its ``var_name`` and how a sentence
      writes it,
    - ``uns[key_added]["line"]``: ``slope, intercept, r2, pearson, spearman, n_cells, n_genes`` of
      ``expression = intercept + slope * log10(1 + position)``; of more than two million values, of as many cells as
      have so many, evenly spread,
    - ``uns[key_added]["density"]``: DataFrame ``rank_low, rank_high, value_low, value_high, n, share`` of the values
      that the line was fitted to, for :func:`tcellmil.pl.rank_expression`,
    - ``uns[key_added]["params"]``: the arguments, ``values`` (``"log"`` or ``"counts"``) and ``n_empty``.

    Raises
    ------
    KeyError
        If a layer, a column or a gene in ``exclude`` does not exist.
    ValueError
        If ``adata`` is a view or its names are not unique; if values are negative, NaN or infinite; if there are fewer
        genes than ``n_genes``; if a cell expresses none (``empty="error"``), or no cell two; if two genes would be the
        same word, or a name is not one word; if names look like Ensembl identifiers.

    Warns
    -----
    UserWarning
        If the line explains less than half of the variance, or with ``empty="drop"``, a cell has no sentence.

    Notes
    -----
    100,000 cells with 2,000 expressed genes take about ten seconds on two cores, most of them for the line.

    References
    ----------
    Rizvi et al. (2025), section 4.2.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=5)
    >>> adata.obsm["X_cell_sentence"].shape
    (180, 5)
    """
    check_adata(adata, backed=True)
    if not adata.n_obs:
        raise ValueError("adata has no cells; there is nothing to write")
    check_choice(empty, get_args(Empty), "empty")
    words = _words(adata, gene_symbols, case)
    X, high = checked_values(adata, layer)
    excluded = _excluded(adata, exclude, words)
    keys = {"keys": keys_of(adata.obs_names), "gene_keys": keys_of(adata.var_names)} if ties == "random" else {}
    ids = rank_genes(X, n_genes, ties=ties, seed=seed, exclude=excluded, **keys)
    n_empty = _check_empty(ids, adata.obs_names, empty)
    counts = not holds_logarithms(X, high)
    values = sentence_values(X, ids, counts=counts)
    line = line_through(values)
    parts = {
        "vocabulary": pd.DataFrame({"gene": adata.var_names.to_numpy(dtype=object), "word": words}, dtype=object),
        "line": line.as_dict(),
        "density": rank_density(values),
    }
    params = {"values": "counts" if counts else "log", "n_empty": n_empty, "n_genes": ids.shape[1]}
    params["exclude"] = [word for word, left_out in zip(words, excluded, strict=True) if left_out]
    return Result(parts, _message(ids, line, counts), params, obsm={"": ids})


def _words(adata: AnnData, gene_symbols: str | None, case: Case) -> list[str]:
    names = gene_names(adata.var, gene_symbols)
    if gene_symbols is None and names.str.contains(ENSEMBL).mean() > 0.5:
        raise ValueError(f"var_names look like Ensembl identifiers ({some(names, 3)}), not words; {_way_out(adata)}")
    return words_of(names, case)


def _way_out(adata: AnnData) -> str:
    """Where the symbols of genes may be that have identifiers for names."""
    columns = sorted(adata.var.columns, key=lambda column: column != "feature_name")
    for column in columns:
        values = adata.var[column]
        text = not pd.api.types.is_numeric_dtype(values.dtype) and values.nunique() > len(values) / 2
        if text and not values.astype(str).str.contains(ENSEMBL).mean() > 0.5:
            return f"name the column of adata.var with the symbols: gene_symbols={str(column)!r}"
    if adata.var_names.str.contains("_ENS").mean() > 0.5:
        return "keep the symbols: adata.var_names = adata.var_names.str.replace(r'_ENS[A-Z]*G\\d+$', '', regex=True)"
    return (
        "put their symbols into a column of adata.var and name it, gene_symbols=...; a column of the identifiers is "
        "taken as it is"
    )


def _excluded(adata: AnnData, exclude: str | Sequence[str] | np.ndarray | None, words: list[str]) -> np.ndarray:
    """Mask of the genes that are no words."""
    if exclude is None:
        return np.zeros(adata.n_vars, dtype=bool)
    if isinstance(exclude, str):
        if exclude not in adata.var:
            raise KeyError(
                f"exclude={exclude!r} is not a column of adata.var; there are {some(adata.var.columns)}. One gene is a "
                f"list: exclude=[{exclude!r}]"
            )
        column = adata.var[exclude]
        if not pd.api.types.is_bool_dtype(column.dtype):
            raise ValueError(f"adata.var[{exclude!r}], named by exclude, holds {column.dtype}, not bool")
        return column.to_numpy(dtype=bool)
    values = np.asarray(exclude) if len(exclude) else np.array([], dtype=object)
    if values.dtype == bool:
        if values.shape != (adata.n_vars,):
            raise ValueError(f"exclude has {values.size} values of bool, but there are {adata.n_vars} genes")
        return values
    unknown = sorted(set(map(str, values)) - set(words))
    if unknown:
        raise KeyError(f"exclude names {some(unknown)}, which are no genes here; the words look like {some(words, 3)}")
    left_out = set(map(str, values))
    return np.array([word in left_out for word in words], dtype=bool)


def _check_empty(ids: np.ndarray, cells: pd.Index, empty: Empty) -> int:
    """Number of cells without a sentence."""
    none = ids[:, 0] < 0
    n = int(none.sum())
    if n and (empty == "error" or n == len(ids)):
        of_these = "; empty='drop' leaves them without a sentence" if n < len(ids) else ""
        raise ValueError(
            f"{n} of {len(ids)} cells express no gene of the vocabulary: {some(cells[none])}; remove them, "
            f"sc.pp.filter_cells(adata, min_genes=1){of_these}"
        )
    if n:
        warn(f"{n} of {len(ids)} cells express no gene of the vocabulary and have no sentence: {some(cells[none])}")
    return n


def _message(ids: np.ndarray, line: RankLine, counts: bool) -> str:
    length = (ids >= 0).sum(axis=1)
    shorter = int((length < ids.shape[1]).sum())
    scale = "counts, normalised for the line to 1e4 and log1p" if counts else "logarithms"
    return (
        f"{len(ids)} sentences of {ids.shape[1]} genes ({shorter} are shorter); values are {scale}; expression = "
        f"{line.intercept:.3g} {line.slope:+.3g} log10(1 + position), R² {line.r2:.2f}"
    )
