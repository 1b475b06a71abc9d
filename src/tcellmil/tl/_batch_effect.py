"""How much clusters of cells follow the batch."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_adata, check_finite, check_layer, check_obs_column, some
from tcellmil._docs import documented
from tcellmil._log import logger, warn
from tcellmil._matrix import count_not_finite, holds_whole_numbers
from tcellmil._provenance import scores_of
from tcellmil._verbs import Result, verb

if TYPE_CHECKING:
    from anndata import AnnData

PCA = "X_pca"
N_COMPONENTS = 50  # of a PCA that is compared with nothing


@documented
@verb()
def batch_effect(
    adata: AnnData,
    batch_key: str,
    use_reps: Sequence[str] = (PCA, _keys.representation(_keys.REGULONS)),
    n_clusters: int = 4,
    n_init: int = 30,
    *,
    seed: int = 0,
    key_added: str = _keys.BATCH_EFFECT,
    copy: bool = False,
) -> Result:
    r"""Measure how much the clusters of k-means follow the batch, in each representation.

    Section 3.1 of the paper: the cells are clustered by k-means from 30 initialisations, and each clustering is
    compared with the batch by the adjusted Rand index (:func:`tcellmil.stats.cluster_agreement`). 1: clusters are
    batches; 0: clusters are independent of batches. Each representation is compared with the first one, by a
    Wilcoxon rank-sum test (appendix 6.1) and by a signed-rank test of the pairs with the same seed (figure 2).

    The initialisations are not samples of the data: the p-values describe the randomness of k-means *on these cells*,
    get smaller with ``n_init``, and do not carry over to another cohort. A representation that has lost all structure
    has a low index as well: run ``batch_effect(adata, "cell_type", key_added="cell_type_agreement")`` to see that
    structure is kept.

    Reads ``obs[batch_key]`` and ``obsm``. ``"X_pca"`` that is not there is computed from ``adata.X``, which should hold
    log-normalised expression, by :func:`scanpy.pp.pca` on all genes, with as many components as the widest other
    representation has columns (the paper). It is *not* written to ``obsm``, where scanpy would take it for its
    own. An ``"X_pca"`` that is there is used as it is, whatever its number of components.

    Parameters
    ----------
    adata
        Cells with a batch and representations.
    batch_key
        Column of ``obs`` with the batch; two or more, none missing.
    use_reps
        Keys of ``obsm``; the others are compared with the first.
    n_clusters
        Clusters of k-means, between 2 and the number of cells.
    n_init
        Initialisations, at least 2.
    seed
        Initialisation ``i`` uses ``seed + i``.
    key_added
        Key of ``uns``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["batch_effect"]``:

    - ``ari``: one row per representation and initialisation with ``representation``, ``init``, ``ari``;
    - ``tests``: one row per representation other than the first with ``reference``, ``representation``, ``n_init``,
      ``median_reference``, ``median``, ``difference`` (of the medians; below 0: less batch effect than in the
      reference), ``ranksum_statistic`` (Mann-Whitney's U of the representation), ``ranksum_p``, ``ranksum_padj``,
      ``signed_rank_statistic``, ``signed_rank_p``, ``signed_rank_padj``. Two-sided; adjusted by Benjamini-Hochberg over
      representations; NaN where all of the indices are the same, because nothing was tested;
    - ``params``: the arguments and, among others, the number of columns of each representation.

    Raises
    ------
    KeyError
        If the column or a representation is not there; ``adata`` is then unchanged, as on every error.
    ValueError
        If batches are missing or only one, a representation holds NaN, or a number is out of its range.

    References
    ----------
    Tsui et al. (2025), tcellMIL, section 3.1, figure 2 and appendix 6.1.

    Examples
    --------
    >>> import pandas as pd, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.tl.regulons(adata, net=pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]}))
    >>> tm.tl.batch_effect(adata, "cohort", n_init=5)
    >>> tm.get.batch_effect(adata).groupby("representation", sort=False).size().to_dict()
    {'X_pca': 5, 'X_regulons': 5}
    """
    check_adata(adata)
    from tcellmil.stats import cluster_agreement
    from tcellmil.stats._cluster_agreement import compare_agreement

    use_reps = _checked_reps(use_reps)
    batch = _checked_batch(adata, batch_key)
    if not 2 <= n_clusters <= adata.n_obs:
        raise ValueError(f"n_clusters={n_clusters} must be between 2 and the number of cells, {adata.n_obs}")
    if n_init < 2:
        raise ValueError(f"n_init={n_init} must be at least 2; one initialisation has no spread to compare")
    values = {rep: _representation(adata, rep) for rep in use_reps if rep != PCA or rep in adata.obsm}
    order = np.argsort(adata.obs_names.to_numpy(dtype=str), kind="stable")  # k-means starts from cells drawn by row
    computed = PCA in use_reps and PCA not in adata.obsm
    if computed:
        n_components = max((x.shape[1] for x in values.values()), default=N_COMPONENTS)
        in_order = _principal_components(adata, order, n_components, seed)
        values[PCA] = np.empty_like(in_order)
        values[PCA][order] = in_order

    indices = {rep: cluster_agreement(values[rep][order], batch[order], n_clusters, n_init, seed) for rep in use_reps}
    ari = pd.DataFrame(
        {
            "representation": np.repeat(np.array(use_reps, dtype=object), n_init),
            "init": np.tile(np.arange(n_init), len(use_reps)),
            "ari": np.concatenate([indices[rep] for rep in use_reps]),
        }
    )
    params = {
        "use_reps": use_reps,
        "n_features": np.array([values[rep].shape[1] for rep in use_reps]),
        "computed_pca": computed,
        "n_batches": len(np.unique(batch)),
        "scores": scores_of(adata, use_reps),
    }
    medians = ", ".join(f"{rep} {np.median(indices[rep]):.3f} ({values[rep].shape[1]} columns)" for rep in use_reps)
    message = f"median adjusted Rand index with {batch_key!r}: {medians}"
    return Result({"ari": ari, "tests": compare_agreement(indices)}, message, params)


def _checked_reps(use_reps: Sequence[str]) -> list[str]:
    use_reps = [use_reps] if isinstance(use_reps, str) else list(dict.fromkeys(use_reps))
    if not use_reps:
        raise ValueError("use_reps is empty; name keys of adata.obsm, such as 'X_pca', 'X_regulons'")
    return use_reps


def _checked_batch(adata: AnnData, batch_key: str) -> np.ndarray:
    batch = check_obs_column(adata, batch_key, "batch_key")
    missing = int(batch.isna().sum())
    if missing:
        raise ValueError(f"batch_key {batch_key!r} is missing for {missing} cells; drop them or fill it in")
    batch = batch.astype(str).to_numpy(dtype=str)
    present = np.unique(batch)
    if len(present) < 2:
        raise ValueError(f"batch_key {batch_key!r} has one batch only, {some(present)}; there is nothing to compare")
    return batch


def _representation(adata: AnnData, rep: str) -> np.ndarray:
    if rep not in adata.obsm:
        hint = "; run tcellmil.tl.regulons first" if rep == _keys.representation(_keys.REGULONS) else ""
        raise KeyError(f"use_reps: {rep!r} is not in adata.obsm; there are {some(adata.obsm)}{hint}")
    x = adata.obsm[rep]
    x = np.asarray(x.toarray() if hasattr(x, "toarray") else x)
    check_finite(x, f"obsm[{rep!r}]")
    return x


def _principal_components(adata: AnnData, order: np.ndarray, n_components: int, seed: int) -> np.ndarray:
    """Of the expression of the cells in ``order``."""
    from scanpy.pp import pca
    from threadpoolctl import threadpool_limits

    expression = check_layer(adata, None)
    n_bad = count_not_finite(expression)
    if n_bad:
        raise ValueError(f"X_pca cannot be computed: adata.X holds {n_bad} NaN or infinite values; remove or fill them")
    if holds_whole_numbers(expression):
        warn(
            "X_pca is computed from adata.X, which holds whole numbers only: components of raw counts follow the depth "
            "of cells; normalise first (scanpy.pp.normalize_total, scanpy.pp.log1p)",
        )
    most = min(adata.shape) - 1
    if most < 1:
        raise ValueError(f"X_pca cannot be computed from {adata.n_obs} cells and {adata.n_vars} genes; leave it out")
    n_components = min(n_components, most)
    logger.info(f"batch_effect: X_pca is not in obsm; {n_components} components of adata.X are computed, not written")
    with threadpool_limits(limits=1):  # the last digits would depend on the number of threads
        return np.asarray(pca(expression[order], n_comps=n_components, random_state=seed))
