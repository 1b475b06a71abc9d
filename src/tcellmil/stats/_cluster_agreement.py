"""How far clusters of cells follow a label, such as the batch."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pandas as pd

from tcellmil._checks import check_count
from tcellmil.stats._fdr import benjamini_hochberg
from tcellmil.stats._signed_rank import signed_rank_by_column

TEST_COLUMNS = [
    *("reference", "representation", "n_init", "median_reference", "median", "difference"),
    *("ranksum_statistic", "ranksum_p", "ranksum_padj"),
    *("signed_rank_statistic", "signed_rank_p", "signed_rank_padj"),
]


def cluster_agreement(
    x: np.ndarray, labels: np.ndarray, n_clusters: int = 4, n_init: int = 30, seed: int = 0
) -> np.ndarray:
    r"""Adjusted Rand index between labels and the clusters of k-means, once for every initialisation.

    Of the :math:`\binom{n}{2}` pairs of cells, :math:`a` share a cluster, :math:`b` share a label and :math:`c` both:

    .. math:: \mathrm{ARI} = \frac{c - ab / \binom{n}{2}}{(a + b) / 2 - ab / \binom{n}{2}}

    It is 1 where clusters and labels are the same partition, 0 on average where they are independent, and can be
    below 0.

    Parameters
    ----------
    x
        Representation, ``(n_cells, n_features)``, finite.
    labels
        ``(n_cells,)``: any values, none missing.
    n_clusters
        Clusters of k-means, between 2 and ``n_cells``.
    n_init
        Number of initialisations (k-means++), at least 1; each gives one index.
    seed
        Initialisation ``i`` uses ``seed + i``.

    Returns
    -------
    ``(n_init,)`` float64, each at most 1. The same on any number of threads.

    Raises
    ------
    ValueError
        If a number is out of its range, shapes do not match, or ``x`` is not finite.

    References
    ----------
    Hubert & Arabie (1985), Journal of Classification 2, 193; Tsui et al. (2025), tcellMIL, appendix 6.1.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.stats import cluster_agreement
    >>> cells = np.repeat([[0.0], [5.0]], 10, axis=0) + np.linspace(0, 1, 20)[:, None]
    >>> cluster_agreement(cells, np.repeat(["A", "B"], 10), n_clusters=2, n_init=3)
    array([1., 1., 1.])
    """
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score
    from threadpoolctl import threadpool_limits

    x, labels = np.asarray(x), np.asarray(labels)
    if x.ndim != 2 or labels.shape != x.shape[:1]:
        raise ValueError(f"x must be (n_cells, n_features) and labels (n_cells,), got {x.shape} and {labels.shape}")
    if not np.isfinite(x).all():
        raise ValueError(f"x holds {int((~np.isfinite(x)).sum())} NaN or infinite values; k-means needs finite ones")
    if not 2 <= n_clusters <= len(x):
        raise ValueError(f"n_clusters={n_clusters} must be between 2 and the number of cells, {len(x)}")
    check_count(n_init, "n_init")
    codes = np.unique(labels, return_inverse=True)[1]
    # Several threads add up centres in an order that changes from run to run.
    with threadpool_limits(limits=1):
        clusterings = (KMeans(n_clusters, n_init=1, random_state=seed + i).fit_predict(x) for i in range(n_init))
        return np.array([adjusted_rand_score(codes, clusters) for clusters in clusterings], dtype=float)


def compare_agreement(agreement: Mapping[str, np.ndarray]) -> pd.DataFrame:
    """Compare the indices of :func:`cluster_agreement` between representations of the same cells.

    Parameters
    ----------
    agreement
        Indices by representation, each ``(n_init,)`` with the same seeds. The first one is the reference.

    Returns
    -------
    One row per representation other than the first: ``reference``, ``representation``, ``n_init``,
    ``median_reference``, ``median``, ``difference`` (of the medians), ``ranksum_statistic`` (Mann-Whitney's U of the
    representation), ``ranksum_p``, ``ranksum_padj``, ``signed_rank_statistic``, ``signed_rank_p``,
    ``signed_rank_padj``. Two-sided; adjusted by Benjamini-Hochberg over representations; NaN where all indices are the
    same, because nothing was tested.
    """
    from scipy.stats import mannwhitneyu

    reference, *others = agreement
    first, rows = agreement[reference], []
    for name in others:
        own = agreement[name]
        # The rank-sum test with ties, of which k-means makes many: equal optima have equal indices.
        differ = len(np.unique([first, own])) > 1
        ranksum = mannwhitneyu(own, first) if differ else (np.nan, np.nan)
        signed_rank = signed_rank_by_column((own - first)[:, None])
        rows.append(
            {
                "reference": reference,
                "representation": name,
                "n_init": len(own),
                "median_reference": np.median(first),
                "median": np.median(own),
                "difference": np.median(own) - np.median(first),
                "ranksum_statistic": ranksum[0],
                "ranksum_p": ranksum[1],
                "signed_rank_statistic": signed_rank[0][0],
                "signed_rank_p": signed_rank[1][0],
            }
        )
    tests = pd.DataFrame(rows, columns=TEST_COLUMNS)
    for test in ("ranksum", "signed_rank"):
        tests[f"{test}_padj"] = benjamini_hochberg(tests[f"{test}_p"].to_numpy(dtype=float))
    return tests
