"""The data are read once, and what changed after the set-up is noticed."""

from collections import Counter

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil._checks import check_obs_column as read_column
from tcellmil.data import _columns, _mudata, _read

QUICK = {"cv": 2, "training": {"max_epochs": 1, "accelerator": "cpu"}, "n_boot": 10, "progress": False}
KEYS = {
    "sample_key": "patient",
    "label_key": "days",
    "batch_key": "cohort",
    "outcome": "survival",
    "event_key": "death",
    "group_key": "person",
    "continuous_covariate_keys": ["age"],
    "categorical_covariate_keys": ["sex"],
}
COLUMNS = ["patient", "days", "cohort", "death", "person", "age", "sex"]


@pytest.fixture
def cohort():
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(8), 6)
    obs = pd.DataFrame(
        {
            "patient": [f"P{i}" for i in patient],
            "response": np.where(patient % 2, "R", "NR"),
            "days": 10.0 + patient,
            "death": patient % 4 // 3 ^ 1,
            "cohort": np.where(patient < 4, "A", "B"),
            "person": [f"G{i}" for i in patient],
            "age": 30.0 + patient % 5,
            "sex": np.where(patient % 3, "f", "m"),
        },
        index=[f"c{i}" for i in range(len(patient))],
    )
    obsm = {"X_a": rng.normal(size=(len(obs), 3)), "X_b": rng.normal(size=(len(obs), 2))}
    return ad.AnnData(rng.random((len(obs), 4)), obs=obs, obsm=obsm)


@pytest.fixture
def reads(monkeypatch):
    """How often each column and each representation is read."""
    counts = Counter()

    def counted(function, place_of):
        def read(data, name, *rest):
            counts[place_of(name)] += 1
            return function(data, name, *rest)

        return read

    for module in (_columns, _read):
        monkeypatch.setattr(module, "check_obs_column", counted(read_column, str))
    original = _read.read_representation
    monkeypatch.setattr(_read, "read_representation", counted(original, str))
    monkeypatch.setattr(_mudata, "_read", counted(_mudata._read, str))
    return counts


def test_a_fit_reads_each_column_and_representation_once(cohort, reads):
    tm.tl.fit_mil(cohort, use_rep=["X_a", "X_b"], **KEYS, **QUICK)
    assert reads == dict.fromkeys([*COLUMNS, "X_a", "X_b"], 1)


def test_a_fit_touches_each_array_of_an_anndata_once(cohort, monkeypatch):
    touched = Counter()

    class Watched(dict):
        def __getitem__(self, key):
            touched[key] += 1
            return dict.__getitem__(self, key)

    obsm = Watched(cohort.obsm)
    monkeypatch.setattr(ad.AnnData, "obsm", property(lambda self: obsm))
    tm.tl.fit_mil(cohort, "patient", "response", use_rep=["X_a", "X_b"], **QUICK)
    assert touched == {"X_a": 1, "X_b": 1}


def test_a_fit_of_a_mudata_reads_each_representation_once(cohort, reads):
    parts = {name: ad.AnnData(np.asarray(cohort.obsm[f"X_{name}"]), obs=cohort.obs[[]].copy()) for name in "ab"}
    for name, part in parts.items():
        part.var_names = [f"{name}{i}" for i in range(part.n_vars)]
    mdata = mudata.MuData(parts)
    for column in cohort.obs:
        mdata.obs[column] = cohort.obs[column]
    tm.tl.fit_mil(mdata, use_rep={"a": "X", "b": "X"}, **KEYS, **QUICK)
    assert reads == dict.fromkeys([*COLUMNS, "a:X", "b:X"], 1)


def test_a_verb_on_a_fit_reads_each_column_and_representation_once(cohort, reads):
    tm.tl.fit_mil(cohort, use_rep=["X_a", "X_b"], **KEYS, **QUICK)
    reads.clear()
    tm.tl.perturb(cohort)
    assert reads == dict.fromkeys([*COLUMNS, "X_a", "X_b"], 1)


def test_what_auto_means_is_resolved_once(cohort, monkeypatch):
    from tcellmil.model import _fitted_model

    calls = []
    resolve = _fitted_model.resolve
    monkeypatch.setattr(_fitted_model, "resolve", lambda *args: calls.append(args) or resolve(*args))
    tm.tl.fit_mil(cohort, "patient", "response", use_rep="X_a", **QUICK)
    assert len(calls) == 1
    config = tm.get.model(cohort).module.networks[0]
    assert (config.compression, config.n_latent) == ("pca", 3)


def test_cohorts_renamed_after_the_set_up_are_refused(cohort):
    cohort.obs["cohort"] = cohort.obs["cohort"].astype("category")
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", "cohort", use_rep="X_a")
    cohort.obs["cohort"] = cohort.obs["cohort"].cat.rename_categories({"A": "first", "B": "second"})
    with pytest.raises(ValueError, match=r"batch of patients .*P0.* was \['A', 'B'\] .* is \['first', 'second'\] now"):
        tm.model.TcellMIL(cohort)


def test_a_label_changed_after_the_constructor_is_refused(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_a")
    model = tm.model.TcellMIL(cohort)
    cohort.obs.loc[cohort.obs["patient"] == "P3", "response"] = "unknown"
    with pytest.raises(ValueError, match=r"label of patients \['P3'\] was \['R'\] .* and is \['unknown'\] now"):
        model.train(max_epochs=1, progress=False)
    assert not model.is_trained_


def test_a_label_lost_after_the_constructor_is_refused(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_a")
    model = tm.model.TcellMIL(cohort)
    cohort.obs.loc[cohort.obs["patient"] == "P3", "response"] = None
    with pytest.raises(ValueError, match=r"label_key 'response' is missing for patients \['P3'\]"):
        model.train(max_epochs=1, progress=False)


def test_patients_that_left_after_the_set_up_are_missed(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_a")
    cohort.obs.loc[cohort.obs["patient"] == "P3", "patient"] = "P1"
    with pytest.raises(ValueError, match="P3"):
        tm.model.TcellMIL(cohort)


def test_the_registry_of_scvi_tools_says_what_the_schema_says(cohort, capsys):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", "cohort", use_rep="X_a")
    model = tm.model.TcellMIL(cohort)
    registries = model.registry_["field_registries"]
    mapping = registries["batch"]["state_registry"]["categorical_mapping"]
    assert list(mapping) == list(model.schema.cohorts) == ["A", "B"]
    assert model.registry_["setup_args"]["label_key"] == "response"
    model.view_anndata_setup()
    assert "response" in capsys.readouterr().out
