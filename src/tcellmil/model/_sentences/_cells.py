"""Sentences of an AnnData in the words of a model, and which donors validate it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import check_adata, check_column, some
from tcellmil._log import logger, warn
from tcellmil.c2s import RankLine, rank_genes
from tcellmil.data import CellSentences

if TYPE_CHECKING:
    from anndata import AnnData

#: Share of an AnnData's genes that a model should know, below which a warning says how many it does.
KNOWN = 0.9
#: Genes of a sentence that is made here, for a model that has seen none.
N_GENES = 200


@dataclass(frozen=True)
class Cells:
    """Sentences as a model reads them.

    Parameters
    ----------
    ids
        ``(n_cells, n_genes)``: indices into the words of the model, -1 behind the last.
    table
        ``obs``.
    line
        From position to expression.
    """

    ids: np.ndarray
    table: pd.DataFrame
    line: RankLine | None

    def take(self, rows: np.ndarray) -> Cells:
        """These cells only."""
        return Cells(self.ids[rows], self.table.iloc[rows], self.line)


def sentences_of(adata: AnnData, key: str | None, n_genes: int | None = None) -> CellSentences:
    """Sentences that :func:`tcellmil.pp.cell_sentences` wrote under ``key``; ``None`` ranks ``adata.X`` here.

    Raises
    ------
    KeyError
        If there are no sentences.
    """
    check_adata(adata, backed=True)
    if key is not None:
        return CellSentences.of(adata, key)
    names = adata.var_names.to_numpy(dtype=object)
    ids = rank_genes(adata.X, min(n_genes or N_GENES, adata.n_vars))
    return CellSentences(ids, names, names, None, {})


def cells_of(adata: AnnData, sentences: CellSentences, words: tuple[str, ...]) -> Cells:
    """Cells with genes matched to those of a model by name.

    Raises
    ------
    ValueError
        If the model knows none of the genes, or cells have no gene that it knows.
    """
    ids = in_words_of(sentences.ids, sentences.words, words)
    empty = ids[:, 0] < 0
    if empty.any():
        raise ValueError(
            f"{empty.sum()} of {len(ids)} cells have no gene that the model knows: {some(adata.obs_names[empty])}; "
            "leave them out"
        )
    return Cells(ids, adata.obs, sentences.line)


def in_words_of(ids: np.ndarray, words: np.ndarray, known: tuple[str, ...]) -> np.ndarray:
    """Sentences as indices into ``known``; other genes are left out and the rest moves up.

    Raises
    ------
    ValueError
        If no word is known.
    """
    place = pd.Index(known).get_indexer(pd.Index(words))
    n_known = int((place >= 0).sum())
    share = f"the model knows {n_known} of {len(words)} genes"
    if not n_known:
        raise ValueError(
            f"{share}: here they look like {some(words, 3)}, there like {some(known, 3)}. Write sentences in names of "
            "that kind: pp.cell_sentences(adata, gene_symbols=..., case=...)"
        )
    if n_known < KNOWN * len(words):
        warn(f"{share}; the others are left out of the sentences")
    elif n_known < len(words):
        logger.info("c2s: %s", share)
    found = np.where(ids >= 0, place[np.maximum(ids, 0)], -1).astype(np.int32)
    order = np.argsort(found < 0, axis=1, kind="stable")
    return np.take_along_axis(found, order, axis=1)


def validation_rows(
    table: pd.DataFrame, donor_key: str | None, share: float, seed: int
) -> tuple[np.ndarray, list[str]]:
    """Which cells validate a model, and their donors: whole donors, or cells where no donors are known.

    Raises
    ------
    ValueError
        If ``share`` is not in [0, 1), there is one donor only, or cells have no donor.
    """
    if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share < 1:
        raise ValueError(f"validation={share!r} must be a share of the donors, at least 0 and below 1")
    rng = np.random.default_rng(seed)
    if not share:
        return np.zeros(len(table), dtype=bool), []
    if donor_key is None:
        warn(
            "without donor_key, cells of one donor are on both sides of the validation, so its loss says little about "
            "new donors; name the column of the donor"
        )
        chosen = rng.permutation(len(table))[: max(1, round(share * len(table)))]
        return np.isin(np.arange(len(table)), chosen), []
    donor = check_column(table, donor_key, "donor_key")
    if donor.isna().any():
        raise ValueError(f"{donor.isna().sum()} cells have no {donor_key!r}; fill it in, or leave them out")
    donors = sorted(donor.astype(str).unique())
    if len(donors) < 2:
        raise ValueError(
            f"donor_key={donor_key!r} has one donor, {donors[0]!r}, so none can be held out; pass validation=0, or a "
            "column with more"
        )
    n = min(len(donors) - 1, max(1, round(share * len(donors))))
    held_out = sorted(donors[i] for i in rng.permutation(len(donors))[:n])
    return donor.astype(str).isin(held_out).to_numpy(), held_out


def one_field(answers: tuple[str, ...], name: str) -> str:
    """The field that a task asks for, of a closed set of labels."""
    if len(answers) != 1:
        what = f"several fields, {some(answers)}" if answers else "no label"
        raise ValueError(f"task {name!r} answers with {what}; annotating needs a task whose answer is one field")
    return answers[0]


def per_cell(condition: Mapping[str, object], n: int) -> pd.DataFrame:
    """Conditions of ``n`` cells, one row per cell; a text is that of all.

    Raises
    ------
    ValueError
        If a condition has another number of values.
    TypeError
        If a value is no text.
    """
    columns = {}
    for name, value in condition.items():
        values = [value] * n if isinstance(value, str) else list(value)
        if len(values) != n:
            raise ValueError(f"condition {name!r} has {len(values)} values for n={n} cells; give one, or as many")
        wrong = [v for v in values if not isinstance(v, str)]
        if wrong:
            raise TypeError(f"condition {name!r} must be text, got {some(wrong)}")
        columns[name] = values
    return pd.DataFrame(columns, index=[f"generated{i}" for i in range(n)])
