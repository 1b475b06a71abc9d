"""MultiMIL: what it is handed, here or in another interpreter, what comes back, and what is said if it cannot run."""

import copy
import importlib.util
import json
import os
import random
import shutil
import signal
import stat
import subprocess
import sys
import time
import warnings
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.external import _run_multimil
from tcellmil.external._multimil import RUNNER

#: Another interpreter: records what it was handed, and gives a probability that tells the patient.
FAKE = """#!{python}
import json, os, shutil, sys
import numpy as np
n = len(os.listdir({record!r}))
shutil.copytree(".", os.path.join({record!r}, "call %d" % n))
with open(os.path.join({record!r}, "call %d" % n, "process.json"), "w") as file:
    json.dump([sys.argv[1:], os.environ.get("PYTHONPATH", "")], file)
with np.load("test.npz") as test, np.load("train.npz") as train:
    names, classes = np.unique(test["sample"]), np.unique(train["label"])
    p = np.array([test["x"][test["sample"] == name, 0].mean() for name in names])
np.savez("probabilities.npz", values=np.column_stack([1 - p, p])[:, :len(classes)], sample=names, classes=classes)
"""
REAL = "TCELLMIL_MULTIMIL_PYTHON"
HERE = importlib.util.find_spec("multimil") is not None
needs_multimil = pytest.mark.skipif(not HERE, reason="multimil is not installed here")


def script(path, text):
    path.write_text(text)
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


@pytest.fixture
def record(tmp_path):
    (tmp_path / "record").mkdir()
    return tmp_path / "record"


@pytest.fixture
def python(tmp_path, record):
    return script(tmp_path / "python", FAKE.format(python=sys.executable, record=str(record)))


@pytest.fixture
def adata():
    rng = np.random.default_rng(0)
    patient, n = np.repeat(np.arange(8), 15), 120
    obs = {
        "patient": [f"P{i}" for i in patient],
        "response": np.array(["NR", "R"])[patient % 2],
        "age": 50.0 + patient,
        "site": np.array(["A", "B", "A", "B", "A", "B", "A", "C"])[patient],
    }
    adata = ad.AnnData(np.zeros((n, 2), dtype=np.float32), obs=pd.DataFrame(obs, index=[f"cell{i}" for i in range(n)]))
    adata.obsm["X_pca"] = rng.random((n, 4)).astype(np.float32)
    return adata[rng.permutation(n)].copy()


def sides(adata, held_out=("P6", "P7")):
    own = adata.obs["patient"].isin(held_out).to_numpy()
    train, test = adata[~own].copy(), adata[own].copy()
    del test.obs["response"]
    return train, test


def handed(record, call=0):
    folder = record / f"call {call}"
    read = {}
    for side in ("train", "test"):
        with np.load(folder / f"{side}.npz") as file:
            read[side] = dict(file)
    return read, json.loads((folder / "options.json").read_text()), folder


