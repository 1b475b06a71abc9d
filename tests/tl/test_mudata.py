"""Modalities of a MuData together, and several representations of an AnnData."""

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.data._mudata import obs_as_it_is

BOTH = {"regulons": "X", "prot": "X"}
NAMES = [*(f"regulons:TF{i}(+)" for i in range(6)), "prot:CD3", "prot:CD4", "prot:CD8", "prot:CD56"]

pytestmark = pytest.mark.filterwarnings("ignore:From 0.4 .update:FutureWarning")


def weights(data, key="tcellmil"):
    return data.uns[key]["weights"]


def same_result(a, b, key="tcellmil"):
    pd.testing.assert_frame_equal(tm.get.predictions(a, key=key), tm.get.predictions(b, key=key), check_exact=True)
    assert weights(a, key).keys() == weights(b, key).keys()
    assert all(np.array_equal(w, weights(b, key)[name]) for name, w in weights(a, key).items())


def snapshot(mdata):
    parts = {"": mdata, **mdata.mod}
    return {
        name: (part.obs.copy(), list(part.obsm), list(part.uns), part.shape, part.obs_names.tolist())
        for name, part in parts.items()
    }


def check_refused(act, mdata, error, message):
    before, modalities = snapshot(mdata), list(mdata.mod)
    with pytest.raises(error, match=message):
        act(mdata)
    assert list(mdata.mod) == modalities
    for name, (obs, *rest) in snapshot(mdata).items():
        pd.testing.assert_frame_equal(obs, before[name][0])
        assert rest == list(before[name][1:])


# what is written ----------------------------------------------------------------------------------------------------


def test_the_result_is_written_to_the_mudata_itself(fitted_mudata):
    mdata = fitted_mudata
    assert mdata.obsm["X_tcellmil"].shape == (120, 16)
    np.testing.assert_allclose(mdata.obs.groupby("patient")["tcellmil_attention"].sum(), 1, atol=1e-5)
    assert {"auroc", "f1"} <= set(tm.get.metrics(mdata).index)
    assert len(tm.get.predictions(mdata)) == 8
    assert tm.get.attention(mdata).index.equals(mdata.obs_names)
    assert mdata.uns["tcellmil"]["params"]["use_rep"].tolist() == ["regulons:X", "prot:X"]
    for part in mdata.mod.values():
        assert "tcellmil" not in part.uns and "tcellmil_attention" not in part.obs
    assert list(mdata.mod) == ["rna", "prot", "regulons"]


def test_history_names_the_modalities(fitted_mudata):
    stages = fitted_mudata.uns["tcellmil"]["history"]["stage"].unique().tolist()
    assert stages == ["autoencoder:regulons", "autoencoder:prot", "mil"]
    titles = [ax.get_title().split(",")[0] for ax in tm.pl.history(fitted_mudata, show=False)]
    assert titles == ["Autoencoder of regulons", "Autoencoder of prot", "Classifier"]


def test_a_copy_leaves_the_mudata_as_it_was(make_mudata, fit_quickly):
    mdata = make_mudata()
    copy = fit_quickly(mdata, use_rep=BOTH, cv=2, copy=True)
    assert "tcellmil" in copy.uns and "tcellmil" not in mdata.uns and "X_tcellmil" not in mdata.obsm
    assert "_scvi_uuid" not in mdata.uns


def test_the_order_of_the_cells_does_not_matter(make_mudata, fit_quickly):
    one, other = make_mudata(shuffle=False), make_mudata(shuffle=True)
    assert one["prot"].obs_names.tolist() != other["prot"].obs_names.tolist()
    for mdata in (one, other):
        fit_quickly(mdata, use_rep=BOTH, cv=2)
    same_result(one, other)
    np.testing.assert_array_equal(one.obsm["X_tcellmil"], other.obsm["X_tcellmil"])


def test_modalities_together_are_representations_of_an_anndata_together(make_mudata, make_cohort, fit_quickly):
    mdata, adata = make_mudata(), make_cohort()
    adata.obsm["X_prot"] = mdata["prot"].to_df().loc[adata.obs_names]
    fit_quickly(mdata, use_rep=BOTH, cv=2)
    fit_quickly(adata, use_rep=["X_regulons", "X_prot"], cv=2)
    same_result(mdata, adata)
    np.testing.assert_array_equal(mdata.obsm["X_tcellmil"], adata.obsm["X_tcellmil"])
    of_adata, of_mdata = (tm.get.model(data).fitted.feature_names().tolist() for data in (adata, mdata))
    assert of_adata == of_mdata == NAMES


