"""Shared fixtures: one small cohort, the same fitted, and real data.

Real data lies beside the checkout, or where TCELLMIL_TEST_DATA says.
"""

import os
import subprocess
import sys

# Every array is small: threads only wait for each other, the more so where several workers share the cores. Where a
# plugin of pytest has imported numba, its number of threads is settled, and another one would be an error.
for _library, _variable in (("torch", "OMP_NUM_THREADS"), ("numba", "NUMBA_NUM_THREADS")):
    if _library not in sys.modules:
        os.environ.setdefault(_variable, "1")

from collections.abc import Callable
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path

import anndata as ad
import matplotlib
import mudata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil._results import stored_predictions
from tcellmil.data._mudata import obs_as_it_is
from tcellmil.outcomes import Classes

matplotlib.use("Agg")

#: Packages whose versions decide what the tests find.
VERSIONS = ("anndata", "scanpy", "scvi-tools", "mudata", "decoupler", "pandas", "numpy", "scipy", "zarr", "h5py")
VERSIONS += ("scikit-learn", "matplotlib", "shap", "lightning", "torch")
DATA = Path(os.environ.get("TCELLMIL_TEST_DATA", Path(__file__).resolve().parents[2] / "shared" / "data"))
REGULONS = [f"TF{i}(+)" for i in range(6)]
FIT = {"n_seeds": 1, "network": {"n_attention": 4}, "n_boot": 50, "progress": False}
TRAINING = {"max_epochs": 5, "lr": 0.3, "accelerator": "cpu"}


def pytest_report_header():
    return "versions: " + ", ".join(f"{name} {version(name)}" for name in VERSIONS)


def pytest_collection_modifyitems(items):
    if int(pd.__version__.split(".")[0]) >= 3:
        for item in items:
            if item.get_closest_marker("needs_pandas_2"):
                item.add_marker(pytest.mark.skip(reason="this function of pySCENIC 0.12 does not run on pandas 3"))


def build_cohort(n_patients=8, n_cells=15, classes=("NR", "R"), seed=0, prefix="P"):
    """Patients in two cohorts; the first regulon is higher in later classes, the last is the same in all cells."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_cells)
    label = patient % len(classes)
    scores = rng.beta(2, 12, size=(len(patient), len(REGULONS)))
    scores[:, 0] += 0.15 * label
    scores[:, -1] = 0.125
    obs = pd.DataFrame(
        {
            "patient": [f"{prefix}{i}" for i in patient],
            "response": pd.Categorical(np.array(classes)[label]),
            "cohort": pd.Categorical(np.array(["A", "B"])[patient // len(classes) % 2]),
            "cell_type": np.array(["T", "NK", "B"])[rng.integers(3, size=len(patient))],
        },
        index=[f"{prefix}-cell{i}" for i in range(len(patient))],
    )
    adata = ad.AnnData(rng.poisson(1, size=(len(patient), 3)).astype(np.float32), obs=obs)
    adata.obsm["X_regulons"] = scores.astype(np.float32)
    adata.obsm["X_pca"] = rng.normal(size=(len(patient), 5)).astype(np.float32)
    params = {"method": "aucell", "verb": "regulons"}
    adata.uns["regulons"] = {"names": np.array(REGULONS, dtype=object), "params": params}
    return adata


def fit_cohort(adata, *args, training=None, **kwargs):
    if training is None or isinstance(training, dict):
        training = TRAINING | (training or {})
    return tm.tl.fit_mil(adata, "patient", "response", *args, training=training, **FIT | kwargs)


@pytest.fixture(scope="session")
def make_cohort():
    return build_cohort


@pytest.fixture(scope="session")
def fit_quickly():
    """``tl.fit_mil`` with a tiny network and few epochs."""
    return fit_cohort


@pytest.fixture(scope="session")
def fitted_once():
    adata = build_cohort()
    fit_cohort(adata, "cohort", n_seeds=2)
    return adata


@pytest.fixture
def fitted(fitted_once):
    """Two seeds of rebalanced leave-one-out, with cohorts."""
    return fitted_once.copy()


def build_mudata(shuffle=True, **kwargs):
    """The cohort's scores as a modality beside one of values, whose cells are in another order; columns in ``obs``."""
    adata = build_cohort(**kwargs)
    rng = np.random.default_rng(1)
    names = pd.DataFrame(index=adata.obs_names)
    regulons = ad.AnnData(adata.obsm.pop("X_regulons"), obs=names.copy(), uns={"regulons": adata.uns.pop("regulons")})
    regulons.var_names = REGULONS
    prot = ad.AnnData(rng.normal(size=(adata.n_obs, 4)).astype(np.float32), obs=names.copy())
    prot.var_names = ["CD3", "CD4", "CD8", "CD56"]
    prot.obsm["X_pca"] = prot.X[:, :2].copy()
    prot = prot[rng.permutation(prot.n_obs)].copy() if shuffle else prot
    with obs_as_it_is():
        mdata = mudata.MuData({"rna": adata, "prot": prot, "regulons": regulons})
    columns = ["patient", "response", "cohort", "cell_type"]
    mdata.obs[columns] = adata.obs[columns]
    return mdata


