"""Which of several models held-out patients tell apart from the best."""

from __future__ import annotations

import numpy as np

#: Standard errors beyond which a model counts as worse: one-sided, 5% in a normal distribution.
N_SE = 1.645


def not_worse(losses: np.ndarray, groups: np.ndarray | None = None, *, n_se: float = N_SE) -> np.ndarray:
    r"""Whether each model predicts held-out patients about as well as the best.

    With :math:`d_i` the loss of a model on patient i minus that of the best, a model is worse where
    :math:`\bar d > c \, s_d / \sqrt n`: the one-standard-error rule (Breiman et al., 1984), of paired differences.

    Parameters
    ----------
    losses
        ``(n_models, n_patients)``, lower is better.
    groups
        ``(n_patients,)`` codes of samples that count together, such as those of one patient; each by itself by default.
    n_se
        The number c of standard errors.

    Returns
    -------
    ``(n_models,)`` bool; the model with the lowest mean loss is always among them.

    Raises
    ------
    ValueError
        If there is no patient, or a loss is not finite.

    Examples
    --------
    >>> not_worse(np.array([[0.1] * 20, [1.0] * 20])).tolist()
    [True, False]
    >>> rng = np.random.default_rng(0)
    >>> not_worse(rng.normal(1, 1, (2, 20))).tolist()
    [True, True]
    """
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or losses.shape[1] == 0 or not np.isfinite(losses).all():
        raise ValueError(f"losses must be finite numbers (n_models, n_patients), got shape {losses.shape}")
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        losses = np.stack([np.bincount(codes, row) / np.bincount(codes) for row in losses])
    difference = losses - losses[losses.mean(axis=1).argmin()]
    n = losses.shape[1]
    error = difference.std(axis=1, ddof=1) / np.sqrt(n) if n > 1 else np.zeros(len(losses))
    return difference.mean(axis=1) <= n_se * error
