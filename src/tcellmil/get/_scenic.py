"""What tl.grn, tl.prune and tl.regulons wrote, as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, get_args

import pandas as pd

from tcellmil._checks import check_choice, is_mudata
from tcellmil._docs import documented
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
    adata: AnnData | MuData, *, result_key: str | None = None, as_anndata: bool = False
) -> pd.DataFrame | AnnData:
    """Activity of every regulon in every cell, as :func:`tcellmil.tl.regulons` wrote it.

    Parameters
    ----------
    adata
        Cells with ``obsm["X_regulons"]`` and ``uns["regulons"]``, or a MuData with a modality ``"regulons"``.
    %(own_result_key)s
    as_anndata
        Return an AnnData of cells x regulons, with ``obs`` and ``obsm`` of ``adata``, for scanpy's pictures and tests:
        ``sc.pl.umap(tm.get.regulons(adata, as_anndata=True), color="IRF7(+)")``.

    Returns
    -------
    A copy, one row per cell (index ``cell``) and one column per regulon; in [0, 1] for AUCell. Or the AnnData.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.get.regulons(adata).shape
    (180, 1)
    >>> tm.get.regulons(adata, as_anndata=True).var_names.tolist()
    ['IRF7']
    """
    table = regulon_activity(adata, result_key)
    if not as_anndata:
        return table
    from anndata import AnnData

    obsm = {key: value for key, value in adata.obsm.items() if not is_mudata(adata) or key not in adata.mod}
    var = pd.DataFrame(index=pd.Index(table.columns, dtype=object))
    return AnnData(table.to_numpy(), obs=adata.obs.copy(), var=var, obsm=obsm).copy()