def test_one_modality_is_fitted_as_the_same_anndata(make_mudata, make_cohort, fit_quickly):
    mdata, adata = make_mudata(), make_cohort()
    fit_quickly(mdata, use_rep={"regulons": "X"}, cv=2)
    fit_quickly(adata, cv=2)
    same_result(mdata, adata)
    assert tm.get.model(mdata).fitted.feature_names().tolist() == tm.get.model(adata).fitted.feature_names().tolist()


def test_by_default_the_modality_of_regulons_is_read(make_mudata, fit_quickly):
    named, default = make_mudata(), make_mudata()
    fit_quickly(named, use_rep={"regulons": "X"}, cv=2)
    fit_quickly(default, cv=2)
    same_result(named, default)
    assert tm.get.model(default).schema.fields.scaling == ("unit_interval",)


def test_keys_of_modalities_and_of_the_mudata_itself_go_together(make_mudata, fit_quickly):
    mdata = make_mudata()
    mdata.obsm["X_joint"] = np.random.default_rng(2).normal(size=(mdata.n_obs, 3))
    fit_quickly(mdata, use_rep=["X_joint", "prot:X_pca"], cv=2)
    names = tm.get.model(mdata).fitted.feature_names().tolist()
    assert names == ["joint:0", "joint:1", "joint:2", "prot:0", "prot:1"]
    fit_quickly(mdata, use_rep={"prot": ["X", "X_pca"]}, cv=2, key_added="two")
    assert tm.get.model(mdata, key="two").fitted.feature_names()[[0, 4]].tolist() == ["prot:X:CD3", "prot:X_pca:0"]


def test_columns_of_a_modality_are_found_by_its_name(make_mudata, fit_quickly):
    mdata, plain = make_mudata(), make_mudata()
    fit_quickly(plain, use_rep=BOTH, cv=2)
    mdata.obs = mdata.obs[[]]
    tm.tl.fit_mil(
        mdata,
        "rna:patient",
        "rna:response",
        use_rep=BOTH,
        cv=2,
        n_seeds=1,
        training={"max_epochs": 5, "lr": 0.3, "accelerator": "cpu"},
        network={"n_attention": 4},
        progress=False,
    )
    same_result(mdata, plain)
    assert tm.get.attention(mdata)["sample"].tolist() == tm.get.attention(plain)["sample"].tolist()


@pytest.mark.slow
def test_a_second_modality_that_knows_the_label_helps(make_mudata):
    mdata = make_mudata(n_patients=12)
    rng = np.random.default_rng(3)
    scores = mdata["regulons"]
    scores.X = rng.beta(2, 12, size=scores.shape).astype(np.float32)
    responder = (mdata.obs["response"] == "R").loc[mdata["prot"].obs_names].to_numpy()
    mdata["prot"].X[:, 2] += 2 * responder
    options = {"cv": 3, "n_seeds": 2, "progress": False, "n_boot": 50}
    options |= {
        "network": {"compression": "autoencoder", "n_latent": 8, "n_hidden": 16},
        "training": {"max_epochs_ae": 20, "max_epochs": 30, "accelerator": "cpu"},
    }
    auroc = {}
    for name, use_rep in {"alone": {"regulons": "X"}, "both": BOTH}.items():
        tm.tl.fit_mil(mdata, "patient", "response", use_rep=use_rep, key_added=name, **options)
        auroc[name] = tm.get.metrics(mdata, key=name).loc["auroc", "value"]
    assert auroc["both"] > 0.95
    assert auroc["both"] > auroc["alone"] + 0.1


# reading it back ----------------------------------------------------------------------------------------------------


def test_a_file_holds_everything(fitted_mudata, tmp_path, assert_same):
    fitted_mudata.write_h5mu(tmp_path / "fitted.h5mu")
    read = mudata.read_h5mu(tmp_path / "fitted.h5mu")
    model, again = tm.get.model(fitted_mudata), tm.get.model(read)
    assert_same(model.predict(), again.predict(), check_exact=True)
    assert_same(tm.get.metrics(read), tm.get.metrics(fitted_mudata))
    assert again.fitted.feature_names().tolist() == NAMES
    tm.tl.perturb(read, regulons=["prot:CD8"])
    assert tm.get.perturb(read).reset_index()["patient"].nunique() == 8


