"""The model class on the modalities of a MuData, and states of one and of several representations."""

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.data._mudata import obs_as_it_is

BOTH = {"rna": "X_small", "prot": "X"}
NETWORK = {"compression": "autoencoder", "n_hidden": 16, "n_latent": 8, "n_attention": 4}
TRAINING = {"max_epochs": 4, "max_epochs_ae": 3, "lr": 0.3, "accelerator": "cpu"}

pytestmark = pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")


def build_mudata(cohort):
    rna = cohort.copy()
    prot = ad.AnnData(rna.obsm["X_pca"][::-1, :4].copy(), obs=rna.obs.iloc[::-1][["cohort"]].copy())
    prot.var_names = list("wxyz")
    with obs_as_it_is():
        mdata = mudata.MuData({"rna": rna, "prot": prot})
    mdata.obs["patient"] = rna.obs["patient"]
    return mdata


@pytest.fixture
def mdata(cohort):
    return build_mudata(cohort)


@pytest.fixture(scope="module")
def joint_model(cohort_once):
    mdata = build_mudata(cohort_once)
    tm.model.TcellMIL.setup_mudata(mdata, "patient", "rna:response", "prot:cohort", use_rep=BOTH)
    model = tm.model.TcellMIL(mdata, **NETWORK)
    model.train(cv="rebalanced_loo", n_seeds=1, progress=False, **TRAINING)
    return model


def test_the_model_keeps_the_mudata_and_what_it_reads(joint_model):
    assert isinstance(joint_model.adata, mudata.MuData)
    assert joint_model.get_setup_arg("use_rep") == BOTH
    assert joint_model.registry_["setup_method_name"] == "setup_mudata"
    fields = joint_model.registry["field_registries"]
    assert {"representation_rna", "representation_prot", "sample", "batch"} <= set(fields)
    assert joint_model.fitted.feature_names().tolist() == [
        *(f"rna:{i}" for i in range(6)),
        *(f"prot:{n}" for n in "wxyz"),
    ]


def test_predictions_attention_and_latents_fit_the_cells(joint_model):
    table, attention = joint_model.predict(), joint_model.get_attention()
    assert len(table) == 8 and set(table["label"]) == {"NR", "R"}
    of_patient = joint_model.adata["rna"].obs.astype(str).groupby("patient")["cohort"].first()
    assert table["cohort"].to_dict() == of_patient.to_dict()
    assert attention.index.equals(joint_model.adata.obs_names)
    by_patient = attention.groupby(joint_model.adata.obs["patient"].astype(str).to_numpy()).sum()
    np.testing.assert_allclose(by_patient, 1, atol=1e-5)
    assert joint_model.get_latent_representation().shape == (joint_model.adata.n_obs, 16)


def test_history_has_a_table_a_modality(joint_model):
    assert {"reconstruction_loss_train:rna", "reconstruction_loss_train:prot", "cross_entropy_train"} <= set(
        joint_model.history
    )


def test_class_and_verb_give_the_same(joint_model, mdata, assert_same):
    options = {"network": NETWORK, "training": TRAINING, "n_seeds": 1, "progress": False, "n_boot": 10}
    tm.tl.fit_mil(mdata, "patient", "rna:response", "prot:cohort", use_rep=BOTH, **options)
    assert_same(tm.get.predictions(mdata), joint_model.predict())
    np.testing.assert_array_equal(mdata.obsm["X_tcellmil"], joint_model.get_latent_representation())


def test_it_is_trained_again_with_the_sizes_that_were_requested(joint_model, mdata):
    again = tm.model.TcellMIL.from_state(joint_model.to_state(), mdata)
    again.train(cv="rebalanced_loo", n_seeds=1, progress=False, **TRAINING)
    pd.testing.assert_frame_equal(again.predict(), joint_model.predict())


def test_a_saved_model_is_loaded_with_the_mudata_or_without(joint_model, mdata, tmp_path):
    joint_model.save(tmp_path / "model")
    loaded = tm.model.TcellMIL.load(tmp_path / "model", mdata)
    pd.testing.assert_frame_equal(loaded.predict(), joint_model.predict(), check_exact=True)
    new = mdata[mdata.obs_names[:60]].copy()
    new.obs["patient"] = np.repeat(["new1", "new2"], 30)
    without = tm.model.TcellMIL.load(tmp_path / "model")
    assert without.registry_["setup_method_name"] == "setup_mudata"
    pd.testing.assert_frame_equal(without.predict(new), joint_model.predict(new), check_exact=True)


def test_a_model_saved_with_its_mudata_needs_no_other(joint_model, tmp_path):
    joint_model.save(tmp_path / "model", save_anndata=True)
    assert (tmp_path / "model" / "mdata.h5mu").exists()
    loaded = tm.model.TcellMIL.load(tmp_path / "model")
    pd.testing.assert_frame_equal(loaded.predict(), joint_model.predict())


def test_weights_of_each_encoder_have_its_number(joint_model):
    names = [name for name in joint_model.to_state()["weights"] if name.startswith("encoder.")]
    assert {name.split(".")[1] for name in names} == {"0", "1"}
    assert {name.split(".", 2)[2] for name in names if name.startswith("encoder.0")} == {
        name.split(".", 2)[2] for name in names if name.startswith("encoder.1")
    }


def test_data_of_the_wrong_kind_are_refused(mdata, cohort):
    with pytest.raises(TypeError, match=r"adata must be an AnnData, got MuData; .*such as mdata\['rna'\]"):
        tm.model.TcellMIL.setup_anndata(mdata, "patient", "rna:response", use_rep=["rna:X_small"])
    with pytest.raises(TypeError, match="mdata must be a MuData, got AnnData"):
        tm.model.TcellMIL.setup_mudata(cohort, "patient", "response", use_rep="X_small")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"use_rep": {"atac": "X"}}, "names the modality 'atac', which is not in mdata"),
        ({"use_rep": {"rna": "X_large"}}, r"names 'X_large' of modality 'rna', which is not in its obsm"),
        ({"label_key": "rna:outcome"}, "label_key='rna:outcome' is not a column of mdata.obs"),
        ({"label_key": "response"}, "A modality has it: write 'rna:response'"),
        ({"batch_key": "cohort"}, "A modality has it: write 'rna:cohort' or 'prot:cohort'"),
    ],
)
def test_what_is_not_there_is_named_and_leaves_no_trace(mdata, arguments, message):
    given = {"sample_key": "patient", "label_key": "rna:response", "use_rep": BOTH} | arguments
    with pytest.raises(KeyError, match=message):
        tm.model.TcellMIL.setup_mudata(mdata, **given)
    assert not mdata.uns and list(mdata.obs) == ["patient"]


def test_other_patients_than_those_fitted_are_refused(joint_model, mdata):
    mdata.obs["patient"] = "x" + mdata.obs["patient"].astype(str)
    with pytest.raises(
        ValueError, match="was fitted on patients .*the data also has .*or predict new ones with tl.predict"
    ):
        tm.model.TcellMIL.from_state(joint_model.to_state(), mdata)
