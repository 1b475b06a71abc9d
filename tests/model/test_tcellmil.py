import json
import warnings

import numpy as np
import pandas as pd
import pytest
from scvi.model.base import BaseModelClass

import tcellmil as tm


def new_patients(cohort):
    adata = cohort[:60].copy()
    adata.obs["patient"] = np.repeat(["new1", "new2", "new3"], 20)
    adata.obs["cohort"] = cohort.obs["cohort"].iloc[0]
    del adata.obs["response"]
    return adata


def weights(model):
    return model.to_state()["weights"]


def test_it_is_a_model_of_scvi_tools(model):
    assert isinstance(model, BaseModelClass)
    assert model.is_trained
    assert model.get_setup_arg("use_rep") == "X_small"


def test_predictions_attention_and_latents_fit_the_cells(model):
    table, attention = model.predict(), model.get_attention()
    assert len(table) == 8 and (table["n_replicas"] == 1).all()
    assert attention.index.equals(model.adata.obs_names)
    by_patient = attention.groupby(model.adata.obs["patient"].astype(str).to_numpy()).sum()
    np.testing.assert_allclose(by_patient, 1, atol=1e-5)
    assert model.get_latent_representation().shape == (model.adata.n_obs, 8)


def test_history_has_a_table_a_loss_with_replicas_in_columns(model):
    assert {"reconstruction_loss_train", "cross_entropy_train"} <= set(model.history)
    assert model.history["cross_entropy_train"].shape == (4, 8)
    assert np.isfinite(model.history["cross_entropy_train"]).all(axis=None)


def test_without_cv_one_replica_trains_on_all_and_predicts_all(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    model = tm.model.TcellMIL(cohort, compression="autoencoder", n_hidden=16, n_latent=8)
    model.train(n_seeds=1, max_epochs=2, max_epochs_ae=2, progress=False, accelerator="cpu")
    assert len(model.module) == 1
    assert (model.predict()["n_replicas"] == 1).all()
    assert model.module.replicas.train.all()


def test_the_same_seed_gives_the_same_predictions_by_class_and_by_verb(model, cohort, assert_same):
    tm.tl.fit_mil(
        cohort,
        "patient",
        "response",
        "cohort",
        use_rep="X_small",
        n_seeds=1,
        training={"max_epochs": 4, "max_epochs_ae": 3, "lr": 0.3, "accelerator": "cpu"},
        network={
            "compression": "autoencoder",
            "n_hidden": 16,
            "n_latent": 8,
            "n_attention": 4,
            "batch_encoding": "film",
        },
        progress=False,
    )
    assert_same(tm.get.predictions(cohort), model.predict())


def test_a_saved_model_is_json_and_plain_arrays(model, tmp_path):
    model.save(tmp_path / "model")
    assert sorted(p.name for p in (tmp_path / "model").iterdir()) == ["arrays.npz", "model.json"]
    json.loads((tmp_path / "model" / "model.json").read_text())
    with np.load(tmp_path / "model" / "arrays.npz", allow_pickle=False) as arrays:
        assert len(arrays.files) > 10
        assert all(arrays[name].dtype.kind in "biufU" for name in arrays.files)


def test_a_loaded_model_predicts_the_same(model, cohort, tmp_path):
    model.save(tmp_path / "model")
    loaded = tm.model.TcellMIL.load(tmp_path / "model", cohort)
    assert {name: w.tolist() for name, w in weights(loaded).items()} == {
        name: w.tolist() for name, w in weights(model).items()
    }
    pd.testing.assert_frame_equal(loaded.predict(), model.predict(), check_exact=True)
    pd.testing.assert_series_equal(loaded.get_attention(), model.get_attention(), check_exact=True)
    new = new_patients(cohort)
    pd.testing.assert_frame_equal(loaded.predict(new), model.predict(new), check_exact=True)


def test_a_model_saved_with_its_data_needs_no_other(model, tmp_path):
    model.save(tmp_path / "model", save_anndata=True)
    loaded = tm.model.TcellMIL.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(), model.predict())


def test_a_model_without_data_predicts_new_patients_only(model, cohort, tmp_path):
    model.save(tmp_path / "model")
    loaded = tm.model.TcellMIL.load(tmp_path / "model")
    new = new_patients(cohort)
    pd.testing.assert_frame_equal(loaded.predict(new), model.predict(new))
    with pytest.raises(ValueError, match="holds no data; load it with the data that it was fitted on"):
        loaded.predict()