def test_the_model_predicts_as_the_result_says(fitted_mudata, assert_same):
    model = tm.get.model(fitted_mudata)
    assert_same(model.predict(), tm.get.predictions(fitted_mudata))
    np.testing.assert_allclose(model.get_attention(), fitted_mudata.obs["tcellmil_attention"])
    assert "_scvi_uuid" not in fitted_mudata.uns


def test_new_patients_are_predicted_from_their_modalities(fitted_mudata, make_mudata):
    new = make_mudata(n_patients=4, seed=5, prefix="N")
    del new.obs["response"]
    tm.tl.predict(new, fitted_mudata)
    assert tm.get.predictions(new)["n_replicas"].tolist() == [8] * 4
    assert new.obsm["X_tcellmil"].shape == (new.n_obs, 16)
    shuffled = make_mudata(n_patients=4, seed=5, prefix="N")
    with obs_as_it_is():
        others = mudata.MuData({"prot": shuffled["prot"][:, ::-1].copy(), "regulons": shuffled["regulons"]})
    others.obs[["patient", "cohort"]] = shuffled.obs[["patient", "cohort"]]
    tm.tl.predict(others, fitted_mudata)
    pd.testing.assert_frame_equal(tm.get.predictions(others), tm.get.predictions(new))


def test_new_patients_with_other_features_are_refused(fitted_mudata, make_mudata):
    new = make_mudata(n_patients=4, seed=5, prefix="N")
    fewer = mudata.MuData({"prot": new["prot"][:, :3].copy(), "regulons": new["regulons"]})
    fewer.obs[["patient", "cohort"]] = new.obs[["patient", "cohort"]]
    message = r"X of modality 'prot' lacks 1 of the model's 4 features \['CD56'\]"
    check_refused(lambda mdata: tm.tl.predict(mdata, fitted_mudata), fewer, ValueError, message)


def test_an_unnamed_representation_must_have_as_many_features(make_mudata, fit_quickly):
    mdata = make_mudata()
    fit_quickly(mdata, use_rep={"regulons": "X", "prot": "X_pca"}, cv=2)
    new = make_mudata(n_patients=4, seed=5, prefix="N")
    tm.tl.predict(new, mdata, key_added="as_many")
    new["prot"].obsm["X_pca"] = new["prot"].X[:, :3]
    with pytest.raises(
        ValueError, match=r"obsm\['X_pca'\] of modality 'prot' has 3 features, the model was fitted on 2"
    ):
        tm.tl.predict(new, mdata)


def test_an_anndata_is_no_substitute_for_the_modalities(fitted_mudata, make_cohort):
    with pytest.raises(KeyError, match="'regulons:X' is not in adata.obsm.*names a modality: pass a MuData"):
        tm.tl.predict(make_cohort(prefix="N"), fitted_mudata)


# what comes after the fit -------------------------------------------------------------------------------------------


def test_features_are_perturbed_by_the_names_of_their_modalities(fitted_mudata):
    tm.tl.perturb(fitted_mudata)
    stats = fitted_mudata.uns["tcellmil_perturbation"]["stats"]
    assert stats["regulon"].unique().tolist() == NAMES
    assert set(tm.get.perturb(fitted_mudata, "stats").index.unique("regulon")) == set(NAMES)
    assert stats.set_index("regulon").loc["prot:CD8", "movable"].all()
    with pytest.raises(KeyError, match=r"regulons \['CD8'\] are not features of the model; there are .*regulons:TF0"):
        tm.tl.perturb(fitted_mudata, regulons=["CD8"])
    tm.pl.perturb(fitted_mudata, show=False)


def test_shap_values_of_all_modalities_add_up(fitted_mudata):
    tm.tl.shap(fitted_mudata, level="bag", background=100, progress=False)
    assert fitted_mudata.obsm["X_tcellmil_shap"].shape == (120, 10)
    assert fitted_mudata.uns["tcellmil_shap"]["stats"]["regulon"].tolist() == NAMES
    assert set(tm.get.shap(fitted_mudata, "stats").index) == set(NAMES)
    parts = tm.get.shap(fitted_mudata, "additivity").reset_index()
    np.testing.assert_allclose(parts["explained"], parts["output"] - parts["expected"], atol=0.01)
    explanation = tm.get.shap_explanation(fitted_mudata)
    np.testing.assert_array_equal(explanation.data[:, :6], fitted_mudata["regulons"].X)
    in_order = fitted_mudata["prot"].to_df().loc[fitted_mudata.obs_names].to_numpy()
    np.testing.assert_array_equal(explanation.data[:, 6:], in_order)


