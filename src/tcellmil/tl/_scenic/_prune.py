"""Targets that a motif supports, for the network of an AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._checks import check_adata
from tcellmil._docs import documented
from tcellmil._verbs import Result, verb
from tcellmil.io._rankings import Annotations, Rankings, read_databases
from tcellmil.regulons import modules_from_grn, union_per_tf
from tcellmil.regulons._cistarget import enriched_motifs, flat_motifs
from tcellmil.tl._scenic._grn import edges_of

if TYPE_CHECKING:
    from anndata import AnnData


@documented
@verb()
def prune(
    adata: AnnData,
    rankings: Rankings | Sequence[Rankings],
    annotations: Annotations | None = None,
    grn_key: str = _keys.GRN,
    nes_threshold: float = 3.0,
    auc_threshold: float = 0.05,
    rank_threshold: int = 5000,
    min_genes: int = 20,
    keep_only_activating: bool = True,
    key_added: str = _keys.PRUNE,
    copy: bool = False,
) -> Result:
    """Turn a network into regulons: keep the targets that have a motif of their transcription factor.

    Reads ``adata.uns[grn_key]`` (:func:`tcellmil.tl.grn`), groups it into modules
    (:func:`tcellmil.regulons.modules_from_grn`), looks for motifs that are enriched in a module and annotated to its
    factor (:func:`tcellmil.regulons.prune_modules`), and writes the union of the targets of each factor to
    ``adata.uns[key_added]``. The next step is ``tl.regulons(adata, net=adata.uns["prune"]["targets"])``.

    Parameters
    ----------
    adata
        Cells with a network.
    rankings
        cisTarget ranking database: the path of a feather file, ``"hg38"`` or ``"mm10"`` (downloaded and cached), or a
        DataFrame, motifs x genes. Several as a list; what any of them finds counts.
    annotations
        Motif annotations: the path of a motif2TF table, or a DataFrame (:func:`tcellmil.io.read_motif_annotations`).
        Can be left out with ``"hg38"`` and ``"mm10"``.
    grn_key
        Key of ``adata.uns`` with the network: what :func:`tcellmil.tl.grn` wrote, or a table of edges.
    %(nes_threshold)s
    %(auc_threshold)s
    rank_threshold
        Number of ranks that the recovery curve covers.
    min_genes
        Smallest module.
    keep_only_activating
        Leave out what correlates negatively with the factor, pySCENIC's default. Otherwise there are ``TF(-)`` too.
    key_added
        Key of ``adata.uns``.
    %(copy)s

    Returns
    -------
    None, or the changed copy with ``copy=True``. Sets

    - ``uns[key_added]["targets"]``: DataFrame ``regulon, target, weight``; regulons are named ``TF(+)``, ``TF(-)``,
    - ``uns[key_added]["motifs"]``: DataFrame, one row per motif and module: ``TF, MotifID, AUC, NES,
      MotifSimilarityQvalue, OrthologousIdentity, Annotation, Context, RankAtMax, n_targets``,
    - ``uns[key_added]["params"]``: the arguments.

    Raises
    ------
    KeyError
        If there is no network under ``grn_key``.
    FileNotFoundError
        If a file is missing, or cannot be downloaded; says what to fetch and where to put it.
    ValueError
        If there are no annotations, or no motif is enriched in any module.

    References
    ----------
    Aibar et al. (2017), Nature Methods 14, 1083; Van de Sande et al. (2020), Nature Protocols 15, 2247.

    Examples
    --------
    A motif whose ranking begins with the planted targets, among motifs that rank all genes at random:

    >>> import numpy as np, pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)
    >>> tm.tl.grn(adata, tf_names=["IRF7"])
    >>> ranks = np.random.default_rng(0).permuted(np.tile(np.arange(adata.n_vars), (60, 1)), axis=1)
    >>> ranks[0] = np.argsort(np.argsort(~adata.var_names.isin(adata.uns["truth"]["targets"]), kind="stable"))
    >>> rankings = pd.DataFrame(ranks, index=[f"m{i}" for i in range(60)], columns=adata.var_names)
    >>> annotations = pd.DataFrame({"TF": ["IRF7"], "MotifID": "m0", "MotifSimilarityQvalue": 0.0})
    >>> annotations = annotations.assign(OrthologousIdentity=1.0, Annotation="gene is directly annotated")
    >>> tm.tl.prune(adata, rankings, annotations)
    >>> tm.get.prune(adata).index.unique("regulon").tolist()
    ['IRF7(+)']
    """
    check_adata(adata)
    edges = edges_of(adata, grn_key)
    modules = modules_from_grn(edges, min_genes=min_genes, keep_only_activating=keep_only_activating)
    databases, annotations = read_databases(rankings, annotations)
    motifs = enriched_motifs(modules, databases, annotations, nes_threshold, auc_threshold, rank_threshold)
    targets = union_per_tf(motifs)
    message = (
        f"{modules['module'].nunique()} modules -> {targets['regulon'].nunique()} regulons with {len(targets)} "
        f"targets, by {len(motifs)} enriched motifs"
    )
    return Result({"targets": targets, "motifs": flat_motifs(motifs)}, message)
