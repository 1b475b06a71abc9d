"""What tl.grn, tl.prune and tl.regulons wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
import pandas as pd

from tcellmil._checks import check_choice, check_obs_column, is_mudata
from tcellmil._docs import documented
from tcellmil._order import in_order
from tcellmil._results import regulon_activity, table_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

PrunePart = Literal["targets", "motifs"]
INDEX = {"targets": ["regulon", "target"], "motifs": ["TF", "MotifID"]}


@documented
def grn(adata: AnnData, *, result_key: str | None = None) -> pd.DataFrame:
    """Edges of the gene regulatory network, as :func:`tcellmil.tl.grn` wrote them.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.grn`.
    %(own_result_key)s

    Returns
    -------
    A copy, one row per edge, the most important first; index ``(TF, target)``, columns ``importance`` (at least 0) and
    ``rho`` in [-1, 1], NaN where a gene does not vary.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.grn(adata, tf_names=["IRF7", "SPI1"])
    >>> tm.get.grn(adata).columns.tolist()
    ['importance', 'rho']
    """
    return table_of(adata, "grn", "edges", ["TF", "target"], result_key=result_key)


@documented
def prune(adata: AnnData, part: PrunePart = "targets", *, result_key: str | None = None) -> pd.DataFrame:
    """Targets that a motif supports, and the motifs, as :func:`tcellmil.tl.prune` wrote them.

    Parameters
    ----------
    adata
        AnnData with a result of :func:`tcellmil.tl.prune`.
    part
        ``"targets"``: one row per regulon and target. ``"motifs"``: one row per motif and module of a factor.
    %(own_result_key)s

    Returns
    -------
    A copy. ``"targets"``: index ``(regulon, target)``, column ``weight``. ``"motifs"``: index ``(TF, MotifID)``, which
    repeats where a motif is enriched in several modules; for the columns see :func:`tcellmil.tl.prune`.

    Raises
    ------
    %(no_result)s
    %(unknown_part)s

    Examples
    --------
    >>> import numpy as np, pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)
    >>> tm.tl.grn(adata, tf_names=["IRF7"])
    >>> ranks = np.random.default_rng(0).permuted(np.tile(np.arange(adata.n_vars), (60, 1)), axis=1)
    >>> ranks[0] = np.argsort(np.argsort(~adata.var_names.isin(adata.uns["truth"]["targets"]), kind="stable"))
    >>> rankings = pd.DataFrame(ranks, index=[f"m{i}" for i in range(60)], columns=adata.var_names)
    >>> annotations = pd.DataFrame({"TF": ["IRF7"], "MotifID": "m0", "MotifSimilarityQvalue": 0.0})
    >>> annotations = annotations.assign(OrthologousIdentity=1.0, Annotation="gene is directly annotated")
    >>> tm.tl.prune(adata, rankings, annotations)
    >>> tm.get.prune(adata, "motifs").index.unique().tolist()
    [('IRF7', 'm0')]
    """
    check_choice(part, get_args(PrunePart), "part")
    return table_of(adata, "prune", part, INDEX[part], result_key=result_key)


@documented
def regulons(
    adata: AnnData | MuData,
    *,
    result_key: str | None = None,
    as_anndata: bool = False,
    groupby: str | None = None,
    standardised: bool = False,
) -> pd.DataFrame | AnnData:
    """Activity of every regulon in every cell, as :func:`tcellmil.tl.regulons` wrote it, or its mean by group of cells.

    Parameters
    ----------
    adata
        Cells with ``obsm["X_regulons"]`` and ``uns["regulons"]``, or a MuData with a modality ``"regulons"``.
    %(own_result_key)s
    as_anndata
        Return an AnnData of cells x regulons, with ``obs`` and ``obsm`` of ``adata``, for scanpy's pictures and tests:
        ``sc.pl.umap(tm.get.regulons(adata, as_anndata=True), color="IRF7(+)")``.
    groupby
        Column of ``adata.obs``, such as the cell type: return the mean over the cells of each group. Cells without a
        group are left out, and so are missing activities. A patient with many cells weighs more than one with few.
    standardised
        Of each regulon, subtract the mean over groups and divide by the standard deviation over groups, both with every
        group counting once; 0 where all groups have the same mean. For regulons whose activities differ in size.

    Returns
    -------
    A copy, one row per cell (index ``cell``) and one column per regulon; in [0, 1] for AUCell. With ``groupby``, one
    row per group (index ``group``), in the order of the categories, otherwise of the names, 2 before 10. With
    ``as_anndata``, the AnnData.

    Raises
    ------
    KeyError
        If there is no such result, whose call the message names, or no such column.
    ValueError
        If no cell has a group, ``groupby`` is given with ``as_anndata``, or ``standardised`` without ``groupby``.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.get.regulons(adata).shape
    (180, 1)
    >>> tm.get.regulons(adata, as_anndata=True).var_names.tolist()
    ['IRF7']
    >>> tm.get.regulons(adata, groupby="response").index.tolist()
    ['NR', 'R']
    """
    if as_anndata and groupby is not None:
        raise ValueError(f"as_anndata=True is of cells; leave it out with groupby={groupby!r}")
    if standardised and groupby is None:
        raise ValueError("standardised=True is over groups of cells; name them with groupby=...")
    table = regulon_activity(adata, result_key)
    if groupby is not None:
        means = _means_of_groups(table, groups_of_cells(adata, groupby, table.index))
        return _standardised(means) if standardised else means
    if not as_anndata:
        return table
    from anndata import AnnData

    obsm = {key: value for key, value in adata.obsm.items() if not is_mudata(adata) or key not in adata.mod}
    var = pd.DataFrame(index=pd.Index([str(name) for name in table.columns], dtype=object))
    return AnnData(table.to_numpy(), obs=adata.obs.copy(), var=var, obsm=obsm).copy()


def groups_of_cells(adata: AnnData | MuData, groupby: str, cells: pd.Index) -> pd.Series:
    """The group of each of the cells, categorical in the order of groups, missing where a cell has none."""
    groups = in_order(check_obs_column(adata, groupby, "groupby"))
    if not groups.notna().any():
        raise ValueError(f"groupby={groupby!r} has no values; no cell has a group")
    return groups if groups.index.equals(cells) else groups.reindex(cells)


def _means_of_groups(table: pd.DataFrame, groups: pd.Series) -> pd.DataFrame:
    means = table.astype(float).groupby(groups.array, observed=True).mean()
    return means.set_axis(pd.Index(means.index.astype(str), dtype=object, name="group"))


def _standardised(means: pd.DataFrame) -> pd.DataFrame:
    """Of each column, standard scores over the rows; 0 where these are all the same."""
    values = means.to_numpy()
    same = np.nanmax(values, axis=0) == np.nanmin(values, axis=0)
    spread = np.where(same, 1.0, np.nanstd(values, axis=0))
    scores = (values - np.nanmean(values, axis=0)) / spread
    return pd.DataFrame(np.where(same & np.isfinite(values), 0.0, scores), index=means.index, columns=means.columns)