def test_attention_is_correlated_with_the_features_of_all_modalities(fitted_mudata):
    tm.tl.attention_correlation(fitted_mudata, mixed_model=False)
    table = tm.get.attention_correlation(fitted_mudata).reset_index()
    assert fitted_mudata.uns["tcellmil_attention_correlation"]["regulons"]["regulon"].tolist() == NAMES
    assert set(table["regulon"]) == set(NAMES)
    cells = tm.get.attention(fitted_mudata)
    own = fitted_mudata["prot"].to_df()["CD8"].loc[cells.index]
    assert table.set_index("regulon").loc["prot:CD8", "rho"] == pytest.approx(own.corr(cells["relative"], "spearman"))


def test_other_verbs_that_read_a_model_read_that_of_a_mudata(fitted_mudata):
    tm.tl.attention_enrichment(fitted_mudata, groupby="cell_type", n_permutations=50)
    tm.tl.permutation_test(fitted_mudata, n_permutations=2, progress=False)
    assert len(tm.get.permutation_test(fitted_mudata).reset_index()) == 1
    tm.tl.attention_stability(fitted_mudata)
    tm.pl.attention(fitted_mudata, groupby="cell_type", show=False)


def test_a_verb_that_reads_no_modalities_says_so(make_mudata):
    mdata = make_mudata()
    message = r"adata must be an AnnData, got MuData; pass one of its modalities \['rna', 'prot', 'regulons'\], such as"
    for act in (
        lambda mdata: tm.tl.benchmark(mdata, "patient", "response"),
        lambda mdata: tm.tl.grn(mdata),
        lambda mdata: tm.pp.subsample_bags(mdata, "patient"),
    ):
        check_refused(act, mdata, TypeError, message)


# regulons -----------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def cohort_once():
    return tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)


@pytest.fixture
def expressed(cohort_once):
    rna = cohort_once.copy()
    prot = ad.AnnData(rna.X[:, :4].toarray(), obs=rna.obs[[]].copy())
    prot.var_names = list("wxyz")
    with obs_as_it_is():
        return mudata.MuData({"rna": rna, "prot": prot})


@pytest.fixture
def net(cohort_once):
    genes = cohort_once.var_names
    return pd.DataFrame({"source": np.repeat(["A", "B", "C"], 20), "target": genes[:60]})


def pulls():
    """Whether columns of modalities are copied: since mudata 0.4 a setting."""
    return (
        mudata.settings.pull_on_update if hasattr(mudata, "settings") else mudata._core.config.OPTIONS["pull_on_update"]
    )


def pulling(pull):
    options = {} if pull is None else {"pull_on_update": pull}
    return mudata.settings.override(**options) if hasattr(mudata, "settings") else mudata.set_options(**options)


@pytest.mark.parametrize("pull", [None, False, True])
def test_regulons_are_added_as_a_modality(expressed, net, pull):
    expressed.obs["own"] = 1
    alone = expressed["rna"].copy()
    tm.tl.regulons(alone, net=net)
    with pulling(pull):
        columns, before = list(expressed.obs.columns), pulls()
        tm.tl.regulons(expressed, net=net)
        assert list(expressed.obs.columns) == columns
        assert pulls() is before
    added = expressed["regulons"]
    np.testing.assert_array_equal(added.X, alone.obsm["X_regulons"])
    assert added.X.dtype == np.float32
    assert added.var_names.tolist() == ["A", "B", "C"] and added.obs_names.equals(expressed["rna"].obs_names)
    pd.testing.assert_frame_equal(added.uns["regulons"]["targets"], alone.uns["regulons"]["targets"])
    one, other = added.uns["regulons"]["params"], alone.uns["regulons"]["params"]
    assert one | {"time": ""} == other | {"time": ""}
    assert "X_regulons" not in expressed["rna"].obsm and "regulons" not in expressed["rna"].uns
    pd.testing.assert_frame_equal(tm.get.regulons(expressed), tm.get.regulons(alone), check_column_type=False)
    assert expressed.n_vars == expressed["rna"].n_vars + 4 + 3


