"""Which of several models predict held-out patients at least as well as the first."""

from __future__ import annotations

import numpy as np


def not_worse(losses: np.ndarray, groups: np.ndarray | None = None) -> np.ndarray:
    """Whether the mean loss of each model is at most that of the first.

    Parameters
    ----------
    losses
        ``(n_models, n_patients)``, lower is better.
    groups
        ``(n_patients,)`` codes of samples that count together, such as those of one patient; each by itself by default.

    Returns
    -------
    ``(n_models,)`` bool; the first is always among them.

    Raises
    ------
    ValueError
        If there is no patient, or a loss is not finite.

    Examples
    --------
    >>> not_worse(np.array([[0.5, 0.7], [0.9, 0.2], [0.6, 0.7]])).tolist()
    [True, True, False]
    """
    losses = np.asarray(losses, dtype=np.float64)
    if losses.ndim != 2 or losses.shape[1] == 0 or not np.isfinite(losses).all():
        raise ValueError(f"losses must be finite numbers (n_models, n_patients), got shape {losses.shape}")
    if groups is not None:
        codes = np.unique(groups, return_inverse=True)[1]
        losses = np.stack([np.bincount(codes, row) / np.bincount(codes) for row in losses])
    mean = losses.mean(axis=1)
    return mean <= mean[0]