def test_the_other_interpreter_gets_cells_and_names_and_no_held_out_label(adata, python, record, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/somewhere")
    train, test = sides(adata)
    keys = {"continuous_covariate_keys": "age", "categorical_covariate_keys": ["site"]}
    found = tm.external.multimil("patient", "response", "X_pca", python=python, **keys)(train, test, seed=7)
    read, options, folder = handed(record)
    assert set(read["test"]) == {"x", "sample", "covariates"} and set(read["train"]) == {*read["test"], "label"}
    assert {"train.npz", "test.npz", "options.json", "process.json", "_run_multimil.py"} == set(os.listdir(folder))
    for side, cells in (("train", train), ("test", test)):
        order = np.lexsort((cells.obs_names, cells.obs["patient"]))
        np.testing.assert_array_equal(read[side]["x"], cells.obsm["X_pca"][order])
        np.testing.assert_array_equal(read[side]["sample"], cells.obs["patient"].to_numpy()[order])
    of_patient = dict(zip(adata.obs["patient"], adata.obs["response"], strict=True))
    assert all(of_patient[p] == label for p, label in zip(read["train"]["sample"], read["train"]["label"], strict=True))
    # The site of P7 is that of no training patient.
    of_test = dict(zip(read["test"]["sample"], map(list, read["test"]["covariates"]), strict=True))
    assert of_test == {"P6": [56, 1, 0], "P7": [57, 0, 0]}
    assert options["seed"] == 7
    assert json.loads((folder / "process.json").read_text()) == [["_run_multimil.py"], ""]
    expected = pd.Series(test.obsm["X_pca"][:, 0]).groupby(test.obs["patient"].to_numpy()).mean()
    np.testing.assert_allclose(found["R"], expected[found.index], rtol=1e-6)
    assert list(found.columns) == ["NR", "R"]


CALLER = """
import subprocess, sys
from tcellmil.external import _multimil
with _multimil._open_while_here() as stdin:
    subprocess.run([sys.executable, sys.argv[1]], cwd=sys.argv[2], stdin=stdin)
"""


@pytest.mark.skipif(os.name != "posix", reason="signals are those of POSIX")
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_the_other_interpreter_ends_with_its_caller(tmp_path, number, is_running):
    """The runner itself, with a MultiMIL that never ends."""
    (tmp_path / "multimil.py").write_text("import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(600)")
    (tmp_path / "options.json").write_text("{}")
    for name in ("train", "test"):
        np.savez(tmp_path / f"{name}.npz", x=np.zeros(1))
    shutil.copy(RUNNER, tmp_path)
    caller = subprocess.Popen([sys.executable, "-c", CALLER, RUNNER.name, str(tmp_path)])
    try:
        pid = _wait_for(lambda: (tmp_path / "pid").exists() and (tmp_path / "pid").read_text())
        caller.send_signal(number)
        caller.wait(timeout=30)
        _wait_for(lambda: not is_running(pid))
    finally:
        caller.kill()
        caller.wait()


def _wait_for(found, seconds=60):
    end = time.monotonic() + seconds
    while not (value := found()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return value


def test_a_held_out_patient_changes_nothing_but_its_own_cells(adata, python, record):
    method = tm.external.multimil("patient", "response", "X_pca", python=python, continuous_covariate_keys="age")
    method(*sides(adata))
    own = (adata.obs["patient"] == "P7").to_numpy()
    adata.obsm["X_pca"][own] = 9.0
    adata.obs.loc[own, ["age", "response"]] = 99.0, "NR"
    method(*sides(adata))
    (before, options, _), (after, again, _) = handed(record, 0), handed(record, 1)
    assert options == again
    for name in before["train"]:
        np.testing.assert_array_equal(before["train"][name], after["train"][name])
    others = before["test"]["sample"] != "P7"
    for name in before["test"]:
        np.testing.assert_array_equal(before["test"][name][others], after["test"][name][others])


@pytest.mark.parametrize(
    ("model", "training", "expected_model", "expected_training"),
    [
        (None, None, 15, {"batch_size": 30, "train_size": 1.0, "early_stopping": False, "save_best": False}),
        ({"sample_batch_size": 1}, {"lr": 1e-3}, 1, {"batch_size": 2, "lr": 1e-3}),
        (
            None,
            {"train_size": 0.5},
            15,
            {"batch_size": 30, "train_size": 0.5, "early_stopping": False, "save_best": False},
        ),
    ],
)
def test_a_bag_is_as_many_cells_as_the_smallest_patient_has(
    adata, python, record, model, training, expected_model, expected_training
):
    tm.external.multimil("patient", "response", "X_pca", python=python, model=model, training=training)(*sides(adata))
    _, options, _ = handed(record)
    assert options["model"] == {"sample_batch_size": expected_model}
    assert options["training"] == expected_training


def test_patients_with_many_cells_are_trained_on_as_multimil_would():
    method = tm.external.multimil("patient", "response", python=sys.executable)
    assert method._options(2000) == {"model": {"sample_batch_size": 128}, "training": {"batch_size": 256}}


def test_a_benchmark_lists_its_representation_and_gives_it_the_seed(adata, python, record):
    own = {"multimil": tm.external.multimil("patient", "response", "X_pca", python=python, training={"lr": 0.01})}
    tm.tl.benchmark(
        adata,
        "patient",
        "response",
        methods="majority",
        use_reps="X_pca",
        custom_methods=own,
        cv=2,
        n_seeds=2,
        seed=5,
        n_boot=10,
        n_permutations=10,
    )
    row = tm.get.benchmark(adata, "methods").reset_index().set_index("method").loc["multimil"]
    assert (row["rep"], row["kind"]) == ("X_pca", "custom")
    assert json.loads(row["options"])["training"] == {"lr": 0.01}
    assert [handed(record, call)[1]["seed"] for call in range(4)] == [5, 5, 6, 6]
    for call in range(4):
        read, _, _ = handed(record, call)
        assert not set(read["train"]["sample"]) & set(read["test"]["sample"])


class FakeClassifier:
    """Records the calls; the logits of a cell are its first two features."""

    calls = []

    @classmethod
    def setup_anndata(cls, adata, **keys):
        cls.calls.append(("setup", adata.copy(), keys))

    def __init__(self, adata, **options):
        self.calls.append(("model", None, options))
        self.classes = sorted(set(adata.obs["label"]))
        self.module = SimpleNamespace(min_cont_sample_cov=[50.0], max_cont_sample_cov=[55.0])

    def train(self, **options):
        self.calls.append(("train", None, options))

    @classmethod
    def load_query_data(cls, adata, reference_model):
        query = copy.copy(reference_model)
        query.module = SimpleNamespace(min_cont_sample_cov=[56.0], max_cont_sample_cov=[56.0])
        cls.calls.append(("query", adata.copy(), query.module))
        return query

    def get_model_output(self, adata, batch_size):
        adata.obsm["full_predictions_label"] = pd.DataFrame(adata.X[:, :2], adata.obs_names, self.classes)


@pytest.fixture
def fake_multimil(monkeypatch):
    package, scvi = ModuleType("multimil"), ModuleType("scvi")
    package.model, scvi.settings = ModuleType("multimil.model"), ModuleType("settings")
    package.model.MILClassifier = FakeClassifier
    monkeypatch.setitem(sys.modules, "multimil", package)
    monkeypatch.setitem(sys.modules, "scvi", scvi)
    monkeypatch.setattr(FakeClassifier, "calls", [])
    return scvi


def test_the_script_calls_multimil_and_averages_over_a_patients_cells(
    adata, python, record, fake_multimil, monkeypatch
):
    train, test = sides(adata)
    keys = {"continuous_covariate_keys": "age", "model": {"class_loss_coef": 0.1}, "training": {"lr": 0.5}}
    tm.external.multimil("patient", "response", "X_pca", python=python, **keys)(train, test, seed=3)
    monkeypatch.chdir(handed(record)[2])
    _run_multimil.main()
    (_, seen, setup), (_, _, model), (_, _, training), (_, query, module) = FakeClassifier.calls
    assert (module.min_cont_sample_cov, module.max_cont_sample_cov) == ([50.0], [55.0])
    assert setup == {"categorical_covariate_keys": ["label", "sample"], "continuous_covariate_keys": ["covariate 0"]}
    assert model == {
        "sample_key": "sample",
        "classification": ["label"],
        "class_loss_coef": 0.1,
        "sample_batch_size": 15,
    }
    assert training["lr"] == 0.5 and training["batch_size"] == 30 and fake_multimil.settings.seed == 3
    assert sorted(seen.obs["sample"].unique()) == [f"P{i}" for i in range(6)]
    assert query.obs["label"].nunique() == 1  # one and the same for all held-out patients
    with np.load("probabilities.npz") as file:
        table = pd.DataFrame(file["values"], file["sample"], file["classes"])
    logits = test.obsm["X_pca"][:, :2].astype(float)
    p = pd.Series(1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).groupby(test.obs["patient"].to_numpy()).mean()
    np.testing.assert_allclose(table["R"], p[table.index], rtol=1e-5)
    np.testing.assert_allclose(table.sum(axis=1), 1, rtol=1e-6)


@pytest.mark.skipif(HERE, reason="multimil is installed here")
def test_an_interpreter_without_multimil_is_named_with_what_to_install(adata):
    method = tm.external.multimil("patient", "response", "X_pca", python=sys.executable)
    with pytest.raises(ImportError, match=r"(?s)has no multimil\. .*0.3.2 needs scvi-tools<1.*pip install"):
        method(*sides(adata))


@pytest.mark.parametrize(
    ("text", "error", "message"),
    [
        ("echo first >&2; echo 'out of memory' >&2; exit 3", RuntimeError, r"exit status 3\):\nfirst\nout of memory"),
        ("exit 0", RuntimeError, r"MultiMIL failed"),
        (
            "echo \"ImportError: cannot import name 'parse' from 'scvi.model'\" >&2; exit 1",
            ImportError,
            r"(?s)cannot be imported: .*scvi-tools<1",
        ),
    ],
)
def test_its_last_words_are_in_the_message(adata, tmp_path, text, error, message):
    python = script(tmp_path / "broken", f"#!/bin/sh\n{text}\n")
    with pytest.raises(error, match=message):
        tm.external.multimil("patient", "response", "X_pca", python=python)(*sides(adata))


def test_a_patient_without_a_probability_is_named(adata, tmp_path):
    text = FAKE.replace("np.savez", "p[0] = np.nan\nnp.savez")
    (tmp_path / "all").mkdir()
    python = script(tmp_path / "nan", text.format(python=sys.executable, record=str(tmp_path / "all")))
    with pytest.raises(RuntimeError, match=r"no finite probabilities for patients \['P6'\]"):
        tm.external.multimil("patient", "response", "X_pca", python=python)(*sides(adata))


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"python": "/no/such/python"}, FileNotFoundError, r"(?s)'/no/such/python' is not an interpreter.*pip install"),
        ({"training": {"batch_size": 64}}, ValueError, r"set model=\{'sample_batch_size'"),
        ({"model": {"activation": print}}, TypeError, r"model must hold plain values"),
    ],
)
def test_bad_options_are_named_at_once(options, error, message):
    with pytest.raises(error, match=message):
        tm.external.multimil(**{"python": sys.executable, "sample_key": "a", "label_key": "b"} | options)


