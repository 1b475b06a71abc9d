"""Shared fixtures. Real data lies beside the checkout, or where TCELLMIL_TEST_DATA says."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import matplotlib
import numpy as np
import pytest

matplotlib.use("Agg")

DATA = Path(os.environ.get("TCELLMIL_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))


@pytest.fixture(scope="session")
def shared_data() -> Callable[[str], Path]:
    """Path of a real data file; the test skips, saying which file, where it is absent."""

    def path(name: str) -> Path:
        if not (DATA / name).exists():
            pytest.skip(f"{name} is not in {DATA}; set TCELLMIL_TEST_DATA to the folder that has it")
        return DATA / name

    return path


# Patients as bags of cells, on arrays: a small cohort, a fit within a fraction of a second, and what it learned.


@pytest.fixture(scope="session")
def make_bags():
    """Build bags of two classes; ``x`` is [0, 1] or standard normal, and feature 0 is higher in class 1.

    The cells of patient ``change`` are others.
    """
    from tcellmil.data import Bags
    from tcellmil.outcomes import Classes

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
            outcome=Classes("response", ("NR", "R")),
            n_cohorts=-(-n_patients // 3),
            unit_interval=(unit_interval,),
        )

    return build


@pytest.fixture(scope="session")
def with_outcome():
    """Give bags another outcome by its kind; it follows the mean of feature 0 of each patient's cells."""
    from tcellmil.outcomes import Continuous, Ordinal, Survival

    def change_outcome(bags, kind, *, seed=0, noise=0.3, change=None):
        rng = np.random.default_rng(seed)
        score = np.add.reduceat(bags.x[:, 0], bags.offsets[:-1]) / bags.sizes
        score = (score - np.median(score)) / max(score.std(), 1e-9) + noise * rng.normal(size=bags.n_bags)
        if kind == "ordinal":
            labels = np.digitize(score, np.quantile(score, [1 / 3, 2 / 3]))
            return replace(bags, labels=labels, outcome=Ordinal("stage", ("I", "II", "III")))
        if kind == "continuous":
            outcome, targets = Continuous("age"), (50 + 10 * score)[:, None]
        else:
            time = rng.exponential(np.exp(-2 * score))
            outcome = Survival("days", "death")
            targets = np.column_stack([time, np.arange(bags.n_bags) % 4 != 3])
        if change is not None:
            targets[change, 0] += 7
        labels = np.zeros(bags.n_bags, dtype=int)
        return replace(bags, labels=labels, outcome=outcome, targets=targets.astype(np.float64))

    return change_outcome


@pytest.fixture(scope="session")
def fit():
    """Fit replicas with a tiny network; returns the stack and its history."""
    from tcellmil.nn import NetworkConfig
    from tcellmil.training import TrainingConfig, fit_stack

    def run(bags, replicas, *, dropout=0.0, network=None, encoders_of=None, **training):
        sizes = {"compression": "autoencoder", "n_hidden": 16, "n_latent": 8, "n_attention": 4}
        sizes |= {"dropout": dropout, "dropout_mil": dropout}
        training = {"max_epochs": 3, "max_epochs_ae": 3, "batch_size": 64, "lr": 3e-3} | training
        training = {"eps": 1e-8, "accelerator": "cpu"} | training  # steps large enough to tell replicas apart
        configs = NetworkConfig(**sizes | (network or {})), TrainingConfig(**training)
        return fit_stack(bags, replicas, *configs, encoders_of=encoders_of, progress=False)

    return run


@pytest.fixture(scope="session")
def weights_of():
    """Everything that a stack learned from data, by name."""

    def named(stack):
        learned = {f"encoder.{name}": w for name, w in stack.encoders.weights.items()}
        learned |= {f"classifier.{name}": w for name, w in stack.classifier.items()}
        scaling = stack.encoders.scaling
        return learned | {"scaling.loc": scaling.loc, "scaling.scale": scaling.scale}

    return named


@pytest.fixture(scope="session")
def same_weights(weights_of):
    """Whether two stacks, or the parts of them whose names start alike, learned the same bit for bit."""

    def compare(one, other, *, part=""):
        one, other = weights_of(one), weights_of(other)
        compared = [name for name in one if name.startswith(part)]
        assert one.keys() == other.keys() and compared
        return all(np.array_equal(one[name], other[name]) for name in compared)

    return compare
