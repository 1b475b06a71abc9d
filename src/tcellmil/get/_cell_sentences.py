"""What pp.cell_sentences wrote: text, data sets for language models, the line to expression."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from importlib.metadata import version
from importlib.util import find_spec
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_obs_column, some
from tcellmil._docs import documented
from tcellmil._results import part_of
from tcellmil.c2s import sentence_text
from tcellmil.data import CellSentences

if TYPE_CHECKING:
    from anndata import AnnData
    from datasets import Dataset

LinePart = Literal["density", "line"]
OWN_COLUMNS = ("cell", "sentence")


@documented
def cell_sentences(adata: AnnData, *, result_key: str | None = None) -> pd.Series:
    """Sentences as text: the genes of each cell from the highest value to the lowest, with blanks between them.

    Parameters
    ----------
    adata
        AnnData with sentences of :func:`tcellmil.pp.cell_sentences`; it may be backed by a file.
    %(own_result_key)s

    Returns
    -------
    A text per cell, ``""`` where a cell has no sentence; held by Arrow (``string[pyarrow]``) where it is installed,
    which takes a fraction of the memory.

    Raises
    ------
    %(no_result)s
    ValueError
        If the sentences do not fit their vocabulary.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=5)
    >>> len(tm.get.cell_sentences(adata).iloc[0].split())
    5
    """
    sentences = _sentences(adata, result_key)
    dtype = "string[pyarrow]" if find_spec("pyarrow") is not None else "string[python]"
    texts = pd.array(sentence_text(sentences.ids, sentences.words), dtype=dtype)
    return pd.Series(texts, index=adata.obs_names.rename("cell"), name="sentence")


@documented
def cell_sentence_dataset(
    adata: AnnData, columns: str | Sequence[str] = (), *, result_key: str | None = None
) -> Dataset:
    """Sentences as a ``datasets.Dataset``, for trainers of language models.

    Its fingerprint, by which the library finds what it has computed before (``map``, ``filter``), is of the sentences,
    the columns, the arguments of :func:`tcellmil.pp.cell_sentences` and the version of this package: where any of them
    changes, nothing of before is served. The data set is in memory; nothing is written to a cache.

    Parameters
    ----------
    adata
        AnnData with sentences of :func:`tcellmil.pp.cell_sentences`; it may be backed by a file.
    columns
        Columns of ``adata.obs`` that go along, such as a label.
    %(own_result_key)s

    Returns
    -------
    A row per cell that has a sentence: ``cell`` (its name), ``sentence``, and the columns; text for categories, None
    for what is missing.

    Raises
    ------
    ImportError
        If ``datasets`` is not installed; says how to install it.
    KeyError
        If there are no sentences, or no such column.
    ValueError
        If a column has the name of one that the data set has anyway.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=5)
    >>> tm.get.cell_sentence_dataset(adata, ["cell_type"]).column_names
    ['cell', 'sentence', 'cell_type']
    """
    if find_spec("datasets") is None:
        raise ImportError('a data set needs datasets, not installed here; install with: pip install "tcellmil[c2s]"')
    from datasets import Dataset

    sentences = _sentences(adata, result_key)
    columns = [columns] if isinstance(columns, str) else list(columns)
    taken = [name for name in columns if name in OWN_COLUMNS]
    if taken:
        raise ValueError(f"columns {some(taken)} would replace those of the data set; rename them in adata.obs")
    written = (sentences.ids >= 0).any(axis=1)
    table = {
        "cell": adata.obs_names[written].astype(str).tolist(),
        "sentence": sentence_text(sentences.ids[written], sentences.words),
        **{name: _plain(check_obs_column(adata, name, "columns")[written]) for name in columns},
    }
    return _named_by_content(table, sentences, Dataset)


@documented
def rank_expression(adata: AnnData, part: LinePart = "density", *, result_key: str | None = None) -> pd.DataFrame:
    """Expression by rank in the sentence, and the line through it.

    Parameters
    ----------
    adata
        AnnData with sentences of :func:`tcellmil.pp.cell_sentences`.
    part
        ``"density"``: how many values there are by rank and value. ``"line"``: the fitted line, one row.
    %(own_result_key)s

    Returns
    -------
    A copy. ``"density"``: index ``(rank_low, rank_high, value_low, value_high)``, the bins, with ranks from 1; columns
    ``n`` and ``share``, that of all values at these ranks. ``"line"``: index ``values``, ``"log"`` or ``"counts"``
    (which were normalised to 1e4 and log1p); columns ``slope, intercept, r2, pearson, spearman, n_cells, n_genes`` of
    ``expression = intercept + slope * log10(rank)``.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> bool(tm.get.rank_expression(adata, "line")["slope"].item() < 0)
    True
    """
    check_choice(part, get_args(LinePart), "part")
    result = part_of(adata, "cell_sentences", part, result_key=result_key)
    if part == "density":
        return result.set_index(["rank_low", "rank_high", "value_low", "value_high"])
    values = str(part_of(adata, "cell_sentences", "params", result_key=result_key)["values"])
    return pd.DataFrame([dict(result)], index=pd.Index([values], name="values"))


def _sentences(adata: AnnData, result_key: str | None) -> CellSentences:
    return CellSentences.of(adata, _keys.CELL_SENTENCE if result_key is None else result_key)


def _plain(column: pd.Series) -> list:
    """Values of a column as Arrow takes them: numbers and bools as they are, the rest as text, None where missing."""
    known = column.notna()
    if not (pd.api.types.is_numeric_dtype(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
        column = column.astype(object).where(known, None).map(str, na_action="ignore")
    return column.astype(object).where(known, None).tolist()


def _named_by_content(table: dict[str, list], sentences: CellSentences, dataset: type[Dataset]) -> Dataset:
    """A data set whose fingerprint is of all that it was made of."""
    import pyarrow as pa

    params = {name: np.asarray(value).tolist() for name, value in sentences.params.items() if name != "time"}
    digest = hashlib.sha256(json.dumps([version("tcellmil"), list(table), params], sort_keys=True).encode())
    for column in table.values():
        digest.update(pd.util.hash_array(np.array([repr(value) for value in column], dtype=object)).tobytes())
    return dataset(pa.table(table), fingerprint=digest.hexdigest()[:32])
