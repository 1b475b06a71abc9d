"""Targets that a motif supports, for the network of an AnnData."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, some
from tcellmil._log import logger
from tcellmil.io import read_motif_annotations, read_rankings
from tcellmil.io._rankings import GENOMES
from tcellmil.regulons import modules_from_grn, prune_modules, union_per_tf
from tcellmil.tl._params import plain
from tcellmil.tl._scenic._grn import edges_of

if TYPE_CHECKING:
    from anndata import AnnData

Rankings = pd.DataFrame | str | Path


def prune(
    adata: AnnData,
    rankings: Rankings | Sequence[Rankings],
    annotations: pd.DataFrame | str | Path | None = None,
    grn_key: str = _keys.GRN,
    nes_threshold: float = 3.0,
    auc_threshold: float = 0.05,
    rank_threshold: int = 5000,
    min_genes: int = 20,
    keep_only_activating: bool = True,
    key_added: str = _keys.PRUNE,
    copy: bool = False,
) -> AnnData | None:
    """Turn a network into regulons: keep the targets that have a motif of their transcription factor.

    Reads ``adata.uns[grn_key]`` (:func:`tcellmil.tl.grn`), groups it into modules
    (:func:`tcellmil.regulons.modules_from_grn`), looks for motifs that are enriched in a module and annotated to its
    factor (:func:`tcellmil.regulons.prune_modules`), and writes the union of their targets a factor to
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
    nes_threshold
        Lowest normalised enrichment score.
    auc_threshold
        Share of the ranking that the enrichment looks at.
    rank_threshold
        Ranks that the recovery curve looks at.
    min_genes
        Smallest module.
    keep_only_activating
        Leave out what correlates negatively with the factor, pySCENIC's default. Otherwise there are ``TF(-)`` too.
    key_added
        Key of ``adata.uns``.
    copy
        Return a changed copy and leave ``adata`` as it is.

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
    motifs = enriched_motifs(modules, rankings, annotations, nes_threshold, auc_threshold, rank_threshold)
    targets = union_per_tf(motifs)

    flat = motifs.drop(columns="TargetGenes").assign(n_targets=motifs["TargetGenes"].map(len))
    flat["Context"] = [", ".join(sorted(context)) for context in motifs["Context"]]
    flat["Annotation"] = flat["Annotation"].fillna("").astype(str)
    params = plain(rankings=rankings, annotations=annotations, grn_key=grn_key, nes_threshold=nes_threshold)
    params |= plain(auc_threshold=auc_threshold, rank_threshold=rank_threshold, min_genes=min_genes)
    params |= plain(keep_only_activating=keep_only_activating)
    adata = adata.copy() if copy else adata
    adata.uns[key_added] = {"targets": targets, "motifs": flat, "params": params}
    logger.info(
        "prune: %d modules -> %d regulons with %d targets, by %d enriched motifs",
        *(modules["module"].nunique(), targets["regulon"].nunique(), len(targets), len(motifs)),
    )
    return adata if copy else None


def enriched_motifs(
    modules: pd.DataFrame,
    rankings: Rankings | Sequence[Rankings],
    annotations: pd.DataFrame | str | Path | None,
    nes_threshold: float = 3.0,
    auc_threshold: float = 0.05,
    rank_threshold: int = 5000,
) -> pd.DataFrame:
    """Read what is a path, and look for motifs in every database; raise a ValueError if there are none at all."""
    rankings = [rankings] if isinstance(rankings, pd.DataFrame | str | Path) else list(rankings)
    if annotations is None:
        genomes = [source for source in rankings if isinstance(source, str) and source in GENOMES]
        if not genomes:
            raise ValueError(
                "annotations are missing: give the motif2TF table that belongs to the rankings (motifs-*.tbl), "
                "it says which transcription factor binds a motif"
            )
        annotations = genomes[0]
    if not isinstance(annotations, pd.DataFrame):
        annotations = read_motif_annotations(annotations)
    found, n_motifs = [], []
    for source in rankings:
        table = source if isinstance(source, pd.DataFrame) else read_rankings(source)
        name = "" if isinstance(source, pd.DataFrame) else Path(source).name.split(".")[0]
        n_motifs.append(len(table))
        found.append(
            prune_modules(
                *(modules, table, annotations, nes_threshold, auc_threshold, rank_threshold),
                name=name,
            )
        )
    motifs = pd.concat(found, ignore_index=True)
    if motifs.empty:
        n_modules, factors = modules["module"].nunique(), some(modules["TF"].unique())
        raise ValueError(
            f"in none of {n_modules} modules (of {factors}) a motif of the module's transcription factor reaches an "
            f"enrichment (NES) of {nes_threshold} and has a leading edge. The largest database has {max(n_motifs)} "
            f"motifs, among which the NES cannot exceed {np.sqrt(max(n_motifs) - 1):.2f}. Check that rankings, "
            "annotations and data are of one species and name genes alike, or lower nes_threshold"
        )
    return motifs
