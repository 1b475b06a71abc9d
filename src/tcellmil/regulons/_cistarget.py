"""cisTarget: keep the targets of each module that have a motif of its transcription factor."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence

import numpy as np
import pandas as pd

from tcellmil._checks import some
from tcellmil._docs import documented
from tcellmil.regulons._aucell import rank_cutoff

MOTIF_COLUMNS = [
    *("TF", "MotifID", "AUC", "NES", "MotifSimilarityQvalue", "OrthologousIdentity"),
    *("Annotation", "Context", "RankAtMax", "TargetGenes"),
]
ANNOTATION_COLUMNS = ["TF", "MotifID", "MotifSimilarityQvalue", "OrthologousIdentity", "Annotation"]
REPRESSING = "repressing"
BATCH = 100  # modules whose AUCs are held at a time
CHUNK = 1_000  # motifs whose recovery curves are held at a time


@documented
def recovery_auc(
    rankings: pd.DataFrame, modules: Mapping[str, Sequence[str]], auc_threshold: float = 0.05
) -> pd.DataFrame:
    """Area under the recovery curve of every module in every motif ranking, by rustscenic.

    The same measure as :func:`tcellmil.regulons.aucell`, with unweighted genes and given rankings.

    Parameters
    ----------
    rankings
        Motifs x genes, whole numbers: the rank of each gene for each motif, from 0.
    modules
        Genes of each module; those that are not ranked are left out.
    %(auc_threshold)s

    Returns
    -------
    DataFrame, motifs x modules, in [0, 1]. Modules without a ranked gene have no column.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.regulons import recovery_auc
    >>> rankings = pd.DataFrame([[0, 1, 2, 3], [3, 2, 1, 0]], index=["m1", "m2"], columns=list("abcd"))
    >>> recovery_auc(rankings, {"module": ["a", "b"]}, auc_threshold=0.75)
        module
    m1     0.5
    m2     0.0
    """
    from rustscenic import cistarget

    # rustscenic rounds a half up, pySCENIC to even; from the rounded number of ranks both get the same.
    n_ranks = rank_cutoff(rankings.shape[1], auc_threshold) + 1
    with warnings.catch_warnings():
        # Its warnings are about NES, which is computed elsewhere, and coverage, which prune_modules checks.
        warnings.filterwarnings("ignore", module=r"rustscenic|tcellmil\.regulons")
        long = cistarget.enrich(
            rankings, list(modules.items()), top_frac=n_ranks / rankings.shape[1], auc_threshold=0.0
        )
    wide = long.pivot(index="motif", columns="regulon", values="auc").astype(float)
    wide = wide.reindex(index=rankings.index, columns=[name for name in modules if name in wide])
    return wide.rename_axis(index=rankings.index.name, columns=None)


@documented
def prune_modules(
    modules: pd.DataFrame,
    rankings: pd.DataFrame,
    annotations: pd.DataFrame,
    nes_threshold: float = 3.0,
    auc_threshold: float = 0.05,
    rank_threshold: int = 5000,
    min_coverage: float = 0.8,
    name: str = "",
) -> pd.DataFrame:
    r"""Find the motifs that are enriched in a module and annotated to its factor, and the targets that they support.

    For a module, the recovery AUC of every motif becomes a normalised enrichment score, its distance from the mean
    over all motifs in standard deviations. A motif counts if :math:`\mathrm{NES} \ge` ``nes_threshold`` and it is
    annotated to the factor. Its *leading edge* are the genes up to the rank at which its recovery curve is farthest
    above the mean plus two standard deviations of all motifs' curves.

    Parameters
    ----------
    modules
        What :func:`tcellmil.regulons.modules_from_grn` gives.
    rankings
        Motifs x genes, ranks from 0 (:func:`tcellmil.io.read_rankings`).
    annotations
        DataFrame ``TF, MotifID, MotifSimilarityQvalue, OrthologousIdentity, Annotation``
        (:func:`tcellmil.io.read_motif_annotations`).
    %(nes_threshold)s
    %(auc_threshold)s
    rank_threshold
        Number of ranks that the recovery curve covers.
    min_coverage
        Share of a module's genes that must be ranked; other modules are left out.
    name
        Name of the database, added to ``Context``.

    Returns
    -------
    DataFrame with the columns of pySCENIC's motif table, one row per motif and module: ``TF, MotifID, AUC, NES,
    MotifSimilarityQvalue, OrthologousIdentity, Annotation, Context`` (a frozenset), ``RankAtMax, TargetGenes``
    (a list of gene and importance, by rank). Empty if nothing is enriched.

    Raises
    ------
    ValueError
        If ``annotations`` lacks a column, or no motif of it is in ``rankings``.

    References
    ----------
    Aibar et al. (2017), Nature Methods 14, 1083; Verfaillie et al. (2015), Cell Reports 11, 1054.
    """
    annotations = _best_annotation(annotations, rankings)
    n_genes = rankings.shape[1]
    rank_threshold = min(rank_threshold, n_genes - 1)
    rows = []
    for batch in _batches(modules, rankings.columns, set(annotations), min_coverage):
        aucs = recovery_auc(rankings, {key: module["target"] for key, module in batch.items()}, auc_threshold)
        spread = aucs.std(ddof=0)
        scores = (aucs - aucs.mean()).div(spread.where(spread > 0))
        for key, module in batch.items():
            known = annotations[module["TF"].iloc[0]]
            found = scores[key][(scores[key] >= nes_threshold) & scores.index.isin(known.index)]
            if found.empty:
                continue
            ranks = rankings.to_numpy()[:, rankings.columns.get_indexer(module["target"])]
            curve = _threshold_curve(ranks, rank_threshold)
            context = {module["selection"].iloc[0], module["regulation"].iloc[0], name} - {""}
            for motif, nes in found.items():
                motif_ranks = ranks[rankings.index.get_loc(motif)]
                rank_at_max = int(np.argmax(_recovery(motif_ranks[None], rank_threshold)[0] - curve))
                edge = module.iloc[np.argsort(motif_ranks, kind="stable")[: int((motif_ranks <= rank_at_max).sum())]]
                if edge.empty:
                    continue
                rows.append(
                    {
                        "TF": module["TF"].iloc[0],
                        "MotifID": motif,
                        "AUC": aucs.at[motif, key],
                        "NES": nes,
                        **known.loc[motif],
                        "Context": frozenset(context),
                        "RankAtMax": rank_at_max,
                        "TargetGenes": list(zip(edge["target"], edge["importance"].astype(float), strict=True)),
                    }
                )
    return pd.DataFrame(rows, columns=MOTIF_COLUMNS)


def enriched_motifs(
    modules: pd.DataFrame,
    databases: Iterable[tuple[str, pd.DataFrame]],
    annotations: pd.DataFrame,
    nes_threshold: float = 3.0,
    auc_threshold: float = 0.05,
    rank_threshold: int = 5000,
) -> pd.DataFrame:
    """:func:`prune_modules` with every database, each a name and its rankings; a ValueError if nothing is enriched."""
    found, n_motifs = [], []
    for name, rankings in databases:
        n_motifs.append(len(rankings))
        thresholds = nes_threshold, auc_threshold, rank_threshold
        found.append(prune_modules(modules, rankings, annotations, *thresholds, name=name))
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


def flat_motifs(motifs: pd.DataFrame) -> pd.DataFrame:
    """The motif table with a number of targets in place of the targets, and text in place of sets."""
    flat = motifs.drop(columns="TargetGenes").assign(n_targets=motifs["TargetGenes"].map(len))
    flat["Context"] = [", ".join(sorted(context)) for context in motifs["Context"]]
    flat["Annotation"] = flat["Annotation"].fillna("").astype(str)
    return flat


def union_per_tf(motifs: pd.DataFrame) -> pd.DataFrame:
    """Join the targets of all motifs of a factor into one regulon, activating and repressing apart, as pySCENIC does.

    Parameters
    ----------
    motifs
        Table of :func:`prune_modules` or :func:`tcellmil.io.read_motifs`.

    Returns
    -------
    DataFrame ``regulon, target, weight``: regulons are named ``TF(+)`` and ``TF(-)``; a target's weight is the
    highest that it has for the factor.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.regulons import union_per_tf
    >>> targets = [[("g1", 1.0)], [("g1", 3.0), ("g2", 2.0)]]
    >>> union_per_tf(pd.DataFrame({"TF": "A", "Context": [frozenset()] * 2, "TargetGenes": targets}))
      regulon target  weight
    0    A(+)     g1     3.0
    1    A(+)     g2     2.0
    """
    sign = ["(-)" if REPRESSING in context else "(+)" for context in motifs["Context"]]
    long = pd.DataFrame({"regulon": motifs["TF"].astype(str) + sign, "pair": motifs["TargetGenes"]})
    long = long.explode("pair").dropna(ignore_index=True)
    long["target"] = [str(gene) for gene, _ in long["pair"]]
    long["weight"] = [float(weight) for _, weight in long["pair"]]
    union = long.groupby(["regulon", "target"], as_index=False)["weight"].max()
    order = ["regulon", "weight", "target"]
    return union.sort_values(order, ascending=[True, False, True], ignore_index=True)


def _best_annotation(annotations: pd.DataFrame, rankings: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Of each factor, its motifs in the database, each with the most direct of its annotations."""
    missing = set(ANNOTATION_COLUMNS) - set(annotations.columns)
    if missing:
        raise ValueError(
            f"annotations lack the columns {sorted(missing)}; read the table with tcellmil.io.read_motif_annotations"
        )
    known = annotations.loc[annotations["MotifID"].isin(rankings.index), ANNOTATION_COLUMNS]
    if known.empty:
        raise ValueError(
            f"none of the {annotations['MotifID'].nunique()} annotated motifs, such as "
            f"{list(annotations['MotifID'][:2])}, is among the {len(rankings)} ranked ones, such as "
            f"{list(rankings.index[:2])}; use the annotations that belong to the database"
        )
    # As pySCENIC: the lowest q-value, then the highest identity.
    order = ["MotifSimilarityQvalue", "OrthologousIdentity"]
    known = known.sort_values(order, ascending=[True, False], kind="stable").drop_duplicates(["TF", "MotifID"])
    return {tf: rows.drop(columns="TF").set_index("MotifID") for tf, rows in known.groupby("TF")}


