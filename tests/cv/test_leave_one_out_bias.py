"""Labels without signal: plain leave-one-out ranks the wrong way round, rebalanced leave-one-out does not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tcellmil.cv import Bags, Replicas, TrainingConfig, fit_stack, make_replicas
from tcellmil.nn import NetworkConfig

N_PATIENTS, N_CELLS, N_LABELINGS = 12, 60, 20


def cohort_without_signal(cv, draw):
    """Bags of noise, random labelings of them, and the replicas of one scheme for all labelings, in one stack.

    A stack has one label a bag. So every patient is there twice, once with each label, and a labeling trains on and
    holds out the copies that it names.
    """
    rng = np.random.default_rng(draw)
    copies = [f"P{i:02d} as {label}" for i in range(N_PATIENTS) for label in (0, 1)]
    x = np.repeat(rng.normal(size=(N_PATIENTS, 1, N_CELLS, 6)), 2, axis=1).reshape(-1, 6)
    bags = Bags.from_cells(
        x,
        np.repeat(copies, N_CELLS),
        np.arange(len(x)).astype(str),
        labels={copy: int(copy[-1]) for copy in copies},
        n_classes=2,
    )
    labels = np.stack([rng.permutation(np.arange(N_PATIENTS) % 2) for _ in range(N_LABELINGS)])
    runs = []
    for i, own in enumerate(labels):
        run = make_replicas(cv, own, seed=N_LABELINGS * draw + i)
        sides = np.zeros((2, len(run), bags.n_bags), dtype=bool)
        sides[:, :, 2 * np.arange(N_PATIENTS) + own] = run.train, run.test
        runs.append((run.seed, run.fold, *sides))
    return bags, labels, Replicas(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))


def scores_of_held_out(bags, replicas):
    """Probability of class 1, ``(replica, bag)``, NaN where the replica did not hold the bag out.

    One patient a step, which shows the bias of plain leave-one-out most: no batch mixes classes, so class weights
    cancel.
    """
    stack, _ = fit_stack(
        bags,
        replicas,
        NetworkConfig(compression="autoencoder", n_hidden=8, n_latent=4, n_attention=4, dropout=0.0),
        TrainingConfig(
            max_epochs=3,
            max_epochs_ae=1,
            batch_size=1024,
            bags_per_batch=1,
            lr=1e-2,
            lr_ae=1e-2,
            eps=1e-8,
            early_stopping="none",
            encoder="shared",
            accelerator="cpu",
        ),
        unit_interval=False,
        progress=False,
    )
    score = np.full(replicas.test.shape, np.nan)
    for i in range(bags.n_bags):
        judges = np.flatnonzero(replicas.test[:, i])
        score[judges, i] = stack.select(judges).predict_bag(bags, i)[0][:, 1]
    return score


@pytest.fixture(scope="module")
def auroc_without_signal():
    """Mean AUROC over labelings, one value a draw of patients.

    The spread between draws is what the mean is uncertain by: labelings of the same few patients share their geometry.
    """

    def measure(cv, n_draws):
        means = []
        for draw in range(n_draws):
            bags, labels, replicas = cohort_without_signal(cv, draw)
            score = scores_of_held_out(bags, replicas)
            if cv == "leave_pair_out":
                negative, positive = np.split(np.nanmax(score.reshape(len(score), -1, 2), axis=1), 2, axis=1)
                means.append((positive > negative).mean())
            else:
                of_patient = np.nanmax(score, axis=1).reshape(labels.shape)
                means.append(np.mean([roc_auc_score(*run) for run in zip(labels, of_patient, strict=True)]))
        return np.array(means)

    return measure


def standard_error(means):
    return means.std(ddof=1) / np.sqrt(len(means))


def test_rebalanced_leave_one_out_is_near_chance(auroc_without_signal):
    auroc = auroc_without_signal("rebalanced_loo", n_draws=60)
    assert standard_error(auroc) < 0.008  # 0.05 is then six standard errors
    assert abs(auroc.mean() - 0.5) < 0.05


def test_plain_leave_one_out_is_far_below_chance(auroc_without_signal):
    assert auroc_without_signal("loo", n_draws=10).mean() < 0.2


def test_leave_pair_out_is_at_chance(auroc_without_signal):
    auroc = auroc_without_signal("leave_pair_out", n_draws=40)
    assert standard_error(auroc) < 0.008
    assert abs(auroc.mean() - 0.5) < 3 * standard_error(auroc)
