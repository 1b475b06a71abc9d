import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture(scope="module")
def fitted(make_cohort, fit_quickly):
    adata = make_cohort()
    network = {"compression": "autoencoder", "n_hidden": 16, "n_latent": 8}
    fit_quickly(adata, cv=3, use_rep="X_pca", network=network, training={"max_epochs_ae": 2}, key_added="mil")
    return adata


def test_the_model_predicts_what_was_written(fitted, assert_same):
    model = tm.get.model(fitted, key="mil")
    assert isinstance(model, tm.model.TcellMIL)
    assert len(model.module) == 3
    assert_same(model.predict(), tm.get.predictions(fitted, key="mil"))
    np.testing.assert_array_equal(model.get_attention(), fitted.obs["mil_attention"])
    np.testing.assert_array_equal(model.get_latent_representation(), fitted.obsm["X_mil"])


def test_asking_for_the_model_changes_nothing(fitted):
    adata = fitted.copy()
    tm.get.model(adata, key="mil")
    assert set(adata.uns) == set(fitted.uns) and set(adata.obsm) == set(fitted.obsm)
    pd.testing.assert_frame_equal(adata.obs, fitted.obs)


@pytest.mark.parametrize("key", ["tcellmil", "neighbors"])
def test_without_a_fitted_model_the_verb_to_run_is_named(fitted, key):
    adata = fitted.copy()
    adata.uns["neighbors"] = {"params": {}}
    with pytest.raises(KeyError, match=rf"adata.uns\['{key}'\] holds no fitted model; run tl.fit_mil first"):
        tm.get.model(adata, key=key)


def test_what_the_model_reads_and_is_gone_is_named(fitted):
    adata = fitted.copy()
    del adata.obsm["X_pca"]
    with pytest.raises(KeyError, match=r"use_rep='X_pca' is not in adata.obsm; there are \['X_regulons', 'X_mil'\]"):
        tm.get.model(adata, key="mil")
    adata = fitted.copy()
    del adata.obs["response"]
    with pytest.raises(KeyError, match="label_key='response' is not a column of adata.obs; there are"):
        tm.get.model(adata, key="mil")


def test_other_patients_are_refused(fitted):
    adata = fitted.copy()
    adata.obs["patient"] = adata.obs["patient"].astype(str).replace({adata.obs["patient"].iloc[0]: "new"})
    with pytest.raises(ValueError, match=r"the model was fitted on patients .*the data also has \['new'\]"):
        tm.get.model(adata, key="mil")
