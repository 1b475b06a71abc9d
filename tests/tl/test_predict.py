import warnings

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.data import read
from tcellmil.fitted import predict_bags


@pytest.fixture
def new(make_cohort):
    """Patients never seen, with the same regulons and without labels."""
    adata = make_cohort(n_patients=4, seed=9, prefix="new")
    del adata.obs["response"]
    return adata


def test_new_patients_get_the_mean_over_all_replicas_and_its_spread(new, fitted):
    tm.tl.predict(new, fitted)
    model = tm.get.model(fitted)
    bags = model.schema.encode(read(new, model.schema.fields, new=True), new=True)
    single = [predict_bags(model.module.members[0].select(np.array([k])), bags) for k in range(len(model.module))]
    probability = np.stack([s.probabilities[:, 1] for s in single])
    table = tm.get.predictions(new)
    np.testing.assert_allclose(table["prob_R"], probability.mean(axis=0), atol=1e-6)
    np.testing.assert_allclose(table["prob_sd"], probability.std(axis=0), atol=1e-6)
    assert (table["prob_sd"] > 0).all()
    assert (table["n_replicas"] == 16).all()
    assert (table["label"] == "").all()
    attention = np.mean([s.attention for s in single], axis=0)
    np.testing.assert_allclose(new.obs["tcellmil_attention"], bags.to_input_order(attention), atol=1e-6)
    np.testing.assert_allclose(new.obs.groupby("patient")["tcellmil_attention"].sum(), 1, atol=1e-5)


def test_only_the_documented_keys_are_written(new, fitted):
    obs, obsm, uns = set(new.obs), set(new.obsm), set(new.uns)
    assert tm.tl.predict(new, fitted, key_added="other") is None
    assert set(new.obs) - obs == {"other_attention", "other_attention_relative"}
    assert set(new.obsm) - obsm == {"X_other"}
    assert set(new.uns) - uns == {"other"}
    assert set(new.uns["other"]) == {"predictions", "embedding", "features", "params"}
    new.obs["response"] = np.where(new.obs["patient"].isin(["new0", "new2"]), "NR", "R")
    tm.tl.predict(new, fitted, key_added="other")
    assert set(new.uns["other"]) == {"predictions", "embedding", "features", "metrics", "params"}


def test_copy_leaves_the_input(new, fitted):
    result = tm.tl.predict(new, fitted, copy=True)
    assert "tcellmil" not in new.uns and "tcellmil_attention" not in new.obs
    assert "tcellmil" in result.uns


def test_a_model_and_the_anndata_that_holds_it_predict_the_same(new, fitted):
    by_adata, by_model = new.copy(), new.copy()
    tm.tl.predict(by_adata, fitted)
    tm.tl.predict(by_model, tm.get.model(fitted))
    pd.testing.assert_frame_equal(tm.get.predictions(by_adata), tm.get.predictions(by_model))


def test_known_labels_are_told(new, fitted, make_cohort):
    new.obs["response"] = make_cohort(n_patients=4).obs["response"].to_numpy()
    tm.tl.predict(new, fitted)
    assert tm.get.predictions(new)["label"].tolist() == ["NR", "R", "NR", "R"]


def test_an_unknown_cohort_counts_as_none(new, fitted):
    named, other = new.copy(), new.copy()
    named.obs["cohort"] = "C"
    other.obs["cohort"] = "D"
    for a in (named, other):
        tm.tl.predict(a, fitted)
    assert (tm.get.predictions(named)["cohort"] == "").all()
    pd.testing.assert_frame_equal(tm.get.predictions(named), tm.get.predictions(other))
    tm.tl.predict(new, fitted)
    assert not np.allclose(tm.get.predictions(new)["prob_R"], tm.get.predictions(named)["prob_R"], atol=1e-6)


def test_features_are_matched_by_name(new, fitted):
    reordered, extra = new.copy(), new.copy()
    order = [3, 0, 5, 1, 2, 4]
    reordered.obsm["X_regulons"] = new.obsm["X_regulons"][:, order]
    reordered.uns["regulons"]["names"] = np.array(new.uns["regulons"]["names"])[order]
    noise = np.random.default_rng(0).random((new.n_obs, 1)).astype(np.float32)
    extra.obsm["X_regulons"] = np.hstack([noise, new.obsm["X_regulons"]])
    extra.uns["regulons"]["names"] = np.append(["TF9(+)"], new.uns["regulons"]["names"])
    tm.tl.predict(new, fitted)
    for other in (reordered, extra):
        tm.tl.predict(other, fitted)
        pd.testing.assert_frame_equal(tm.get.predictions(other), tm.get.predictions(new))


def test_a_missing_feature_is_named_and_nothing_is_written(new, fitted):
    new.obsm["X_regulons"] = new.obsm["X_regulons"][:, 1:]
    new.uns["regulons"]["names"] = new.uns["regulons"]["names"][1:]
    with pytest.raises(
        ValueError, match=r"lacks 1 of the model's 6 features \['TF0\(\+\)'\]; score the new cells with"
    ):
        tm.tl.predict(new, fitted)
    assert "tcellmil" not in new.uns and "tcellmil_attention" not in new.obs


def test_another_number_of_unnamed_features_is_an_error(new, fitted):
    new.obsm["X_regulons"] = new.obsm["X_regulons"][:, 1:]
    del new.uns["regulons"]
    with pytest.raises(ValueError, match="has 5 features, the model was fitted on 6"):
        tm.tl.predict(new, fitted)


def test_values_that_are_not_finite_are_an_error(new, fitted):
    new.obsm["X_regulons"][3, 2] = np.nan
    with pytest.raises(ValueError, match=r"holds 1 NaN or infinite values in 1 cells \(\['TF2\(\+\)'\]\)"):
        tm.tl.predict(new, fitted)


def test_patients_with_known_names_bring_a_warning(make_cohort, new, fitted):
    same_names = make_cohort(n_patients=4, seed=9)
    with pytest.warns(UserWarning, match="4 of the patients have the names of patients .* not out-of-fold"):
        tm.tl.predict(same_names, fitted)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tm.tl.predict(new, fitted)


def test_without_a_fitted_model_the_verb_to_run_is_named(new, make_cohort):
    with pytest.raises(KeyError, match="holds no fitted model; run tl.fit_mil first"):
        tm.tl.predict(new, make_cohort())


def test_predictions_of_predict_hold_no_model(new, make_cohort, fitted):
    tm.tl.predict(new, fitted)
    for explain in (tm.tl.perturb, tm.tl.shap):
        with pytest.raises(
            KeyError, match=r"no fitted model \(tl.predict leaves .* only\); pass the model that predicted"
        ):
            explain(new)
    for verb in (tm.get.model, tm.tl.attention_stability, tm.tl.permutation_test):
        with pytest.raises(KeyError, match=r"\(tl.predict leaves .* only\); use the data that tl.fit_mil wrote to"):
            verb(new)