@pytest.mark.parametrize(
    ("keys", "error", "message"),
    [
        ({"use_rep": "X_scVI"}, KeyError, r"use_rep='X_scVI' is not in adata.obsm"),
        ({"label_key": "outcome"}, KeyError, r"label_key='outcome' is not a column"),
        ({"sample_key": "donor"}, KeyError, r"sample_key='donor' is not a column"),
        ({"continuous_covariate_keys": "site"}, ValueError, r"'site' is missing or not a finite number"),
        ({"categorical_covariate_keys": "stage"}, KeyError, r"categorical_covariate_keys='stage' is not a column"),
    ],
)
def test_what_cannot_be_read_is_named_and_nothing_is_run(adata, python, record, keys, error, message):
    method = tm.external.multimil(
        **{"python": python, "sample_key": "patient", "label_key": "response"} | {"use_rep": "X_pca"} | keys
    )
    with pytest.raises(error, match=message):
        method(*sides(adata))
    assert not os.listdir(record)


def test_by_its_name_alone_it_is_not_run(adata):
    with pytest.raises(ImportError, match=r"'multimil', which is a package of its own; pass custom_methods="):
        tm.tl.benchmark(adata, "patient", "response", methods=["multimil"], use_reps="X_pca")


def learns_what_is_plain(adata, python):
    adata.obsm["X_pca"][:, 0] += 2.0 * (adata.obs["response"] == "R")
    train, test = sides(adata)
    keys = {"continuous_covariate_keys": "age", "categorical_covariate_keys": "site", "training": {"max_epochs": 60}}
    method = tm.external.multimil("patient", "response", "X_pca", python=python, **keys)
    found = method(train, test)
    assert found.loc["P7", "R"] > 0.5 > found.loc["P6", "R"]
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-6)
    pd.testing.assert_frame_equal(found, method(train, test))
    return found


