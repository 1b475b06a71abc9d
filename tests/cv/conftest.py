"""A small cohort on arrays, and a way to fit it within a fraction of a second."""

import numpy as np
import pytest

from tcellmil.cv import Bags, TrainingConfig, fit_stack, make_replicas
from tcellmil.nn import NetworkConfig


@pytest.fixture(scope="session")
def make_bags():
    """Build bags; ``x`` is [0, 1] or standard normal, and feature 0 is higher in class 1."""

    def build(n_patients=8, n_cells=12, n_features=6, *, unit_interval=False, seed=0, labels=None, change=None):
        rng = np.random.default_rng(seed)
        labels = np.arange(n_patients) % 2 if labels is None else np.asarray(labels)
        patients = [f"P{i:02d}" for i in range(n_patients)]
        x = rng.normal(size=(n_patients, n_cells, n_features))
        x[..., 0] += (np.arange(n_patients) % 2)[:, None]
        x = 1 / (1 + np.exp(-x)) if unit_interval else x
        if change is not None:
            new = rng.random((n_cells, n_features))
            x[change] = new if unit_interval else 1e3 * new - 200
        return Bags.from_cells(
            x.reshape(-1, n_features),
            np.repeat(patients, n_cells),
            np.arange(n_patients * n_cells).astype(str),
            labels=dict(zip(patients, labels, strict=True)),
            cohorts=dict(zip(patients, np.arange(n_patients) // 3, strict=True)),
            n_classes=2,
            n_cohorts=-(-n_patients // 3),
        )

    return build


@pytest.fixture(scope="session")
def fit():
    """Fit replicas with a tiny network; returns the stack and its history."""

    def run(bags, replicas, *, unit_interval=False, dropout=0.0, network=None, encoders_of=None, **training):
        sizes = {
            "compression": "autoencoder",
            "n_hidden": 16,
            "n_latent": 8,
            "n_attention": 4,
            "dropout": dropout,
            "dropout_mil": dropout,
        }
        network = NetworkConfig(**sizes | (network or {}))
        training = {"max_epochs": 3, "max_epochs_ae": 3, "batch_size": 64, "lr": 3e-3} | training
        training = {"eps": 1e-8, "accelerator": "cpu"} | training  # steps large enough to tell replicas apart
        return fit_stack(
            bags,
            replicas,
            network,
            TrainingConfig(**training),
            unit_interval=unit_interval,
            encoders_of=encoders_of,
            progress=False,
        )

    return run


@pytest.fixture(scope="session")
def split():
    """Replicas of bags by any scheme."""

    def make(cv, bags, **kwargs):
        return make_replicas(cv, bags.labels, names=bags.names, cohorts=bags.cohorts, **kwargs)

    return make