@pytest.fixture(scope="session")
def make_mudata():
    return build_mudata


@pytest.fixture(scope="session")
def fitted_mudata_once():
    return build_fitted_mudata()


def build_fitted_mudata():
    mdata = build_mudata()
    network = {"compression": "autoencoder", "n_hidden": 16, "n_latent": 8, "n_attention": 4}
    options = {"cv": 4, "n_seeds": 2, "training": {"max_epochs_ae": 3}, "network": network}
    fit_cohort(mdata, "cohort", use_rep={"regulons": "X", "prot": "X"}, **options)
    return mdata


@pytest.fixture
def fitted_mudata(fitted_mudata_once):
    """Scores and values together, two seeds of four folds."""
    return fitted_mudata_once.copy()


def explain(adata, key="tcellmil"):
    """Run all verbs that read a fit."""
    cells = (adata.obs["cell_type"] != "CD14+ Monocyte").to_numpy()
    tm.tl.perturb(adata, n_mad=[1, 3], cells=cells, combine=2, key=key, progress=False)
    tm.tl.shap(adata, level="bag", background=60, key=key, progress=False)
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=20, key=key)
    tm.tl.attention_correlation(adata, key=key)
    tm.tl.attention_stability(adata, n_top=1, key=key)
    tm.tl.permutation_test(adata, 2, key=key, progress=False)
    tm.tl.top_cells(adata, key=key)


@pytest.fixture(scope="session")
def run_explanations():
    return explain


def build_explored():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)
    targets = adata.uns.pop("truth")["targets"]
    tm.tl.grn(adata, tf_names=["IRF7"])
    ranks = np.random.default_rng(0).permuted(np.tile(np.arange(adata.n_vars), (60, 1)), axis=1)
    ranks[0] = np.argsort(np.argsort(~adata.var_names.isin(targets), kind="stable"))
    rankings = pd.DataFrame(ranks, index=[f"m{i}" for i in range(60)], columns=adata.var_names)
    annotations = pd.DataFrame({"TF": ["IRF7"], "MotifID": "m0", "MotifSimilarityQvalue": 0.0})
    annotations = annotations.assign(OrthologousIdentity=1.0, Annotation="gene is directly annotated")
    tm.tl.prune(adata, rankings, annotations)
    frequent = adata.var_names[np.argsort(-np.asarray(adata.X.mean(axis=0)).ravel(), kind="stable")[:18]]
    targets = [*adata.var_names[:18], *frequent]
    others = pd.DataFrame({"regulon": np.repeat(["B", "C"], 18), "target": targets, "weight": 1.0})
    tm.tl.regulons(adata, net=pd.concat([adata.uns["prune"]["targets"], others]))
    fit = {"cv": 3, "n_seeds": 2, "training": {"max_epochs": 2}, "n_boot": 20, "progress": False}
    tm.tl.fit_mil(adata, "patient", "response", **fit)
    explain(adata)
    tm.tl.batch_effect(adata, "cohort", n_init=3)
    tm.tl.match_bulk(adata, "patient", n_cells=4, model=lambda cells: cells.X.toarray())
    methods = {"methods": ["gaussian_nb", "majority"], "use_reps": "X_regulons", "cv": 3}
    tm.tl.benchmark(adata, "patient", "response", **methods, n_boot=20, n_permutations=20, progress=False)
    return adata