def test_regulons_that_were_added_are_replaced(expressed, net):
    tm.tl.regulons(expressed, net=net)
    tm.tl.regulons(expressed, net=net.assign(source=np.repeat(["B", "D"], 30)))
    assert expressed["regulons"].var_names.tolist() == ["B", "D"]
    assert expressed.n_vars == expressed["rna"].n_vars + 4 + 2
    half = expressed[expressed.obs_names[::2]].copy()
    assert half["regulons"].obs_names.equals(half.obs_names)


def test_regulons_with_a_mudata_are_fitted_and_written(expressed, net, fit_quickly, tmp_path, assert_same):
    tm.tl.regulons(expressed, net=net, key_added="scores")
    expressed.obs[["patient", "response"]] = expressed["rna"].obs[["patient", "response"]]
    fit_quickly(expressed, use_rep={"scores": "X", "prot": "X"}, cv=2)
    assert tm.get.model(expressed).schema.fields.scaling == ("unit_interval", "standard")
    expressed.write_h5mu(tmp_path / "with_regulons.h5mu")
    read = mudata.read_h5mu(tmp_path / "with_regulons.h5mu")
    assert_same(tm.get.model(read).predict(), tm.get.predictions(expressed))
    there, back = (tm.get.regulons(data, result_key="scores") for data in (expressed, read))
    assert_same(back, there, check_column_type=False)


def test_the_targets_of_a_modality_score_new_cells(expressed, net):
    tm.tl.regulons(expressed, net=net)
    new = expressed["rna"].copy()
    tm.tl.regulons(new, net=expressed["regulons"].uns["regulons"]["targets"])
    np.testing.assert_array_equal(new.obsm["X_regulons"], expressed["regulons"].X)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"mod": "gex"}, KeyError, r"mod='gex' is not a modality of mdata; there are \['rna', 'prot'\]"),
        ({"key_added": "prot"}, ValueError, "key_added='prot' is a modality that tl.regulons did not write"),
        ({"min_targets": 100}, ValueError, "100"),
    ],
    ids=["modality", "key_added", "targets"],
)
def test_regulons_that_cannot_be_scored_leave_the_mudata_alone(expressed, net, arguments, error, message):
    check_refused(lambda mdata: tm.tl.regulons(mdata, net=net, **arguments), expressed, error, message)


def test_a_modality_of_an_anndata_is_refused(make_cohort):
    with pytest.raises(TypeError, match="mod='rna' names a modality of a MuData, got AnnData; leave mod out"):
        tm.tl.regulons(make_cohort(), mod="rna")


def test_regulons_of_a_missing_modality_name_the_verb(make_mudata):
    with pytest.raises(KeyError, match="mdata has no modality 'activity'; run tl.regulons"):
        tm.get.regulons(make_mudata(), result_key="activity")


# bad input ----------------------------------------------------------------------------------------------------------


def fewer_cells(mdata):
    with obs_as_it_is():
        fewer = mudata.MuData({**mdata.mod, "prot": mdata["prot"][:-3].copy()})
    fewer.obs = mdata.obs.loc[fewer.obs_names]
    return fewer


def changed(mdata):
    mdata.mod["prot"] = mdata["prot"][:-3].copy()
    mdata.mod["regulons"] = mdata["regulons"][:, :-1].copy()
    return mdata


def not_finite(mdata):
    mdata["prot"].X[3, 1] = np.nan
    return mdata


def not_shared(mdata):
    rows = {name: ad.AnnData(part.X[:, :3], obs=part.obs.add_prefix(name)) for name, part in mdata.mod.items()}
    for name, part in rows.items():
        part.obs_names = name + part.obs_names
    return mudata.MuData(rows, axis=1)


def without_a_matrix(mdata):
    mdata["prot"].X = None
    return mdata


