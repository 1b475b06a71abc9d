"""The whole way with the defaults of a small cohort: principal components and 120 epochs, wherever it is fitted."""

import json
from unittest import mock

import anndata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.training import _fit

DEFAULTS = {"n_boot": 20, "training": {"accelerator": "cpu"}, "progress": False}


@pytest.fixture
def trained_with():
    """Compression and epochs of every stack that is trained while the test runs."""
    seen, original = set(), _fit.train_classifier

    def watched(*args, **kwargs):
        network, training = args[4], args[5]
        seen.add((network.compression, training.max_epochs))
        return original(*args, **kwargs)

    with mock.patch.object(_fit, "train_classifier", watched):
        yield seen


def test_inner_folds_and_permutations_are_fitted_as_the_fit_was(make_cohort, trained_with):
    adata = make_cohort()
    tm.tl.fit_mil(adata, "patient", "response", cv=2, calibration="temperature", n_seeds=1, **DEFAULTS)
    assert trained_with == {("pca", 120), (None, 120)}
    trained_with.clear()
    tm.tl.permutation_test(adata, 2, progress=False)
    assert trained_with == {("pca", 120), (None, 120)}


def test_everything_that_reads_a_model_reads_one_without_an_autoencoder(make_cohort, tmp_path):
    adata, new = make_cohort(n_patients=10), make_cohort(prefix="new", seed=5)
    tm.tl.fit_mil(adata, "patient", "response", "cohort", n_seeds=2, ensemble=False, **DEFAULTS)
    assert json.loads(adata.uns["tcellmil"]["config"])["networks"][0]["compression"] == "pca"
    assert adata.obsm["X_tcellmil"].shape == (adata.n_obs, 6)
    assert set(adata.uns["tcellmil"]["history"]["stage"]) == {"mil"}

    adata.write_h5ad(tmp_path / "result.h5ad")
    back = anndata.read_h5ad(tmp_path / "result.h5ad")
    for data in (adata, back):
        tm.tl.perturb(data)
    tm.tl.shap(back, "bag", background=100, progress=False)
    tm.tl.attention_stability(back)
    pd.testing.assert_frame_equal(
        tm.get.perturb(adata, "stats").reset_index(), tm.get.perturb(back, "stats").reset_index(), check_dtype=False
    )
    additivity = tm.get.shap(back, "additivity").reset_index()
    change = additivity["output"] - additivity["expected"]
    assert ((additivity["explained"] - change).abs() <= np.maximum(0.01 * change.abs(), 1e-3)).all()
    tm.tl.predict(new, model=back)
    assert tm.get.predictions(new)["prob_R"].between(0, 1).all()


def test_values_of_a_held_out_patient_reach_nothing_of_its_replica(make_cohort):
    fitted = []
    for change in (False, True):
        adata = make_cohort()
        if change:
            own = (adata.obs["patient"] == "P3").to_numpy()
            adata.obsm["X_regulons"][own] = np.random.default_rng(9).random((own.sum(), 6))
        tm.tl.fit_mil(adata, "patient", "response", "cohort", **DEFAULTS)
        fitted.append(tm.get.model(adata).module.members[0])
    held_out = np.flatnonzero(fitted[0].replicas.fold == "P3")
    before, after = (stack.select(held_out) for stack in fitted)
    for one, other in ((before.encoders.weights, after.encoders.weights), (before.classifier, after.classifier)):
        assert one and all(np.array_equal(one[name], other[name]) for name in one)
    elsewhere = [stack.select(np.flatnonzero(stack.replicas.fold == "P0")).encoders for stack in fitted]
    assert not np.array_equal(*(encoders.weights["components"] for encoders in elsewhere))


def test_a_comparison_records_what_it_compared(make_cohort):
    adata = make_cohort()
    options = {"n_boot": 1, "n_permutations": 1, "progress": False, "use_reps": ["X_regulons"], "cv": 2}
    methods = ["tcellmil", "autoencoder", "no_autoencoder"]
    training = {"accelerator": "cpu", "max_epochs_ae": 2}
    tm.tl.benchmark(adata, "patient", "response", methods=methods, training=training, **options)
    table = tm.get.benchmark(adata, "methods").reset_index().set_index("method")["options"].map(json.loads)
    found = {name: (row["network"].get("compression"), row["training"]["max_epochs"]) for name, row in table.items()}
    assert found == {"tcellmil": (None, 120), "autoencoder": ("autoencoder", 120), "no_autoencoder": (None, 120)}
    several = ["pca 6, attention", "features, mean with sd, standardised"]
    assert table["tcellmil"]["network"] == {"configurations": several}
    assert adata.uns["benchmark"]["params"]["n_seeds"] == 3


def test_options_that_no_compared_method_reads_are_told(make_cohort):
    adata = make_cohort()
    options = {"n_boot": 1, "n_permutations": 1, "progress": False, "use_reps": ["X_regulons"], "cv": 2}
    options |= {"network": {"n_hidden": 8}, "training": {"max_epochs": 2, "lr_ae": 1e-3}}
    with pytest.warns(
        UserWarning, match=r"options \['n_hidden', 'lr_ae'\] have no effect: none of the methods"
    ) as told:
        tm.tl.benchmark(adata, "patient", "response", methods=["tcellmil", "mil_mean"], **options)
    assert told[0].filename == __file__
