"""How much each of several models should count, by how well they predict what was held out of them."""

from __future__ import annotations

import numpy as np


def pseudo_bma_weights(
    losses: np.ndarray, groups: np.ndarray | None = None, *, n_boot: int = 1000, seed: int = 0
) -> np.ndarray:
    r"""Weights of models by their losses on held-out patients: pseudo-BMA+.

    With the loss :math:`\ell_{mi}` of model m on patient i, minus the log of the probability that it gave to what was
    observed, and shares :math:`\alpha` of patients from a flat Dirichlet distribution (the Bayesian bootstrap),

    .. math:: w_m = \mathbb{E}_\alpha \frac{e^{-n \sum_i \alpha_i \ell_{mi}}}{\sum_k e^{-n \sum_i \alpha_i \ell_{ki}}}

    (Yao, Vehtari, Simpson and Gelman, Bayesian Analysis 2018). Models that the patients cannot tell apart count alike;
    one that is better than the others for nearly every choice of the patients counts alone.

    Parameters
    ----------
    losses
        ``(n_models, n_patients)``, lower is better.
    groups
        ``(n_patients,)`` codes of samples that count together, such as those of one patient; each by itself by default.
    n_boot
        Draws of shares.
    seed
        For the draws.

    Returns
    -------
    ``(n_models,)``, which add up to 1.

    Raises
    ------
    ValueError
        If there is no patient, or a loss is not finite.

    Examples
    --------
    >>> clear = np.array([[0.1] * 20, [1.0] * 20])
    >>> pseudo_bma_weights(clear).round(2).tolist()
    [1.0, 0.0]
    >>> rng = np.random.default_rng(0)
    >>> pseudo_bma_weights(rng.normal(1, 1, (2, 20))).max() < 0.9
    True
    """
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or losses.shape[1] == 0 or not np.isfinite(losses).all():
        raise ValueError(f"losses must be finite numbers (n_models, n_patients), got shape {losses.shape}")
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        losses = np.stack([np.bincount(codes, row) for row in losses])
    n = losses.shape[1]
    shares = np.random.default_rng(seed).dirichlet(np.ones(n), n_boot)
    total = -n * shares @ losses.T  # (draw, model)
    weights = np.exp(total - total.max(axis=1, keepdims=True))
    return (weights / weights.sum(axis=1, keepdims=True)).mean(axis=0)
