"""How far two sets of cells are apart as Gaussians in an embedding."""

from __future__ import annotations

import numpy as np

from tcellmil._docs import documented
from tcellmil.metrics._arrays import Values, as_sets
from tcellmil.metrics._conditions import ByCondition, Labels, by_condition, two_labels


@documented
def scfid(real: Values, generated: Values, *, by: tuple[Labels, Labels] | None = None) -> float | ByCondition:
    r"""Single-cell Fréchet inception distance: squared 2-Wasserstein distance of two Gaussians with these moments.

    .. math:: \mathrm{scFID} = \lVert \mu_r - \mu_g \rVert_2^2
        + \mathrm{tr}\bigl(\Sigma_r + \Sigma_g - 2 (\Sigma_r \Sigma_g)^{1/2}\bigr)

    with covariances over :math:`n - 1`. No root of a matrix is taken: with centred cells :math:`X` and :math:`Y`,

    .. math:: \mathrm{tr}\,(\Sigma_r \Sigma_g)^{1/2}
        = \frac{1}{\sqrt{(n - 1)(m - 1)}} \sum_k \sigma_k(X Y^\top)

    where :math:`\sigma_k` are singular values. This holds for any number of cells; ``scipy.linalg.sqrtm`` of a product
    of singular covariances, which those of fewer cells than features are, gives complex numbers and values below 0.

    The distance is biased: two sets of one distribution are apart, the more so the fewer cells there are. Compare sets
    of the same numbers of cells.

    Parameters
    ----------
    %(real_generated)s
        At least two cells in each. The paper embeds them by scGPT; any other model will do, but values of
        different embeddings do not compare.
    %(by_sets)s

    Returns
    -------
    The distance, at least 0, in the squared unit of the embedding.
    %(with_by)s

    Raises
    ------
    TypeError, ValueError
        If the features differ, a set has fewer than two cells, or values are no finite numbers.

    Notes
    -----
    Time grows with the number of cells times the square of the number of features (or of cells, where these are fewer).

    References
    ----------
    Rizvi et al. (2025), C2S-Scale, section 4.7; Dowson & Landau (1982), Journal of Multivariate Analysis 12, 450.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.metrics import scfid
    >>> real = np.random.default_rng(0).normal(size=(50, 512))
    >>> scfid(real, real) < 1e-10, round(scfid(real, real + 0.5), 6)
    (True, 128.0)
    """
    if by is not None:
        return by_condition(scfid, real, generated, *two_labels(by))
    real, generated = as_sets(real, generated, n_least=2)
    shift = real.mean(axis=0) - generated.mean(axis=0)
    one, other = _root(real), _root(generated)
    shared = np.linalg.svd(one @ other.T, compute_uv=False).sum()
    value = shift @ shift + (one**2).sum() + (other**2).sum() - 2 * shared
    return max(float(value), 0.0)  # rounding alone is below 0


def _root(cells: np.ndarray) -> np.ndarray:
    """A matrix ``R`` of few rows, ``R.T @ R`` the covariance: rotating rows changes no singular value."""
    centred = (cells - cells.mean(axis=0)) / np.sqrt(len(cells) - 1)
    return np.linalg.qr(centred, mode="r") if len(cells) > cells.shape[1] else centred
