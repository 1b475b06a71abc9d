"""Labels without signal: plain leave-one-out ranks the wrong way round, rebalanced leave-one-out does not."""

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from tcellmil.cv import Bags, Replicas, TrainingConfig, fit_stack, make_replicas
from tcellmil.nn import NetworkConfig

N_PATIENTS, N_CELLS, N_RUNS = 12, 60, 300


@pytest.fixture(scope="module")
def auroc_without_signal():
    """AUROC of many runs of one scheme, each with labels and a seed of its own, all trained in one stack.

    A stack has one label a bag. So every patient is there twice, once with each label, and a run trains on and holds
    out the copies that its own random labels name. One patient a step, which shows the
    bias of plain leave-one-out most: no batch mixes classes, so class weights cancel.
    """

    def measure(cv):
        rng = np.random.default_rng(0)
        patients = [f"P{i:02d}" for i in range(N_PATIENTS)]
        copies = [f"{patient} as {label}" for patient in patients for label in (0, 1)]
        x = np.repeat(rng.normal(size=(N_PATIENTS, 1, N_CELLS, 6)), 2, axis=1).reshape(-1, 6)
        bags = Bags.from_cells(
            x,
            np.repeat(copies, N_CELLS),
            np.arange(len(x)).astype(str),
            labels={copy: int(copy[-1]) for copy in copies},
            n_classes=2,
        )
        labels = np.stack([rng.permutation(np.arange(N_PATIENTS) % 2) for _ in range(N_RUNS)])
        runs = []
        for seed, own in enumerate(labels):
            run = make_replicas(cv, own, seed=seed)
            sides = np.zeros((2, len(run), bags.n_bags), dtype=bool)
            sides[:, :, 2 * np.arange(N_PATIENTS) + own] = run.train, run.test
            runs.append((run.seed, run.fold, *sides))
        replicas = Replicas(*(np.concatenate(parts) for parts in zip(*runs, strict=True)))
        stack, _ = fit_stack(
            bags,
            replicas,
            NetworkConfig(n_hidden=8, n_latent=4, n_attention=4, dropout=0.0),
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
        score = np.empty(len(stack))
        for i in range(bags.n_bags):
            judges = np.flatnonzero(replicas.test[:, i])
            score[judges] = stack.select(judges).predict_bag(bags, i)[0][:, 1]
        return np.array([roc_auc_score(*run) for run in zip(labels, score.reshape(N_RUNS, -1), strict=True)])

    return measure


def test_rebalanced_leave_one_out_is_at_chance(auroc_without_signal):
    auroc = auroc_without_signal("rebalanced_loo")
    assert auroc.std() / np.sqrt(N_RUNS) < 0.0125  # 0.05 is then four standard errors
    assert abs(auroc.mean() - 0.5) < 0.05


def test_plain_leave_one_out_is_far_below_chance(auroc_without_signal):
    assert auroc_without_signal("loo").mean() < 0.3