@pytest.mark.parametrize(
    ("change", "arguments", "error", "message"),
    [
        (
            fewer_cells,
            {},
            ValueError,
            r"modalities \['regulons', 'prot'\] must have the same cells: 'regulons' has 120, 'prot' has 117, mdata "
            r"has 120, and 117 are in all of them. Keep these: mdata = mdata\[mdata.obsm\['regulons'\] & "
            r"mdata.obsm\['prot'\]\].copy\(\), or muon.pp.intersect_obs\(mdata\)",
        ),
        (changed, {}, ValueError, r"modalities of mdata have changed since it was made; call mdata.update\(\)"),
        (lambda mdata: mdata[:60], {}, ValueError, r"mdata is a view of another MuData.*mdata = mdata.copy\(\)"),
        (not_shared, {}, ValueError, "modalities of mdata share axis 1, not the cells"),
        (not_finite, {}, ValueError, r"X of modality 'prot' holds 1 NaN or infinite values in 1 cells \(\['CD4'\]\)"),
        (without_a_matrix, {}, KeyError, "use_rep names 'X' of modality 'prot', which has no matrix"),
        (
            None,
            {"use_rep": {"atac": "X"}},
            KeyError,
            r"names the modality 'atac', which is not in mdata; there are \['rna', 'prot', 'regulons'\]",
        ),
        (
            None,
            {"use_rep": {"prot": "X_umap"}},
            KeyError,
            r"names 'X_umap' of modality 'prot', which is not in its obsm; there are \['X_pca'\], and 'X' for its",
        ),
        (
            None,
            {"use_rep": "X_pca"},
            KeyError,
            r"'X_pca' is not in mdata.obsm.* pass a mapping: use_rep={'rna': 'X_pca'}",
        ),
        (None, {"use_rep": "prot"}, KeyError, r"use_rep='prot' is not in mdata.obsm; there are \[\]"),
        (None, {"use_rep": {"prot": ["X", "X"]}}, ValueError, r"use_rep names \['prot:X'\] twice"),
        (None, {"use_rep": ["prot:X", "regulons:X", "prot:X"]}, ValueError, r"use_rep names \['prot:X'\] twice"),
        (None, {"use_rep": {}}, ValueError, "use_rep is empty; name at least one representation"),
        (None, {"use_rep": 3}, TypeError, "use_rep=3 must be a key, several keys, or a mapping from modalities"),
        (None, {"scaling": ["standard"]}, ValueError, "scaling has 1 values for 2 representations; give one for each"),
        (
            None,
            {"scaling": "unit_interval"},
            ValueError,
            r"scaling='unit_interval' needs values in \[0, 1\], X of modality 'prot' has",
        ),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_mudata_that_cannot_be_read_is_refused_and_unchanged(
    make_mudata, fit_quickly, change, arguments, error, message
):
    mdata = make_mudata() if change is None else change(make_mudata())
    check_refused(lambda data: fit_quickly(data, **{"use_rep": BOTH, "cv": 2} | arguments), mdata, error, message)


def test_cells_that_are_in_all_modalities_can_be_kept_as_the_message_says(make_mudata, fit_quickly):
    mdata = fewer_cells(make_mudata())
    mdata = mdata[mdata.obsm["regulons"] & mdata.obsm["prot"]].copy()
    fit_quickly(mdata, use_rep=BOTH, cv=2)
    assert mdata.n_obs == 117


def test_a_backed_mudata_is_refused(make_mudata, fit_quickly, tmp_path):
    make_mudata().write_h5mu(tmp_path / "backed.h5mu")
    backed = mudata.read_h5mu(tmp_path / "backed.h5mu", backed=True)
    with pytest.raises(ValueError, match="mdata is backed by a file; load it into memory first"):
        fit_quickly(backed, use_rep=BOTH)


def test_a_column_that_only_a_modality_has_is_pointed_to(make_mudata, fit_quickly):
    mdata = make_mudata()
    del mdata.obs["patient"]
    message = r"sample_key='patient' is not a column of mdata.obs; .* A modality has it: write 'rna:patient'"
    check_refused(lambda data: fit_quickly(data, use_rep=BOTH), mdata, KeyError, message)


def test_an_outdated_copy_of_a_column_is_refused_and_can_be_updated(make_mudata, fit_quickly):
    mdata = make_mudata()
    labels = mdata["rna"].obs["response"].astype(str)
    mdata.obs["rna:response"] = labels.to_numpy()
    mdata["rna"].obs["response"] = labels.map({"R": "NR", "NR": "R"}).to_numpy()
    options = {"label_key": "rna:response", "use_rep": BOTH, "cv": 2, "training": {"max_epochs": 1}}
    options |= {"progress": False, "n_boot": 10}
    message = r"mdata.obs\['rna:response'\] is a copy of mdata\['rna'\].obs\['response'\] and differs from it in "
    check_refused(lambda data: tm.tl.fit_mil(data, "patient", **options), mdata, ValueError, message)
    del mdata.obs["rna:response"]
    tm.tl.fit_mil(mdata, "patient", **options)
    first = tm.get.predictions(mdata)["label"].iloc[0]
    assert first == mdata["rna"].obs["response"].iloc[0]


@pytest.mark.parametrize(
    ("use_rep", "error", "message"),
    [
        ({"rna": None}, TypeError, "modality 'rna' needs a key of its obsm, several, or 'X', its matrix"),
        ({"rna:1": "X"}, ValueError, "modality 'rna:1' has a colon in its name, which stands before a key; rename it"),
    ],
)
def test_modalities_without_a_key_or_with_a_colon_are_refused(make_mudata, fit_quickly, use_rep, error, message):
    check_refused(lambda data: fit_quickly(data, use_rep=use_rep), make_mudata(), error, message)


# several representations of an AnnData ------------------------------------------------------------------------------


def test_each_representation_has_an_encoder_and_a_scaling(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, use_rep=["X_regulons", "X_pca"], cv=2)
    model = tm.get.model(adata)
    assert model.module.members[0].encoders.blocks == (6, 5) and model.schema.fields.scaling == (
        "unit_interval",
        "standard",
    )
    assert adata.obsm["X_tcellmil"].shape == (120, 11)
    assert model.fitted.feature_names()[[0, 6]].tolist() == ["regulons:TF0(+)", "pca:0"]
    assert tm.get.predictions(adata).shape[0] == 8


def test_a_list_of_one_is_one(make_cohort, fit_quickly):
    one, listed = make_cohort(), make_cohort()
    fit_quickly(one, cv=2)
    fit_quickly(listed, use_rep=["X_regulons"], cv=2)
    same_result(one, listed)
    assert one.uns["tcellmil"]["config"] == listed.uns["tcellmil"]["config"]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"use_rep": ["X_pca", "X_umap"]}, KeyError, r"use_rep='X_umap' is not in adata.obsm; there are"),
        ({"use_rep": ["X_pca", "X_pca"]}, ValueError, r"use_rep names \['X_pca'\] twice; each representation has one"),
        ({"use_rep": []}, ValueError, "use_rep is empty"),
        ({"use_rep": {"rna": "X_pca"}}, TypeError, "names modalities, which an AnnData does not have; pass a MuData"),
        ({"use_rep": ["X_regulons", "X_pca"], "key_added": "pca"}, ValueError, r"adata.obsm\['X_pca'\] is there"),
    ],
)
def test_representations_that_cannot_be_read_are_refused(make_cohort, fit_quickly, arguments, error, message):
    adata = make_cohort()
    with pytest.raises(error, match=message):
        fit_quickly(adata, **arguments)
    assert list(adata.obsm) == ["X_regulons", "X_pca"] and list(adata.uns) == ["regulons"]