@pytest.fixture(scope="session")
def explored_once():
    return build_explored()


@pytest.fixture
def explored(explored_once):
    """Six patients and three regulons, on which every verb was run."""
    return explored_once.copy()


@pytest.fixture(scope="session")
def fit_of(fitted_once):
    """Return what ``fit_mil`` writes, with predictions of your own: a function of the outcome and of arrays."""
    params = fitted_once.uns["tcellmil"]["params"]

    def result(names, n_cells, outcome=None, codes=None, targets=None, predicted=None, n_replicas=1):
        outcome = Classes("response", ("NR", "R")) if outcome is None else outcome
        codes = np.zeros(len(names), dtype=int) if codes is None else np.asarray(codes)
        predicted = np.full((len(names), len(outcome.outputs)), 0.5) if predicted is None else np.asarray(predicted)
        seen = np.isfinite(predicted).all(axis=1)
        columns = outcome.columns(codes, targets, predicted, np.where(seen, 0.1, np.nan), seen)
        columns |= {"n_cells": n_cells, "n_replicas": n_replicas * seen}
        own = {name: value for name, value in outcome.as_dict().items() if name in params}
        own |= {"outcome": outcome.kind, "classes": np.array(outcome.outputs, dtype=object)}
        own |= {"positive_class": outcome.outputs[-1]}
        predictions = pd.DataFrame(columns, index=pd.Index(np.asarray(names, dtype=object), name="patient"))
        return {"params": params | own, "predictions": stored_predictions(predictions, outcome)}

    return result


@pytest.fixture(scope="session")
def rows_like():
    """Rows of a table that a verb wrote, with values of your own in columns that are there."""

    def rows(table, **columns):
        assert set(columns) <= set(table)
        n_rows = max(len(values) for values in columns.values() if np.ndim(values))
        return table.iloc[[0] * n_rows].reset_index(drop=True).assign(**columns)

    return rows


def text_as_objects(table):
    """A table whose text has the type ``object``; what a file brings back has another one where pandas has more."""
    table = table.copy()
    for place, dtype in enumerate(table.dtypes):
        if isinstance(dtype, pd.StringDtype):
            table.isetitem(place, table.iloc[:, place].astype(object))
    return table.set_axis(index_as_objects(table.index)).set_axis(index_as_objects(table.columns), axis=1)


def index_as_objects(index):
    if isinstance(index, pd.MultiIndex):
        return index.set_levels([index_as_objects(level) for level in index.levels])
    return index.astype(object) if isinstance(index.dtype, pd.StringDtype) else index


@pytest.fixture(scope="session")
def assert_same():
    """Two tables are the same, whichever of the types for text they have."""

    def check(left, right, **options):
        pd.testing.assert_frame_equal(text_as_objects(left), text_as_objects(right), **options)

    return check


@pytest.fixture(scope="session")
def is_running():
    """Whether a process runs, of which there is a number."""

    def look(pid):
        state = subprocess.run(["ps", "-o", "stat=", "-p", str(pid)], capture_output=True, text=True).stdout.strip()
        return bool(state) and not state.startswith("Z")

    return look


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
