"""What tl.shap writes: values a cell, summaries a patient, tests over patients."""

import anndata as ad
import numpy as np
import pytest
from scipy.stats import false_discovery_control, wilcoxon

import tcellmil as tm

QUICK = {"background": 60, "progress": False}


@pytest.fixture(scope="module")
def explained_once(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, "cohort", n_seeds=2)
    tm.tl.shap(adata, "bag", **QUICK)
    return adata


@pytest.fixture
def explained(explained_once):
    return explained_once.copy()


def part(adata, name):
    return adata.uns["tcellmil_shap"][name]


def of_patient(adata, patient):
    mask = (adata.obs["patient"] == patient).to_numpy()
    return adata.obsm["X_tcellmil_shap"][mask].astype(float), adata.obs["tcellmil_attention"].to_numpy()[mask]


def test_values_of_a_patient_add_up_to_its_prediction_minus_the_background(explained):
    predictions, additivity = tm.get.predictions(explained), part(explained, "additivity").set_index("patient")
    assert len(additivity) == 8
    for patient, row in additivity.iterrows():
        assert row["output"] == pytest.approx(predictions.loc[patient, "prob_R"], abs=1e-4)
        change = row["output"] - row["expected"]
        assert of_patient(explained, patient)[0].sum() == pytest.approx(change, abs=max(0.01 * abs(change), 1e-4))
        assert row["explained"] == pytest.approx(of_patient(explained, patient)[0].sum(), abs=1e-4)
    assert part(explained, "params")["additivity_error"] < 0.01


def test_summaries_are_the_means_of_the_cells(explained):
    table = part(explained, "patients").set_index(["patient", "class", "regulon"])
    for patient in ("P0", "P5"):
        values, attention = of_patient(explained, patient)
        mine = table.loc[(patient, "R")]
        np.testing.assert_allclose(mine["mean"], values.mean(axis=0), atol=1e-7)
        np.testing.assert_allclose(mine["total"], values.sum(axis=0), atol=1e-6)
        np.testing.assert_allclose(mine["weighted_mean"], attention @ values, atol=1e-6)
        np.testing.assert_allclose(mine["weighted_abs"], attention @ np.abs(values), atol=1e-6)
        np.testing.assert_allclose(table.loc[(patient, "NR"), "mean"], -mine["mean"])


def test_the_difference_is_positive_minus_negative_class(explained):
    table = part(explained, "patients").pivot(index=["patient", "regulon"], columns="class", values="weighted_mean")
    difference = part(explained, "difference").set_index(["patient", "regulon"])["weighted_mean"]
    np.testing.assert_allclose(difference, (table["R"] - table["NR"]).reindex(difference.index), atol=1e-12)


def test_statistics_are_tests_over_patients(explained):
    stats = part(explained, "stats").set_index("regulon")
    wide = part(explained, "difference").pivot(index="patient", columns="regulon", values="weighted_mean")
    for regulon in stats.index[:-1]:
        assert stats.loc[regulon, "p"] == pytest.approx(wilcoxon(wide[regulon], method="exact").pvalue)
        assert stats.loc[regulon, "weighted_difference"] == pytest.approx(wide[regulon].mean())
    tested = stats["p"].notna()
    np.testing.assert_allclose(stats.loc[tested, "padj"], false_discovery_control(stats.loc[tested, "p"]))
    assert (stats["n_patients"] == 8).all()


def test_a_regulon_that_is_the_same_in_all_cells_explains_nothing(explained):
    assert (explained.obsm["X_tcellmil_shap"][:, -1] == 0).all()
    assert np.isnan(part(explained, "stats")["p"].iloc[-1])


def test_cells_one_by_one_are_explained_by_the_shap_library(fitted):
    tm.tl.shap(fitted, "cell", n_samples=200, **QUICK)
    assert (
        fitted.obsm["X_tcellmil_shap"].shape == (fitted.n_obs, 6) and fitted.obsm["X_tcellmil_shap"].dtype == np.float32
    )
    additivity = part(fitted, "additivity")
    assert (additivity["error"] <= 0.05 * (additivity["output_max"].max() - additivity["output_min"].min())).all()
    assert part(fitted, "params")["level"] == "cell"


def test_the_order_of_the_cells_does_not_matter(explained, fitted):
    shuffled = fitted[np.random.default_rng(0).permutation(fitted.n_obs)].copy()
    tm.tl.shap(shuffled, "bag", **QUICK)
    again = shuffled[explained.obs_names].obsm["X_tcellmil_shap"]
    np.testing.assert_array_equal(again, explained.obsm["X_tcellmil_shap"])


