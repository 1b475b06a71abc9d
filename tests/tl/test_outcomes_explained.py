"""Perturbation, SHAP values, attention and stability where the outcome is a number, a time to event or ordered."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

import tcellmil as tm

COLUMNS = {
    "continuous": {"label_key": "age"},
    "survival": {"label_key": "days", "event_key": "died"},
    "ordinal": {"label_key": "grade", "class_order": ["low", "mid", "high"]},
}
NAMES = {"continuous": "age", "survival": "risk"}
OPTIONS = {"n_boot": 50, "n_seeds": 1, "progress": False, "cv": 3}
OPTIONS["training"] = {"max_epochs": 25, "max_epochs_ae": 5, "lr": 0.2, "accelerator": "cpu"}
OPTIONS["network"] = {"compression": "autoencoder", "n_hidden": 16, "n_latent": 8, "n_attention": 4}
SHAP = {"background": 45, "progress": False}
of_values = pytest.mark.parametrize("outcome", NAMES)


@pytest.fixture(scope="module")
def fits(make_cohort):
    """Nine patients whose age rises, and whose time falls, with the first regulon."""
    adata = make_cohort(n_patients=9, classes=("a", "b", "c"))
    code = adata.obs["patient"].str[1:].astype(int).to_numpy()
    adata.obsm["X_regulons"][:, 0] += 0.02 * code - 0.15 * (code % 3)
    adata.obsm["X_regulons"] = np.clip(adata.obsm["X_regulons"], 0, 1)
    adata.obs["age"] = 40.0 + 5 * code
    adata.obs["grade"] = np.array(["low", "mid", "high"])[code // 3]
    adata.obs["days"], adata.obs["died"] = 100.0 - 9 * code, (code % 3 != 1).astype(int)
    found = {}
    for outcome, columns in COLUMNS.items():
        found[outcome] = adata.copy()
        tm.tl.fit_mil(found[outcome], "patient", outcome=outcome, **columns, **OPTIONS)
    return found


@pytest.fixture(scope="module")
def all_explained(fits):
    """The same after every verb that explains."""
    found = {}
    for outcome, adata in fits.items():
        found[outcome] = adata.copy()
        tm.tl.shap(found[outcome], "bag", **SHAP)
        tm.tl.perturb(found[outcome], combine=2)
        tm.tl.attention_enrichment(found[outcome], "cell_type", 100)
        tm.tl.attention_correlation(found[outcome], mixed_model=False)
        with pytest.warns(UserWarning, match="nothing to compare across seeds"):
            tm.tl.attention_stability(found[outcome])
    return found


@pytest.fixture
def explained(all_explained, outcome):
    return all_explained[outcome]


@pytest.fixture
def fitted(fits, outcome):
    return fits[outcome].copy()


def value_by_hand(adata, patient, shift=0.0, regulon=0):
    """Mean prediction by the replicas that held ``patient`` out, with a regulon shifted on the networks' scale."""
    model = tm.get.model(adata)
    bags = model.bags()
    i = list(bags.names).index(patient)
    x = bags.x[bags.bag(i)].copy()
    x[:, regulon] = (np.clip(2 * x[:, regulon] - 1 + shift, -1, 1) + 1) / 2
    values = []
    for k in np.flatnonzero(model.module.replicas.test[:, i]):
        alone = model.module.members[0].select(np.array([k]))
        values.append(alone.classify(alone.encode(alone.scale(x))[:, None], bags.bag_covariates[i])[0][0, 0, 0])
    return np.mean(values)


@of_values
def test_a_perturbed_value_is_that_of_shifting_and_predicting_by_hand(fitted, outcome):
    tm.tl.perturb(fitted, n_mad=2)
    table = tm.get.perturb(fitted, direction="up", regulons="TF0(+)").reset_index().set_index("patient")
    assert list(table.columns) == ["regulon", "direction", "n_mad", "value_base", "value", "delta"]
    scores = 2 * fitted.obsm["X_regulons"][:, 0].astype(float) - 1
    shift = 2 * np.median(np.abs(scores - np.median(scores)))
    predictions = tm.get.predictions(fitted)["risk" if outcome == "survival" else "predicted"]
    np.testing.assert_allclose(table["value_base"], predictions, rtol=1e-5, atol=1e-5)
    for patient in ("P0", "P7"):
        by_hand = value_by_hand(fitted, patient), value_by_hand(fitted, patient, shift)
        np.testing.assert_allclose(table.loc[patient, ["value_base", "value"]].astype(float), by_hand, atol=1e-4)
        assert table.loc[patient, "delta"] == pytest.approx(by_hand[1] - by_hand[0], abs=1e-4)
    assert table["delta"].abs().max() > 1e-2