def test_a_loaded_model_can_be_saved_again(model, tmp_path):
    model.save(tmp_path / "one")
    tm.model.TcellMIL.load(tmp_path / "one").save(tmp_path / "two")
    with np.load(tmp_path / "one" / "arrays.npz") as one, np.load(tmp_path / "two" / "arrays.npz") as two:
        assert sorted(one.files) == sorted(two.files)
        assert all(np.array_equal(one[name], two[name]) for name in one.files)


def test_a_folder_is_not_overwritten_unless_asked(model, tmp_path):
    model.save(tmp_path / "model")
    with pytest.raises(ValueError, match="already exists; choose another folder or pass overwrite=True"):
        model.save(tmp_path / "model")
    model.save(tmp_path / "model", overwrite=True)


def test_a_folder_without_a_model_and_another_format_are_refused(model, tmp_path):
    with pytest.raises(ValueError, match="holds no model.json; it is not a folder that TcellMIL.save wrote"):
        tm.model.TcellMIL.load(tmp_path)
    model.save(tmp_path / "model")
    path = tmp_path / "model" / "model.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"format": 99}))
    with pytest.raises(ValueError, match="has format 99, this version reads"):
        tm.model.TcellMIL.load(tmp_path / "model")


def test_other_data_than_those_fitted_are_refused(model, cohort, tmp_path):
    model.save(tmp_path / "model")
    cohort.obs["patient"] = "x" + cohort.obs["patient"].astype(str)
    with pytest.raises(
        ValueError, match="was fitted on patients .*the data also has .*or predict new ones with tl.predict"
    ):
        tm.model.TcellMIL.load(tmp_path / "model", cohort)


def test_a_model_that_is_not_trained_says_so(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    untrained = tm.model.TcellMIL(cohort)
    for act in (untrained.predict, untrained.get_attention, untrained.to_state):
        with pytest.raises(ValueError, match=r"not trained yet; call train\(\) first"):
            act()


def test_unknown_options_are_refused(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    with pytest.raises(TypeError, match=r"network has no options \['n_layers'\]; choose from 'n_hidden', .*'dropout"):
        tm.model.TcellMIL(cohort, n_layers=3)
    with pytest.raises(TypeError, match=r"training has no options \['learning_rate'\]; choose from .*'lr'"):
        tm.model.TcellMIL(cohort).train(learning_rate=1)


def test_a_small_cohort_is_not_given_an_autoencoder_and_the_file_says_so(cohort, capsys):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    model = tm.model.TcellMIL(cohort, n_latent=4)
    assert model.network.compression == "auto"
    model.train(max_epochs=2, progress=False, accelerator="cpu")
    assert model.network.compression == "auto" and model.module.networks[0].compression == "pca"
    print(model)
    assert "compression='pca'" in capsys.readouterr().out.replace("\n", "")
    assert model.get_latent_representation().shape[1] == 4
    assert json.loads(model.to_state()["config"])["networks"][0]["compression"] == "pca"
    again = tm.model.TcellMIL.from_state(model.to_state(), cohort)
    pd.testing.assert_frame_equal(again.predict(), model.predict())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        again.train(max_epochs=2, progress=False, accelerator="cpu")  # no option is without effect


@pytest.mark.parametrize(
    ("network", "training", "message"),
    [
        ({"n_hidden": 8}, {}, r"options \['n_hidden'\] have no effect with compression='pca', which is what 'auto' is"),
        ({}, {"max_epochs_ae": 3, "lr_ae": 0.1}, r"\['max_epochs_ae', 'lr_ae'\] .*'auto' is for 8 labelled patients"),
        ({}, {"patience": 3}, r"\['patience'\] have no effect with compression='pca', which is"),
        ({"compression": "pca", "dropout": 0.1}, {}, r"\['dropout'\] have no effect with compression='pca'; leave"),
        ({"compression": None, "n_latent": 4}, {}, r"\['n_latent'\] have no effect with compression=None; leave them"),
    ],
)
def test_options_of_an_autoencoder_that_is_absent_are_reported(cohort, network, training, message):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    model = tm.model.TcellMIL(cohort, **network)
    with pytest.warns(UserWarning, match=message) as warned:
        model.train(max_epochs=1, progress=False, accelerator="cpu", **training)
    assert warned[0].filename == __file__


def test_options_that_are_read_are_not_reported(cohort):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    model = tm.model.TcellMIL(cohort, n_latent=4, n_attention=4)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.train(max_epochs=1, progress=False, accelerator="cpu", early_stopping="both", patience=2)
        with pytest.raises(ValueError, match="cv='nonsense'"):
            model.train(cv="nonsense", max_epochs_ae=1)