def test_another_seed_draws_another_background(explained, fitted):
    tm.tl.shap(fitted, "bag", seed=1, **QUICK)
    assert not np.array_equal(fitted.obsm["X_tcellmil_shap"], explained.obsm["X_tcellmil_shap"])


def test_three_classes_have_values_of_their_own(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=9, classes=("CR", "PR", "SD"))
    fit_quickly(adata, cv=3)
    tm.tl.shap(adata, "bag", target_class="PR", **QUICK)
    by_class = adata.obsm["X_tcellmil_shap_by_class"]
    assert by_class.shape == (adata.n_obs, 3, 6)
    np.testing.assert_array_equal(adata.obsm["X_tcellmil_shap"], by_class[:, 1])
    np.testing.assert_allclose(by_class.sum(axis=1), 0, atol=1e-6)
    table = part(adata, "patients").pivot(index=["patient", "regulon"], columns="class", values="mean")
    difference = part(adata, "difference").set_index(["patient", "regulon"])["mean"]
    np.testing.assert_allclose(
        difference, (table["PR"] - table[["CR", "SD"]].mean(axis=1)).reindex(difference.index), atol=1e-12
    )


def test_unlabelled_patients_are_explained_and_not_in_backgrounds(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obs["response"] = adata.obs["response"].astype(object).where(adata.obs["patient"] != "P7", None)
    fit_quickly(adata, cv=3, unlabelled="predict")
    tm.tl.shap(adata, "bag", **QUICK)
    assert "P7" in set(part(adata, "additivity")["patient"])
    assert np.isfinite(adata.obsm["X_tcellmil_shap"]).all()


def test_patients_that_no_replica_held_out_have_no_values(make_cohort, fit_quickly):
    adata = make_cohort()
    names = [f"P{i}" for i in range(8)]
    fit_quickly(adata, cv=[(names[2:], names[:2])])
    tm.tl.shap(adata, "bag", **QUICK)
    known = adata.obs["patient"].isin(names[:2]).to_numpy()
    assert (
        np.isfinite(adata.obsm["X_tcellmil_shap"][known]).all()
        and np.isnan(adata.obsm["X_tcellmil_shap"][~known]).all()
    )
    assert set(part(adata, "patients")["patient"]) == set(names[:2])


def test_the_result_survives_a_file(explained, tmp_path):
    explained.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    np.testing.assert_array_equal(back.obsm["X_tcellmil_shap"], explained.obsm["X_tcellmil_shap"])
    for name in ("patients", "difference", "stats", "additivity"):
        assert tm.get.shap(back, name).reset_index().equals(tm.get.shap(explained, name).reset_index())


def test_key_added_names_both_places_and_copy_leaves_the_original(fitted):
    copied = tm.tl.shap(fitted, "bag", key_added="why", copy=True, **QUICK)
    assert "X_why" in copied.obsm and "why" in copied.uns
    assert "X_why" not in fitted.obsm and "why" not in fitted.uns


def test_values_that_do_not_add_up_are_warned_about(fitted):
    with pytest.warns(UserWarning, match=r"SHAP values miss .* raise n_samples"):
        tm.tl.shap(fitted, "cell", n_samples=1, **QUICK)
    assert part(fitted, "params")["additivity_error"] > 0.05


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"level": "patient"}, ValueError, r"level='patient' is not known; choose from 'cell', 'bag'"),
        (
            {"output": "odds"},
            ValueError,
            r"output='odds' is not known; choose from 'probability', 'logit'",
        ),
        ({"background": 0}, ValueError, r"background=0 must be a whole number of at least 1"),
        ({"n_samples": 2.5}, ValueError, r"n_samples=2.5 must be a whole number"),
        ({"n_steps": -1}, ValueError, r"n_steps=-1 must be a whole number"),
        ({"target_class": "CR"}, ValueError, r"target_class='CR' is not known; choose from 'NR', 'R'"),
        ({"key": "other"}, KeyError, "adata.uns has no fit 'other'; fits here: "),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(fitted, options, error, message):
    before = set(fitted.uns), set(fitted.obsm)
    with pytest.raises(error, match=message):
        tm.tl.shap(fitted, **{"progress": False} | options)
    assert (set(fitted.uns), set(fitted.obsm)) == before


@pytest.mark.parametrize("target", ["NR", "R"])
def test_base_values_and_values_of_the_target_class_make_its_probability(fitted, target):
    tm.tl.shap(fitted, "bag", target_class=target, **QUICK)
    explanation = tm.get.shap_explanation(fitted)
    patient = fitted.obs["patient"].to_numpy()
    for name in ("P0", "P3"):
        own = patient == name
        total = explanation.base_values[own][0] + explanation.values[own].sum()
        assert total == pytest.approx(tm.get.predictions(fitted).loc[name, f"prob_{target}"], abs=2e-3)