@pytest.mark.skipif(REAL not in os.environ, reason=f"{REAL} names no interpreter of an environment with MultiMIL")
def test_the_one_of_another_environment_learns_what_is_plain(adata):
    learns_what_is_plain(adata, os.environ[REAL])


# In this process ----------------------------------------------------------------------------------------------------


@needs_multimil
def test_the_one_of_this_environment_learns_what_is_plain(adata):
    learns_what_is_plain(adata, None)


@needs_multimil
def test_the_order_of_cells_does_not_matter(adata):
    method = tm.external.multimil("patient", "response", "X_pca", training={"max_epochs": 10})
    alternating = adata[np.argsort(adata.obs.groupby("patient").cumcount(), kind="stable")].copy()
    ordered = adata[np.lexsort((adata.obs_names, adata.obs["patient"]))].copy()
    assert alternating.obs["patient"].head(8).nunique() == 8
    pd.testing.assert_frame_equal(method(*sides(alternating)), method(*sides(ordered)))


@needs_multimil
def test_nothing_is_printed_or_left_behind(adata, tmp_path, monkeypatch, capfd):
    monkeypatch.chdir(tmp_path)
    tm.external.multimil("patient", "response", "X_pca", training={"max_epochs": 2})(*sides(adata))
    assert list(tmp_path.iterdir()) == [] and capfd.readouterr() == ("", "")