def test_shared_encoders_and_calibration_work_on_several_representations(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, use_rep=["X_regulons", "X_pca"], cv=2, training={"encoder": "shared"}, calibration="temperature")
    assert (tm.get.model(adata).module.members[0].temperature > 0).all()
    assert adata.uns["tcellmil"]["weights"]["encoder_of_replica"].tolist() == [0, 0]


def test_columns_named_by_their_number_are_matched_by_name(make_cohort, fit_quickly):
    adata = make_cohort()
    named = pd.DataFrame(adata.obsm["X_pca"], index=adata.obs_names, columns=[str(i) for i in range(5)])
    adata.obsm["X_pca"] = named
    fit_quickly(adata, use_rep=["X_regulons", "X_pca"], cv=2)
    new = adata.copy()
    new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    new.obsm["X_pca"] = named[named.columns[::-1]]
    same = adata.copy()
    same.obs["patient"] = new.obs["patient"]
    for data in (new, same):
        tm.tl.predict(data, adata, key_added="new")
    pd.testing.assert_frame_equal(tm.get.predictions(new, key="new"), tm.get.predictions(same, key="new"))


def test_a_scaling_that_is_no_text_is_refused(make_cohort, fit_quickly):
    with pytest.raises(TypeError, match="scaling must be one of .* or a list of them, got 5"):
        fit_quickly(make_cohort(), scaling=5)
