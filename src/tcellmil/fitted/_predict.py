"""Every patient by the replicas that never saw it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tcellmil.cv import Replicas
from tcellmil.data._bags import Bags

from ._ensemble import FittedEnsemble, ensemble_of
from ._stack import FittedStack


@dataclass(frozen=True)
class BagPredictions:
    """Predictions of bags by some of a stack's replicas.

    Parameters
    ----------
    probabilities
        ``(n_bags, n_classes)``, the mean over the bag's replicas; NaN for a bag without one. One column, the predicted
        number or log hazard, where that is the outcome.
    sd
        ``(n_bags,)``: standard deviation over the bag's replicas of the last column; 0 for one replica.
    n_replicas
        ``(n_bags,)``: replicas that each bag was shown to.
    attention
        ``(n_cells,)``, the mean over the bag's replicas; sums to 1 within a bag.
    latent
        ``(n_cells, n_latent)`` of the first of the bag's replicas, by the configuration that counts most: latents of
        several networks have no common axes.
    """

    probabilities: np.ndarray
    sd: np.ndarray
    n_replicas: np.ndarray
    attention: np.ndarray
    latent: np.ndarray


def predict_bags(stack: FittedStack | FittedEnsemble, bags: Bags, shown_to: np.ndarray | None = None) -> BagPredictions:
    """Run bags through replicas.

    Parameters
    ----------
    stack
        Fitted replicas.
    bags
        Patients as bags of cells; all of their cells are used.
    shown_to
        ``(n_replicas, n_bags)`` bool: which replicas see which bag; all of them by default. For out-of-fold predictions
        pass ``stack.replicas.test``.
    """
    stack = ensemble_of(stack)
    if shown_to is None:
        shown_to = np.ones((len(stack), bags.n_bags), dtype=bool)
    probabilities = np.full((bags.n_bags, bags.n_outputs), np.nan)
    sd = np.full(bags.n_bags, np.nan)
    attention = np.full(len(bags.x), np.nan, dtype=np.float32)
    latent = np.full((len(bags.x), stack.n_latent), np.nan, dtype=np.float32)
    for i in range(bags.n_bags):
        index = np.flatnonzero(shown_to[:, i])
        if len(index) == 0:
            continue
        own = stack.select(index)
        p, a = own.predict_bag(bags, i)
        probabilities[i], sd[i] = p.mean(axis=0), p[:, -1].std()
        attention[bags.bag(i)] = a.mean(axis=0)
        latent[bags.bag(i)] = own.latent(bags.x[bags.bag(i)], stack.leading)
    return BagPredictions(probabilities, sd, shown_to.sum(axis=0), attention, latent)


def relative_attention(bags: Bags, attention: np.ndarray) -> np.ndarray:
    """Attention ``(n_cells,)`` times the number of cells of the bag: 1 where all of its cells get the same."""
    return attention * np.repeat(bags.sizes, bags.sizes).astype(np.float32)


def pooled_features(bags: Bags, attention: np.ndarray) -> np.ndarray:
    """Features of each bag, the mean over its cells by attention, ``(n_bags, n_features)`` float32.

    NaN for a bag without attention. Unlike latents, which have no common axes where bags are read by different
    networks, features mean the same in all bags.
    """
    weights = attention.astype(np.float64)
    pooled = [np.einsum("c,cf->f", weights[bags.bag(i)], bags.x[bags.bag(i)]) for i in range(bags.n_bags)]
    return np.array(pooled, dtype=np.float32)


def replica_probabilities(stack: FittedStack | FittedEnsemble, bags: Bags) -> np.ndarray:
    """Class probabilities by each replica by itself.

    Returns
    -------
    ``(n_replicas, n_bags, n_classes)``, NaN for bags that a replica does not hold out.
    """
    stack = ensemble_of(stack)
    found = np.full((len(stack), bags.n_bags, bags.n_outputs), np.nan)
    for i in range(bags.n_bags):
        index = np.flatnonzero(stack.replicas.test[:, i])
        if len(index):
            found[index, i] = stack.select(index).predict_bag(bags, i)[0]
    return found


def mean_over_replicas(probabilities: np.ndarray) -> np.ndarray:
    """``(n_bags, n_classes)``: mean over the replicas that held each bag out, NaN where none did."""
    known = np.isfinite(probabilities).all(axis=2)
    total = np.where(known[..., None], probabilities, 0).sum(axis=0)
    n = known.sum(axis=0)[:, None]
    return np.divide(total, n, out=np.full_like(total, np.nan), where=n > 0)


def pair_order(probabilities: np.ndarray, replicas: Replicas, labels: np.ndarray) -> np.ndarray:
    """Leave-pair-out: was the positive of each pair ranked above the negative by the replicas that saw neither?

    Parameters
    ----------
    probabilities
        ``(n_replicas, n_bags, 2)``, as from :func:`replica_probabilities`.
    replicas
        Splits by leave-pair-out.
    labels
        ``(n_bags,)`` class codes.

    Returns
    -------
    ``(n_positive, n_negative)``: the share of replicas (seeds) that ranked the pair rightly, a tie
    counting one half. Its mean is the AUROC (Airola et al., Comput. Stat. Data Anal. 2011).
    """
    positive, negative = np.flatnonzero(labels == 1), np.flatnonzero(labels == 0)
    right, total = np.zeros((2, len(labels), len(labels)))
    for test, score in zip(replicas.test, probabilities[..., 1], strict=True):
        i, j = (np.flatnonzero(test & (labels == c))[0] for c in (1, 0))
        right[i, j] += (score[i] > score[j]) + 0.5 * (score[i] == score[j])
        total[i, j] += 1
    return right[np.ix_(positive, negative)] / total[np.ix_(positive, negative)]