@of_values
def test_the_change_itself_is_tested_and_there_is_no_logit(explained, outcome):
    table, stats = tm.get.perturb(explained).reset_index(), tm.get.perturb(explained, "stats").reset_index()
    assert not [name for name in (*table, *stats) if "logit" in name or "prob" in name]
    assert (stats["target_class"] == NAMES[outcome]).all() and (stats["outcome"] == outcome).all()
    for (regulon, direction), rows in table.groupby(["regulon", "direction"]):
        row = stats[(stats["regulon"] == regulon) & (stats["direction"] == direction)].iloc[0]
        assert row["p"] == pytest.approx(wilcoxon(rows["delta"]).pvalue)
        assert row["median_delta"] == pytest.approx(rows["delta"].median())


@of_values
def test_epistasis_is_of_the_change_itself(explained, outcome):
    pairs, stats = (
        tm.get.perturb(explained, "pair_stats" if stats else "pairs").reset_index() for stats in (False, True)
    )
    assert not [name for name in (*pairs, *stats) if "logit" in name or "prob" in name]
    alone = tm.get.perturb(explained).reset_index().set_index(["patient", "direction", "regulon"])["delta"]
    members = [
        alone.loc[pd.MultiIndex.from_frame(pairs[["patient", "direction", name]])].to_numpy()
        for name in ("regulon_1", "regulon_2")
    ]
    np.testing.assert_allclose(pairs["epistasis"], pairs["delta"] - members[0] - members[1], atol=1e-9)
    first = pairs[(pairs["regulon_1"] == "TF0(+)") & (pairs["regulon_2"] == "TF1(+)") & (pairs["direction"] == "up")]
    of_first = stats.query("regulon_1 == 'TF0(+)' and regulon_2 == 'TF1(+)' and direction == 'up'")
    assert of_first["p"].item() == pytest.approx(wilcoxon(first["epistasis"]).pvalue)


@of_values
def test_shap_values_of_a_patient_are_parts_of_its_value(explained, outcome):
    params = explained.uns["tcellmil_shap"]["params"]
    assert (params["output"], params["target_class"], params["outcome"]) == ("value", NAMES[outcome], outcome)
    assert params["additivity_error"] < 0.01 and "X_tcellmil_shap_by_class" not in explained.obsm
    additivity = tm.get.shap(explained, "additivity")
    predictions = tm.get.predictions(explained)["risk" if outcome == "survival" else "predicted"]
    np.testing.assert_allclose(additivity["output"], predictions.loc[additivity.index], rtol=1e-4, atol=1e-4)
    total = pd.Series(explained.obsm["X_tcellmil_shap"].astype(float).sum(axis=1)).groupby(
        explained.obs["patient"].to_numpy()
    )
    change = additivity["output"] - additivity["expected"]
    np.testing.assert_allclose(total.sum().loc[change.index], change, atol=0.01 * change.abs().max())
    assert change.abs().max() > 0.1


@pytest.mark.parametrize("outcome", ["continuous"])
def test_shap_values_of_a_cell_are_parts_of_the_value_of_a_bag_of_one(fitted, outcome):
    tm.tl.shap(fitted, "cell", n_samples=100, **SHAP)
    params, additivity = fitted.uns["tcellmil_shap"]["params"], tm.get.shap(fitted, "additivity")
    assert params["output"] == "value" and params["additivity_error"] < 0.1
    model, bags = tm.get.model(fitted), tm.get.model(fitted).bags()
    i = list(bags.names).index("P4")
    own = model.module.members[0].select(np.flatnonzero(model.module.replicas.test[:, i]))
    alone = own.classify(own.encode(own.scale(bags.x[bags.bag(i)]))[:, :, None], bags.bag_covariates[i])[0]
    assert additivity.loc["P4", "output"] == pytest.approx(alone.mean(), rel=1e-4)


@of_values
def test_without_another_class_the_difference_is_the_value(explained, outcome):
    patients, difference = tm.get.shap(explained).reset_index(), tm.get.shap(explained, "difference").reset_index()
    assert (patients["class"] == NAMES[outcome]).all()
    pd.testing.assert_frame_equal(difference, patients[["patient", "regulon", "mean", "weighted_mean", "total"]])
    stats = tm.get.shap(explained, "stats")
    means = patients.groupby("regulon")["weighted_mean"].mean()
    np.testing.assert_allclose(stats["weighted_difference"], means.loc[stats.index], atol=1e-12)


@pytest.mark.parametrize("outcome", ["continuous"])
def test_the_regulon_that_drives_a_number_comes_first(explained, outcome):
    assert tm.get.shap(explained, "stats").reset_index().nlargest(1, "median_abs")["regulon"].item() == "TF0(+)"
    stats = tm.get.perturb(explained, "stats", direction="up").reset_index()
    assert stats.nlargest(1, "median_delta")["regulon"].item() == "TF0(+)"


@pytest.mark.parametrize("outcome", ["continuous"])
def test_shap_values_follow_the_unit_of_a_number(explained, outcome):
    other = explained.copy()
    other.obs["age"] *= 1e4
    tm.tl.fit_mil(other, "patient", outcome=outcome, label_key="age", **OPTIONS)
    tm.tl.shap(other, "bag", **SHAP)
    scale = np.abs(explained.obsm["X_tcellmil_shap"]).max()
    np.testing.assert_allclose(
        other.obsm["X_tcellmil_shap"] / 1e4, explained.obsm["X_tcellmil_shap"], atol=0.02 * scale
    )


