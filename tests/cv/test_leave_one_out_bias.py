"""Labels without signal: plain leave-one-out ranks the wrong way round, rebalanced leave-one-out does not.

A draw is a cohort of noise with many random labelings, all of which are trained in one stack. What a mean AUROC is
uncertain by is the spread between draws, because labelings of the same few patients share their geometry: standard
errors are about 0.006 of rebalanced leave-one-out (1200 labelings), 0.01 of plain leave-one-out (200, with a mean near
0.1) and 0.007 of leave-pair-out (1200).
"""

from functools import cache

import numpy as np

from tcellmil.cv import Replicas, make_replicas
from tcellmil.data import Bags
from tcellmil.nn import NetworkConfig
from tcellmil.outcomes import Classes
from tcellmil.training import TrainingConfig, fit_stack

N_PATIENTS, N_CELLS, N_FEATURES = 12, 50, 4
LABELS = np.arange(N_PATIENTS) % 2

#: No compression and one epoch: what is biased are the splits, whatever is trained on them. One patient a step shows
#: the bias most, because no batch mixes classes and class weights cancel.
NETWORK = NetworkConfig(compression=None, n_attention=4, dropout_mil=0.0)
TRAINING = TrainingConfig(
    max_epochs=1, bags_per_batch=1, lr=3e-2, eps=1e-8, early_stopping="none", encoder="shared", accelerator="cpu"
)


@cache
def splits_of_labelings(cv, n_labelings):
    """Splits of :data:`LABELS` for each labeling; a random labeling is a permutation of the patients.

    Only rebalancing draws anything, from 20 seeds in turn. Of the pairs that are left out, those in which each patient
    is once: as a labeling is random, they stand for all.
    """
    splits = make_replicas(cv, LABELS, n_seeds=20 if cv == "rebalanced_loo" else 1)
    if cv == "leave_pair_out":
        splits = splits[:: N_PATIENTS // 2 + 1]
    return splits[np.resize(np.arange(len(splits)), n_labelings * int((splits.seed == 0).sum()))]


def auroc_of_draw(cv, draw, n_labelings):
    """Mean AUROC over random labelings of one cohort of noise, each patient by the replica that held it out."""
    rng = np.random.default_rng(draw)
    names = [f"P{i:02d}" for i in range(N_PATIENTS)]
    x = rng.normal(size=(N_PATIENTS * N_CELLS, N_FEATURES))
    bags = Bags.from_cells(
        x,
        np.repeat(names, N_CELLS),
        np.arange(len(x)).astype(str),
        labels=dict.fromkeys(names, 0),  # replaced by those of each replica
        outcome=Classes("response", ("NR", "R")),
    )
    splits = splits_of_labelings(cv, n_labelings)
    order = np.stack([rng.permutation(N_PATIENTS) for _ in range(n_labelings)])
    of_replica = np.repeat(order, len(splits) // n_labelings, axis=0)
    sides = [np.take_along_axis(side, of_replica, axis=1) for side in (splits.train, splits.test)]
    replicas = Replicas(np.full(len(splits), draw), splits.fold, *sides)
    stack, _ = fit_stack(bags, replicas, NETWORK, TRAINING, labels=LABELS[of_replica], progress=False)
    score = np.full(replicas.test.shape, np.nan)
    for i in range(N_PATIENTS):
        held_out = np.flatnonzero(replicas.test[:, i])
        score[held_out, i] = stack.select(held_out).predict_bag(bags, i)[0][:, 1]
    if cv == "leave_pair_out":  # a pair is ordered by the replica that held both out
        negative, positive = (np.nanmax(np.where(LABELS[of_replica] == c, score, np.nan), axis=1) for c in (0, 1))
        return (positive > negative).mean()
    of_patient = np.nanmax(score.reshape(n_labelings, -1, N_PATIENTS), axis=1)
    negative, positive = (of_patient[LABELS[order] == c].reshape(n_labelings, -1) for c in (0, 1))
    return (positive[:, :, None] > negative[:, None]).mean()


def mean_and_standard_error(cv, n_draws, n_labelings):
    auroc = np.array([auroc_of_draw(cv, draw, n_labelings) for draw in range(n_draws)])
    return auroc.mean(), auroc.std(ddof=1) / np.sqrt(n_draws)


def test_rebalanced_leave_one_out_is_near_chance():
    mean, error = mean_and_standard_error("rebalanced_loo", n_draws=10, n_labelings=120)
    assert error < 0.008  # 0.05 is then six standard errors
    assert abs(mean - 0.5) < 0.05


def test_plain_leave_one_out_is_far_below_chance():
    mean, error = mean_and_standard_error("loo", n_draws=4, n_labelings=50)
    assert error < 0.03
    assert mean < 0.2


def test_leave_pair_out_is_at_chance():
    mean, error = mean_and_standard_error("leave_pair_out", n_draws=12, n_labelings=100)
    assert error < 0.008
    assert abs(mean - 0.5) < 3 * error
