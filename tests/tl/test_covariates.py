"""What else is known of a patient stands beside its cells."""

import anndata as ad
import numpy as np
import pytest

import tcellmil as tm

KEYS = {"continuous_covariate_keys": ["age"], "categorical_covariate_keys": ["sex"]}


def with_covariates(adata, told=0.0, seed=0):
    """``age`` follows the label as far as ``told`` says; ``sex`` does not."""
    rng = np.random.default_rng(seed)
    patients = adata.obs.groupby("patient", observed=True)["response"].first()
    age = 60 + 10 * (told * (patients == "R").astype(float) + rng.normal(size=len(patients)))
    sex = rng.choice(["f", "m"], len(patients))
    adata.obs["age"] = adata.obs["patient"].map(dict(zip(patients.index, age, strict=True))).astype(float)
    adata.obs["sex"] = adata.obs["patient"].map(dict(zip(patients.index, sex, strict=True))).astype("category")
    return adata


@pytest.fixture
def adata(make_cohort):
    return with_covariates(make_cohort(n_patients=10))


def auroc(adata):
    return tm.get.metrics(adata).loc["auroc", "value"]


def test_a_covariate_that_tells_the_label_is_learned_from(make_cohort, fit_quickly):
    found = []
    for keys in ({}, {"continuous_covariate_keys": "age"}):
        adata = with_covariates(make_cohort(n_patients=16), told=6)
        adata.obsm["X_regulons"] = np.random.default_rng(0).random((adata.n_obs, 6)).astype(np.float32)
        fit_quickly(adata, cv=4, training={"max_epochs": 40}, **keys)
        found.append(auroc(adata))
    assert found[1] > 0.95 > found[0]


def test_numbers_are_in_units_of_each_replicas_training_patients(adata, fit_quickly):
    fit_quickly(adata, "cohort", **KEYS)
    module = tm.get.model(adata).module.members[0]
    age = adata.obs.groupby("patient", observed=True)["age"].first().to_numpy()
    for k in range(len(module)):
        own = age[module.replicas.train[k]]
        assert module.classifier["classifier.covariate_mean"][k, 0, 0] == pytest.approx(own.mean(), rel=1e-6)
        assert module.classifier["classifier.covariate_sd"][k, 0, 0] == pytest.approx(own.std(), rel=1e-5)
    assert (module.classifier["classifier.covariate_mean"][:, 0, 1:] == 0).all()


def test_a_held_out_patients_covariates_reach_no_weight_of_its_replica(make_cohort, fit_quickly):
    weights = []
    for age in (50.0, 500.0):
        adata = with_covariates(make_cohort(n_patients=8))
        adata.obs.loc[adata.obs["patient"] == "P3", "age"] = age
        fit_quickly(adata, cv="loo", **KEYS)
        weights.append(tm.get.model(adata).module.members[0])
    before, after = (stack.classifier for stack in weights)
    assert all(np.array_equal(before[name][3], after[name][3]) for name in before)
    assert not all(np.array_equal(before[name][2], after[name][2]) for name in before)


@pytest.mark.parametrize("batch_encoding", ["concat", "film", None])
def test_covariates_reach_files_perturbation_shap_and_new_patients(make_cohort, fit_quickly, tmp_path, batch_encoding):
    adata = with_covariates(make_cohort(n_patients=8))
    network = {
        "compression": "autoencoder",
        "n_hidden": 8,
        "n_latent": 4,
        "n_attention": 4,
        "batch_encoding": batch_encoding,
    }
    fit_quickly(adata, "cohort", cv=2, network=network, **KEYS)
    adata.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    tm.tl.perturb(back)
    base = tm.get.perturb(back).reset_index().drop_duplicates("patient").set_index("patient")["prob_base"]
    np.testing.assert_allclose(base, tm.get.predictions(adata)["prob_R"][base.index], rtol=1e-5)
    tm.tl.shap(back, "bag", background=60, progress=False)
    output = tm.get.shap(back, "additivity")["output"]
    np.testing.assert_allclose(output, base[output.index], rtol=1e-4)

    new = with_covariates(make_cohort(n_patients=4, seed=1, prefix="N"))
    new.obs["sex"] = "unknown"
    tm.tl.predict(new, back)
    assert tm.get.predictions(new)["prob_R"].between(0, 1).all()
    older = new.copy()
    older.obs["age"] += 30
    tm.tl.predict(older, back)
    assert not np.allclose(tm.get.predictions(older)["prob_R"], tm.get.predictions(new)["prob_R"])


def test_a_saved_model_keeps_them(adata, tmp_path):
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response", **KEYS)
    model = tm.model.TcellMIL(adata, compression="autoencoder", n_hidden=8, n_latent=4, n_attention=4)
    model.train(cv=2, max_epochs=2, max_epochs_ae=2, progress=False)
    model.save(tmp_path / "model")
    again = tm.model.TcellMIL.load(tmp_path / "model", adata)
    np.testing.assert_allclose(again.predict()["prob_R"], model.predict()["prob_R"])
    assert again.schema.categories == (("f", "m"),)


@pytest.mark.parametrize(
    ("change", "keys", "error", "message"),
    [
        (None, {"continuous_covariate_keys": ["bmi"]}, KeyError, r"continuous_covariate_keys='bmi' is not a column"),
        (None, {"categorical_covariate_keys": "bmi"}, KeyError, r"categorical_covariate_keys='bmi' is not a column"),
        (
            lambda obs: obs.__setitem__("age", np.arange(len(obs))),
            {"continuous_covariate_keys": ["age"]},
            ValueError,
            r"continuous_covariate_keys 'age' has several values within patients \['P0'",
        ),
        (
            lambda obs: obs.__setitem__("sex", np.where(np.arange(len(obs)) % 2, "f", "m")),
            {"categorical_covariate_keys": ["sex"]},
            ValueError,
            r"categorical_covariate_keys 'sex' has several values within patients",
        ),
        (
            lambda obs: obs.__setitem__("age", "old"),
            {"continuous_covariate_keys": ["age"]},
            ValueError,
            r"'age' is missing or not a finite number for patients \['P0'.*categorical covariate",
        ),
        (
            lambda obs: obs.__setitem__("sex", None),
            {"categorical_covariate_keys": ["sex"]},
            ValueError,
            r"'sex' is missing for patients \['P0'",
        ),
        (
            None,
            {"continuous_covariate_keys": ["age"], "categorical_covariate_keys": ["age"]},
            ValueError,
            r"columns \['age'\] are named twice",
        ),
        (None, {"categorical_covariate_keys": ["response"]}, ValueError, r"columns \['response'\] are named twice"),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(adata, fit_quickly, change, keys, error, message):
    if change is not None:
        change(adata.obs)
    with pytest.raises(error, match=message):
        fit_quickly(adata, **keys)
    assert "tcellmil" not in adata.uns