@pytest.fixture
def multimil_here(monkeypatch):
    package = ModuleType("multimil")
    package.__spec__ = ModuleSpec("multimil", None)
    package.model = SimpleNamespace(MILClassifier=FakeClassifier)
    monkeypatch.setitem(sys.modules, "multimil", package)
    monkeypatch.setattr(FakeClassifier, "calls", [])


def test_in_this_process_it_gets_the_cells_of_a_patient_in_one_run(adata, multimil_here):
    train, test = sides(adata)
    found = tm.external.multimil("patient", "response", "X_pca")(train, test, seed=3)
    (_, seen, _), _, _, (_, query, _) = FakeClassifier.calls
    for cells, given in ((seen, train), (query, test)):
        order = np.lexsort((given.obs_names, given.obs["patient"]))
        np.testing.assert_array_equal(cells.X, given.obsm["X_pca"][order])
        assert cells.obs["sample"].tolist() == given.obs["patient"].iloc[order].tolist()
    logits = test.obsm["X_pca"][:, :2].astype(float)
    p = pd.Series(1 / (1 + np.exp(logits[:, 0] - logits[:, 1]))).groupby(test.obs["patient"].to_numpy()).mean()
    np.testing.assert_allclose(found["R"], p[found.index], rtol=1e-5)


def test_in_this_process_it_leaves_random_states_as_they_were(adata, multimil_here, monkeypatch):
    import scvi
    import torch

    monkeypatch.delenv("XLA_FLAGS", raising=False)
    before = np.random.get_state()[1].copy(), torch.get_rng_state(), random.getstate(), dict(os.environ)
    settings = scvi.settings.seed, scvi.settings.logging_dir, torch.backends.cudnn.deterministic, warnings.filters[:]
    tm.external.multimil("patient", "response", "X_pca")(*sides(adata), seed=3)
    np.testing.assert_array_equal(np.random.get_state()[1], before[0])
    assert torch.equal(torch.get_rng_state(), before[1])
    assert (random.getstate(), dict(os.environ)) == before[2:]
    after = scvi.settings.seed, scvi.settings.logging_dir, torch.backends.cudnn.deterministic, warnings.filters[:]
    assert after == settings


def test_cells_that_alternate_are_never_handed_over():
    arrays = {"x": np.zeros((4, 2)), "sample": np.array(list("abab")), "covariates": np.zeros((4, 0))}
    with pytest.raises(ValueError, match="the cells of a sample must lie side by side"):
        _run_multimil._cells(arrays)


@pytest.mark.skipif(HERE, reason="multimil is installed here")
def test_without_multimil_here_it_says_what_to_install():
    with pytest.raises(ImportError, match=r"(?s)multimil is not installed here\. .*pip install 'multimil>=1.0'"):
        tm.external.multimil("patient", "response")


def test_a_multimil_that_cannot_be_imported_is_named(adata, multimil_here, monkeypatch):
    method = tm.external.multimil("patient", "response", "X_pca")
    monkeypatch.setitem(sys.modules, "multimil", None)
    with pytest.raises(ImportError, match=r"(?s)installed here cannot be imported: .*pip install"):
        method(*sides(adata))