def _batches(
    modules: pd.DataFrame, genes: pd.Index, factors: set[str], min_coverage: float
) -> Iterator[dict[str, pd.DataFrame]]:
    """Yield the ranked genes of the modules that have enough of them and an annotated factor, some at a time."""
    ranked = modules["target"].isin(genes)
    coverage = ranked.groupby(modules["module"]).transform("mean")
    usable = modules[ranked & (coverage > min_coverage) & modules["TF"].isin(factors)]
    each = [(str(key), module) for key, module in usable.groupby("module")]
    for start in range(0, len(each), BATCH):
        yield dict(each[start : start + BATCH])


def _threshold_curve(ranks: np.ndarray, n_ranks: int) -> np.ndarray:
    """Mean plus two standard deviations of the recovery curves of all motifs."""
    total, squares = np.zeros(n_ranks), np.zeros(n_ranks)
    for start in range(0, len(ranks), CHUNK):
        curves = _recovery(ranks[start : start + CHUNK], n_ranks)
        total += curves.sum(axis=0)
        squares += (curves**2).sum(axis=0)
    mean = total / len(ranks)
    return mean + 2 * np.sqrt(np.maximum(0, squares / len(ranks) - mean**2))


def _recovery(ranks: np.ndarray, n_ranks: int) -> np.ndarray:
    """Recovery curves: how many genes of the module (motifs x genes) have been found up to each rank."""
    motif = np.repeat(np.arange(len(ranks)), ranks.shape[1])
    rank = ranks.ravel().astype(np.int64)
    counted = rank < n_ranks
    hits = np.bincount(motif[counted] * n_ranks + rank[counted], minlength=len(ranks) * n_ranks)
    return hits.reshape(len(ranks), n_ranks).cumsum(axis=1)