@of_values
def test_stability_is_of_changes_of_the_value(explained, outcome):
    params, top = (explained.uns["tcellmil_attention_stability"][part] for part in ("params", "top"))
    assert (params["target_class"], params["outcome"]) == (NAMES[outcome], outcome)
    wide = (
        tm.get.perturb(explained).reset_index().pivot(index=["regulon", "patient"], columns="direction", values="delta")
    )
    half = ((wide["up"] - wide["down"]) / 2).groupby("regulon").mean()  # folds are of equal size
    folds = top[top["across"] == "folds"].set_index("regulon")["importance"]
    np.testing.assert_allclose(folds, half.loc[folds.index], atol=1e-4)


@of_values
def test_enrichment_and_correlation_take_all_patients_as_one_group(explained, outcome):
    assert set(tm.get.attention_enrichment(explained).reset_index()["label"]) == {"all patients"}
    assert tm.get.attention_correlation(explained)["n_patients"].max() == 9


@of_values
def test_regulators_say_whether_more_goes_with_higher_or_lower(explained, outcome):
    table = tm.get.regulators(explained, alpha=1).reset_index()
    assert (table["target_class"] == NAMES[outcome]).all()
    sure = table[table["favours"] != "unclear"]
    assert len(sure) and set(sure["favours"]) <= {"higher", "lower"}
    assert ((sure["favours"] == "higher") == (sure["effect"] > 0)).all()
    assert not table["reason"].str.contains("probability|difference").any()


@pytest.mark.parametrize("outcome", COLUMNS)
def test_pictures_of_a_file_that_was_read_back_name_the_outcome(explained, outcome, tmp_path):
    explained.write_h5ad(tmp_path / "explained.h5ad")
    back = ad.read_h5ad(tmp_path / "explained.h5ad")
    name = {"continuous": "age", "survival": "log hazard", "ordinal": "high"}[outcome]
    change = f"Change in probability of {name}" if outcome == "ordinal" else f"Change in {name}"
    assert tm.pl.perturb(back, show=False)[0].get_xlabel() == change
    assert tm.pl.attention_stability(back, show=False)[1].get_xlabel() == change
    assert tm.pl.shap(back, show=False).get_xlabel().startswith(f"SHAP value for {name}\n")
    words = "SHAP difference" if outcome == "ordinal" else "SHAP value"
    assert tm.pl.regulators(back, show=False).get_ylabel() == f"{words} for {name}\n(weighted by attention)"
    assert tm.pl.attention_correlation(back, show=False).get_title().startswith("n = 9 patients")
    plt.close("all")


@of_values
def test_a_model_that_was_read_back_is_perturbed_the_same(fitted, outcome, tmp_path):
    fitted.write_h5ad(tmp_path / "fit.h5ad")
    back = ad.read_h5ad(tmp_path / "fit.h5ad")
    for adata in (fitted, back):
        tm.tl.perturb(adata)
    pd.testing.assert_frame_equal(tm.get.perturb(back).reset_index(), tm.get.perturb(fitted).reset_index())


@pytest.mark.parametrize("outcome", ["ordinal"])
def test_ordered_classes_are_explained_as_classes(explained, outcome):
    assert set(tm.get.attention(explained)["label"]) == {"low", "mid", "high"}
    base = tm.get.perturb(explained).reset_index().groupby("patient")["prob_base"].first()
    np.testing.assert_allclose(base, tm.get.predictions(explained)["prob_high"], atol=1e-6)
    assert explained.uns["tcellmil_shap"]["params"]["output"] == "probability"
    np.testing.assert_allclose(explained.obsm["X_tcellmil_shap_by_class"].sum(axis=1), 0, atol=1e-5)
    additivity = tm.get.shap(explained, "additivity")["output"]
    np.testing.assert_allclose(additivity, tm.get.predictions(explained).loc[additivity.index, "prob_high"], atol=1e-4)


@pytest.mark.parametrize(
    ("outcome", "call", "message"),
    [
        ("survival", lambda a: tm.tl.shap(a, output="logit"), "output='logit' does not go with outcome='survival'; "),
        ("continuous", lambda a: tm.tl.shap(a, output="probability"), "choose from 'value'"),
        ("ordinal", lambda a: tm.tl.shap(a, output="value"), "'ordinal'; choose from 'probability', 'logit'"),
        (
            "ordinal",
            lambda a: tm.tl.shap(a, output="odds"),
            "output='odds' is not known; choose from 'probability', 'logit'",
        ),
        (
            "continuous",
            lambda a: tm.tl.perturb(a, target_class="R"),
            "target_class='R' is not known; choose from 'age'",
        ),
    ],
)
def test_what_does_not_fit_the_outcome_is_explained_and_nothing_written(fitted, outcome, call, message):
    before = set(fitted.uns) | set(fitted.obsm)
    with pytest.raises(ValueError, match=message):
        call(fitted)
    assert set(fitted.uns) | set(fitted.obsm) == before
