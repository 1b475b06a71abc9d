"""Cells that a model wrote against real ones, by their mean profiles."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, some
from tcellmil._docs import documented
from tcellmil._log import warn
from tcellmil._matrix import canonical_csr, row_blocks
from tcellmil.c2s._line import TARGET_SUM
from tcellmil.get._scenic import groups_of_cells
from tcellmil.pp._values import checked_values, holds_logarithms

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil._matrix import Matrix

Metric = Literal["correlation", "euclidean"]
NEAREST = "nearest"
FEW = 0.5  # share of the model's genes


@documented
def generated_profiles(
    generated: AnnData,
    adata: AnnData,
    groupby: str,
    *,
    layer: str | None = None,
    metric: Metric = "correlation",
    generated_groupby: str | None = None,
) -> pd.DataFrame:
    """Compare the mean profiles of groups of generated cells with those of groups of real cells.

    Profiles are means over cells of log values of the genes that both have, of which each counts the same. Real counts,
    or another linear scale, are normalised to 1e4 per cell, over all genes, and ``log(1 + x)``, as
    :func:`tcellmil.pp.cell_sentences` does for the line on which generated cells lie. Genes are matched by the words of
    their sentences where ``adata`` has sentences, otherwise by ``var_names``.

    Generated cells express no gene outside of their sentences: the distance to their own group is not 0 for a perfect
    model, and only the order of distances says which group is nearest.

    Parameters
    ----------
    generated
        Cells of :func:`tcellmil.tl.generate_cells`, of which ``X`` is read.
    adata
        Real cells, in memory or backed by a file.
    groupby
        Column of ``obs`` with the groups, such as the cell type. Cells without a value are left out.
    layer
        Layer of ``adata`` to read; ``adata.X`` by default.
    metric
        ``"correlation"``: Pearson's, over genes; higher is nearer. ``"euclidean"``: distance; lower is nearer.
    generated_groupby
        Column of ``generated.obs``, where it has another name than that of ``adata.obs``.

    Returns
    -------
    One row per group of generated cells (index ``generated``) and one column per group of real cells, in the order of
    the categories, otherwise of the names; and the column ``nearest``, the name of the nearest real group.

    Raises
    ------
    KeyError
        If there is no such column or layer.
    ValueError
        If there are no cells with a group, fewer than two shared genes, values that are negative, NaN or infinite, a
        profile that is the same for all shared genes (it has no correlation), or a real group named ``nearest``.

    Warns
    -----
    UserWarning
        If less than half of the genes of ``generated`` are among those of ``adata``.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> cells = tm.tl.generate_cells(model, 4, {"cell_type": ["CD19+ B", "CD56+ NK"] * 2}, progress=False)
    >>> table = tm.get.generated_profiles(cells, adata, "cell_type")
    >>> table.index.tolist(), table.shape
    (['CD19+ B', 'CD56+ NK'], (2, 11))
    """
    check_choice(metric, get_args(Metric), "metric")
    column = groupby if generated_groupby is None else generated_groupby
    if column not in generated.obs:
        argument = "groupby" if generated_groupby is None else "generated_groupby"
        raise KeyError(
            f"{argument}={column!r} is not a column of generated.obs; there are {some(generated.obs.columns)}"
        )
    rows, columns = _groups(generated, column), _groups(adata, groupby)
    if NEAREST in columns.cat.categories:
        raise ValueError(f"a real group is named {NEAREST!r}, as the column of the result is; rename it")
    genes = _shared(_words(generated, "generated"), _words(adata, "adata"))
    try:
        written = _profiles(generated, None, rows, genes[0])
    except ValueError as error:
        raise ValueError(f"of the generated cells, {error}") from error
    table = _compared(written, _profiles(adata, layer, columns, genes[1]), metric)
    best = table.idxmax(axis=1) if metric == "correlation" else table.idxmin(axis=1)
    return table.assign(**{NEAREST: best.astype(object)})


def _groups(adata: AnnData, groupby: str) -> pd.Series:
    return groups_of_cells(adata, groupby, adata.obs_names)


def _words(adata: AnnData, what: str) -> pd.Index:
    """How sentences write the genes, or their names where there are no sentences."""
    names = adata.var_names.astype(str)
    sentences = adata.uns.get(_keys.CELL_SENTENCE)
    if isinstance(sentences, Mapping) and "vocabulary" in sentences:
        vocabulary = sentences["vocabulary"].astype(str)
        words = vocabulary.drop_duplicates("gene").set_index("gene")["word"].reindex(names)
        names = pd.Index(words.where(words.notna(), names).to_numpy())
    if not names.is_unique:
        raise ValueError(f"names of genes of {what} are not unique: {some(names[names.duplicated()].unique())}")
    return names


def _shared(generated: pd.Index, real: pd.Index) -> tuple[np.ndarray, np.ndarray]:
    """Where the genes that both have are in each."""
    place = real.get_indexer(generated)
    there = np.flatnonzero(place >= 0)
    if len(there) < 2:
        raise ValueError(
            f"generated and adata share {len(there)} genes; generated has {some(generated, 3)}, adata {some(real, 3)}"
        )
    if len(there) < FEW * len(generated):
        warn(f"of {len(generated)} genes of generated, {len(there)} are in adata; profiles are of these only")
    return there, place[there]


def _profiles(adata: AnnData, layer: str | None, groups: pd.Series, genes: np.ndarray) -> pd.DataFrame:
    """Mean log values of each group, groups x genes."""
    X, high = checked_values(adata, layer)
    names, codes = list(groups.cat.categories), groups.cat.codes.to_numpy()
    means = _means(X, codes, len(names), counts=not holds_logarithms(X, high))[:, genes]
    return pd.DataFrame(means, index=pd.Index(names, dtype=object))


def _means(X: Matrix, codes: np.ndarray, n_groups: int, *, counts: bool) -> np.ndarray:
    from scipy import sparse

    sums = np.zeros((n_groups, X.shape[1]))
    for rows, block in row_blocks(X):
        values = canonical_csr(block).astype(np.float64)
        if counts:
            total = np.asarray(values.sum(axis=1)).ravel()
            values = (sparse.diags(TARGET_SUM / np.where(total > 0, total, 1)) @ values).log1p()
        known = np.flatnonzero(codes[rows] >= 0)
        member = sparse.csr_matrix(
            (np.ones(len(known)), (codes[rows][known], known)), shape=(n_groups, values.shape[0])
        )
        sums += (member @ values).toarray()
    return sums / np.bincount(codes[codes >= 0], minlength=n_groups)[:, None]


def _compared(generated: pd.DataFrame, real: pd.DataFrame, metric: Metric) -> pd.DataFrame:
    from scipy.spatial.distance import cdist

    if metric == "correlation":
        for what, table in (("generated", generated), ("real", real)):
            flat = table.index[np.ptp(table.to_numpy(), axis=1) == 0]
            if len(flat):
                raise ValueError(
                    f"the mean profile of {what} {some(flat)} is the same for all {table.shape[1]} shared genes and "
                    "has no correlation; leave these cells out, or take metric='euclidean'"
                )
    distance = cdist(generated, real, metric)
    values = 1 - distance if metric == "correlation" else distance
    return pd.DataFrame(values, index=generated.index.rename("generated"), columns=real.index)
