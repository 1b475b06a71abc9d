"""Whether two rankings order pairs of genes the same way."""

from __future__ import annotations

import numpy as np

from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values, as_pairs
from tcellmil.metrics._conditions import ByCondition, Labels, average_by


@documented
def kendall_tau(real: Values, generated: Values, *, by: Labels | None = None) -> np.ndarray | ByCondition:
    r"""Kendall's tau of each pair of rankings, as the paper prints it (tau-a).

    .. math:: \tau = \frac{n_c - n_d}{\frac{1}{2} n (n - 1)}

    with :math:`n_c` concordant and :math:`n_d` discordant of all :math:`\frac{1}{2} n (n - 1)` pairs of :math:`n`
    genes. A pair that is tied in either ranking is neither, but stays in the denominator: with ties, 1 is out of reach,
    even for a ranking and itself. :func:`kendall_tau_b` corrects for this. Of 978 genes the two differ by a factor of
    1.0008 where both rankings have 950 genes and 28 share the last rank, and of 2.7 where they have 200.

    Parameters
    ----------
    %(pairs)s
        Ranks, as from :func:`sentence_ranks`, or expression, but the same in both.
    %(by_pairs)s

    Returns
    -------
    ``(n_samples,)``, in [-1, 1]; 0 where all genes are tied.
    %(with_by)s

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, there are fewer than two genes, or values are no finite numbers.

    Notes
    -----
    :math:`O(n \log n)` for each sample, by :func:`scipy.stats.kendalltau`, which has no tau-a: the number of pairs is
    recovered from its tau-b, and is exact.

    References
    ----------
    Rizvi et al. (2025), C2S-Scale, section 4.6.9; Kendall (1938), Biometrika 30, 81.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import kendall_tau, sentence_ranks
    >>> real = sentence_ranks(np.array([[0, 1, 2], [0, 1, 2]]), n_genes=4)
    >>> generated = sentence_ranks(np.array([[0, 1, 2], [2, 1, -1]]), n_genes=4)
    >>> kendall_tau(real, generated).round(3)
    array([ 1.   , -0.167])
    """
    excess, n_pairs, _ = _concordance(real, generated)
    return average_by(excess / n_pairs, by)


@documented
def kendall_tau_b(real: Values, generated: Values, *, by: Labels | None = None) -> np.ndarray | ByCondition:
    r"""Kendall's tau-b of each pair of rankings, which corrects for ties.

    .. math:: \tau_b = \frac{n_c - n_d}{\sqrt{(n_0 - n_1)(n_0 - n_2)}}

    with :math:`n_0 = \frac{1}{2} n (n - 1)` pairs of genes, of which :math:`n_1` are tied in one ranking and
    :math:`n_2` in the other. A ranking and itself have 1, whatever is tied. Without ties it is :func:`kendall_tau`;
    the paper prints that formula and says that tau "properly accounts for tied ranks", which is this one.

    Parameters
    ----------
    %(pairs)s
        Ranks, as from :func:`sentence_ranks`, or expression, but the same in both.
    %(by_pairs)s

    Returns
    -------
    ``(n_samples,)``, in [-1, 1]; NaN where all genes are tied in one of the two.
    %(with_by)s

    Raises
    ------
    TypeError, ValueError
        If the shapes differ, there are fewer than two genes, or values are no finite numbers.

    References
    ----------
    Kendall (1945), Biometrika 33, 239; :func:`scipy.stats.kendalltau`, :math:`O(n \log n)`.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import kendall_tau, kendall_tau_b, sentence_ranks
    >>> ranks = sentence_ranks(np.arange(200)[None], n_genes=978)
    >>> kendall_tau_b(ranks, ranks), (1 / kendall_tau(ranks, ranks)).round(1)
    (array([1.]), array([2.7]))
    """
    return average_by(_concordance(real, generated)[2], by)


def _concordance(real: Values, generated: Values) -> tuple[np.ndarray, int, np.ndarray]:
    """Concordant less discordant pairs of each sample, the number of pairs, and tau-b."""
    from scipy.stats import kendalltau

    real, generated = as_pairs(real, generated)
    n_genes = real.shape[1]
    if n_genes < 2:
        raise ValueError("real and generated have one gene; an order needs at least two")
    n_pairs = n_genes * (n_genes - 1) // 2
    # Exact p-values, which scipy chooses by itself, take long and are not used; of two genes the others fail.
    method = "asymptotic" if n_genes > 2 else "auto"
    tau_b = np.array([kendalltau(*rows, method=method).statistic for rows in zip(real, generated, strict=True)])
    untied = [n_pairs - np.array([_tied_pairs(row) for row in side]) for side in (real, generated)]
    excess = np.rint(np.nan_to_num(tau_b) * np.sqrt(untied[0]) * np.sqrt(untied[1]))
    root = np.sqrt(untied[0].astype(float) * untied[1])
    return excess, n_pairs, np.divide(excess, root, out=np.full(len(root), np.nan), where=root > 0)


def _tied_pairs(row: np.ndarray) -> int:
    n = np.unique(row, return_counts=True)[1]
    return int((n * (n - 1) // 2).sum())
