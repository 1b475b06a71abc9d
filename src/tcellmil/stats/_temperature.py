"""Temperature scaling: how sure scores of classes may be."""

from __future__ import annotations

import numpy as np

#: Bounds of the temperature.
COLDEST, HOTTEST = 0.05, 20.0


def best_temperature(logits: np.ndarray, labels: np.ndarray, *, balanced: bool = True) -> float:
    """T that minimises the cross-entropy of ``softmax(logits / T)``, within bounds (Guo et al., ICML 2017).

    Parameters
    ----------
    logits
        ``(n_samples, n_classes)``.
    labels
        ``(n_samples,)`` class codes.
    balanced
        Count every class alike; else every sample.
    """
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    n_of_class = np.bincount(labels, minlength=logits.shape[1])
    weight = 1 / n_of_class[labels] if balanced else np.full(len(labels), 1 / len(labels))

    def loss(log_t: float) -> float:
        return -(weight * log_softmax(logits / np.exp(log_t), axis=1)[np.arange(len(labels)), labels]).sum()

    found = minimize_scalar(loss, bounds=(np.log(COLDEST), np.log(HOTTEST)), method="bounded", options={"xatol": 1e-6})
    return float(np.exp(found.x))
