"""A model on patients of another cohort whose outcomes are known: metrics, columns of other names, explanations."""

import anndata as ad
import matplotlib.pyplot as plt
import mudata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.stats import bootstrap_metrics, bootstrap_regression, bootstrap_survival

NAMES = {"patient": "donor", "response": "outcome", "cohort": "site"}
KEYS = {"sample_key": "donor", "label_key": "outcome", "batch_key": "site"}


@pytest.fixture(scope="module")
def fitted_once(make_cohort, fit_quickly):
    """Four replicas, in place of the sixteen of other tests: every one of them predicts every new patient."""
    adata = make_cohort()
    fit_quickly(adata, "cohort", cv=2, n_seeds=2)
    return adata


@pytest.fixture
def fitted(fitted_once):
    return fitted_once.copy()


@pytest.fixture
def new(make_cohort):
    """Ten patients of another cohort with labels; three are more like the other class."""
    adata = make_cohort(n_patients=10, seed=9, prefix="new")
    odd = adata.obs["patient"].isin(["new1", "new4", "new8"]).to_numpy()
    adata.obsm["X_regulons"][odd, 0] = 0.3 - np.minimum(adata.obsm["X_regulons"][odd, 0], 0.3)
    return adata


def labelled(adata, labels):
    """Labels by patient; missing for the rest."""
    adata.obs["response"] = adata.obs["patient"].map(labels).astype(object)


def test_metrics_are_those_of_the_predictions_over_patients(new, fitted, caplog, assert_same):
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.predict(new, fitted, n_boot=100, seed=3)
    table, metrics = tm.get.predictions(new), tm.get.metrics(new)
    y, proba = (table["label"] == "R").to_numpy().astype(int), table[["prob_NR", "prob_R"]].to_numpy()
    expected = bootstrap_metrics(y, proba, n_boot=100, seed=3).set_index("metric")
    assert_same(metrics, expected, check_dtype=False)
    assert 0.5 < metrics.loc["auroc", "value"] < 1
    row = metrics.loc["auroc"]
    words = f"AUROC {row['value']:.2f} [{row['ci_low']:.2f}, {row['ci_high']:.2f}], 10 patients with a known outcome"
    assert words in caplog.text
    tm.tl.predict(new, fitted, n_boot=100, seed=4)
    assert not tm.get.metrics(new).equals(metrics)


def test_the_fit_and_its_metrics_stay_as_they_were(new, fitted):
    before = fitted.copy()
    tm.tl.predict(new, fitted)
    tm.tl.perturb(new, model=fitted)
    tm.tl.shap(new, model=fitted, background=60, progress=False)
    assert set(before.uns) == set(fitted.uns)
    pd.testing.assert_frame_equal(tm.get.metrics(fitted), tm.get.metrics(before))


def test_patients_without_a_label_are_predicted_and_not_measured(new, fitted):
    labelled(new, {"new0": "NR", "new2": "NR", "new3": "R", "new5": "R"})
    tm.tl.predict(new, fitted)
    assert (tm.get.metrics(new)["n"] == 4).all() and len(tm.get.predictions(new)) == 10
    assert (tm.get.predictions(new)["label"] == "").sum() == 6


@pytest.mark.parametrize("gone", [True, False])
def test_without_labels_the_error_says_how_to_get_metrics(new, fitted, gone, caplog):
    labelled(new, {})
    if gone:
        del new.obs["response"]
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.predict(new, fitted)
    assert "10 patients by 4 replicas; no metrics, no outcome is known" in caplog.text
    message = (
        r"has no 'metrics'; nothing .* no patient has a known outcome. Put the outcomes into adata.obs\['response'\]"
    )
    for read in (tm.get.metrics, tm.pl.metrics, tm.pl.roc):
        with pytest.raises(KeyError, match=message + ".*run tl.predict again"):
            read(new)
    with pytest.raises(ValueError, match="no patient of 'tcellmil' has both a label and a prediction"):
        tm.get.calibration(new)
    assert tm.pl.predictions(new, show=False).get_title().startswith("n = 10")


def test_a_class_that_the_model_does_not_know_is_named(new, fitted):
    labelled(new, {"new0": "NR", "new2": "PD", "new3": "R", "new5": "SD"})
    message = (
        r"label_key 'response' is \['PD', 'SD'\] for patients \['new2', 'new5'\], the model knows the classes \['NR'"
    )
    with pytest.raises(ValueError, match=message) as error:
        tm.tl.predict(new, fitted)
    assert "tcellmil" not in new.uns and "tcellmil_attention" not in new.obs
    advice = str(error.value).split("without a label: ")[1]
    exec(advice, {"adata": new})
    tm.tl.predict(new, fitted, n_boot=20)
    assert (tm.get.metrics(new)["n"] == 2).all()


def test_patients_of_one_class_have_the_metrics_that_need_no_other(new, fitted):
    labelled(new, {"new1": "R", "new3": "R", "new5": "R"})
    with pytest.warns(
        UserWarning, match=r"3 new patients .* none of them is of class \['NR'\], without which auroc, auprc"
    ):
        tm.tl.predict(new, fitted)
    metrics, table = tm.get.metrics(new), tm.get.predictions(new)
    known = table[table["label"] != ""]
    assert metrics.index[metrics["value"].notna()].tolist() == ["accuracy", "brier"]
    assert metrics.loc["accuracy", "value"] == pytest.approx((known["predicted"] == "R").mean())
    assert metrics.loc["brier", "value"] == pytest.approx(((1 - known["prob_R"]) ** 2).mean())
    assert metrics.loc[["accuracy", "brier"]].notna().all(axis=None)
    for draw in (tm.pl.roc, tm.pl.prc):
        with pytest.raises(ValueError, match=r"with a label are all of class \['R'\]; there is no curve"):
            draw(new, show=False)
    for draw in (tm.pl.metrics, tm.pl.predictions, tm.pl.calibration):
        draw(new, show=False)
    assert tm.pl.predictions(new, show=False).get_title().startswith("AUROC not defined")
    plt.close("all")


def test_one_labelled_patient_has_no_interval(new, fitted):
    labelled(new, {"new1": "R"})
    with pytest.warns(UserWarning, match="not everything can be measured"):
        tm.tl.predict(new, fitted)
    metrics = tm.get.metrics(new)
    assert np.isfinite(metrics.loc["brier", "value"]) and metrics[["ci_low", "ci_high"]].isna().all(axis=None)


def test_samples_of_a_patient_are_resampled_together(new, fitted, make_cohort, fit_quickly, assert_same):
    new.obs["person"] = new.obs["patient"].map({f"new{i}": f"p{i % 2}{i // 4}" for i in range(10)})
    tm.tl.predict(new, fitted, n_boot=200)
    apart = tm.get.metrics(new)
    tm.tl.predict(new, fitted, n_boot=200, group_key="person")
    together, table = tm.get.metrics(new), tm.get.predictions(new)
    groups = new.obs.groupby("patient")["person"].first().loc[table.index]
    y, proba = (table["label"] == "R").to_numpy().astype(int), table[["prob_NR", "prob_R"]].to_numpy()
    codes = np.unique(groups, return_inverse=True)[1]
    expected = bootstrap_metrics(y, proba, n_boot=200, groups=codes).set_index("metric")
    assert_same(together, expected, check_dtype=False)
    np.testing.assert_array_equal(together["value"], apart["value"])
    assert not np.allclose(together["ci_low"], apart["ci_low"])
    assert new.uns["tcellmil"]["params"]["group_key"] == "person"

    trained = make_cohort()
    trained.obs["person"] = trained.obs["patient"]
    fit_quickly(trained, cv=2, group_key="person")
    del new.obs["person"]
    with pytest.warns(
        UserWarning, match="group_key='person' of the model is not a column .* intervals are over samples"
    ):
        tm.tl.predict(new, trained)
    with pytest.raises(KeyError, match="group_key='who' is not a column of adata.obs"):
        tm.tl.predict(new, trained, group_key="who")


def test_columns_may_have_other_names_and_later_verbs_know_them(new, fitted, tmp_path):
    renamed = new.copy()
    renamed.obs = renamed.obs.rename(columns=NAMES)
    explain(new, fitted)
    explain(renamed, fitted, **KEYS)
    for read in READERS:
        pd.testing.assert_frame_equal(read(renamed), read(new))
    params = renamed.uns["tcellmil"]["params"]
    assert {name: params[name] for name in KEYS} == KEYS


READERS = [
    tm.get.predictions,
    tm.get.metrics,
    tm.get.calibration,
    tm.get.attention,
    tm.get.perturb,
    tm.get.shap,
    tm.get.attention_enrichment,
    tm.get.attention_correlation,
    tm.get.regulators,
]


def explain(adata, model, **keys):
    tm.tl.predict(adata, model, n_boot=50, **keys)
    tm.tl.perturb(adata, model=model, progress=False)
    tm.tl.shap(adata, model=model, background=60, progress=False)
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=20)
    tm.tl.attention_correlation(adata, mixed_model=False)
    tm.tl.top_cells(adata)


def test_everything_goes_through_a_file_and_works_on_what_comes_back(new, fitted, tmp_path, assert_same):
    new.obs = new.obs.rename(columns=NAMES)
    explain(new, fitted, **KEYS)
    for name, adata in {"new": new, "fit": fitted}.items():
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    back, fit = (ad.read_h5ad(tmp_path / f"{name}.h5ad") for name in ("new", "fit"))
    for read in READERS:
        assert_same(read(back), read(new), check_dtype=False, check_names=False)
    tm.tl.perturb(back, model=fit, key_added="again", progress=False)
    tm.tl.shap(back, model=fit, background=60, key_added="again_shap", progress=False)
    assert_same(tm.get.perturb(back, result_key="again"), tm.get.perturb(new), check_dtype=False, check_names=False)
    assert_same(tm.get.shap(back, result_key="again_shap"), tm.get.shap(new), check_dtype=False, check_names=False)
    for draw in (tm.pl.roc, tm.pl.prc, tm.pl.calibration, tm.pl.predictions, tm.pl.metrics, tm.pl.attention):
        draw(back, show=False)
    for draw in (tm.pl.perturb, tm.pl.shap, tm.pl.regulators):
        draw(back, show=False)
    assert "out of fold" not in tm.pl.predictions(back, show=False).get_ylabel()
    assert tm.get.patients(back).n_obs == 10
    plt.close("all")


def test_new_patients_are_perturbed_and_explained_by_all_replicas(new, fitted):
    tm.tl.predict(new, fitted)
    table = tm.get.predictions(new)
    tm.tl.perturb(new, regulons=["TF0(+)"], n_mad=2, model=fitted)
    base = tm.get.perturb(new, direction="up").droplevel([1, 2, 3])["prob_base"]
    np.testing.assert_allclose(base, table["prob_R"].loc[base.index], atol=1e-6)
    unit = tm.get.perturb(new, "stats", direction="up")["unit"].item()
    assert unit == pytest.approx(
        np.median(np.abs(new.obsm["X_regulons"][:, 0] - np.median(new.obsm["X_regulons"][:, 0])))
    )
    shifted = new.copy()
    shifted.obsm["X_regulons"][:, 0] = np.clip(shifted.obsm["X_regulons"][:, 0] + 2 * unit, 0, 1)
    tm.tl.predict(shifted, fitted)
    found = tm.get.perturb(new, direction="up").droplevel([1, 2, 3])["prob"]
    np.testing.assert_allclose(found, tm.get.predictions(shifted)["prob_R"].loc[found.index], atol=1e-6)

    tm.tl.shap(new, model=fitted, background=60, progress=False)
    added = tm.get.shap(new, "additivity")
    np.testing.assert_allclose(added["output"], table["prob_R"].loc[added.index], atol=1e-6)
    np.testing.assert_allclose(added["explained"], added["output"] - added["expected"], atol=0.01)
    assert np.isfinite(new.obsm["X_tcellmil_shap"]).all()


def test_the_background_of_new_patients_is_the_training_cells(new, fitted):
    """Expected outputs are those that the same replicas have on training bags, whatever the new patients are."""
    tm.tl.predict(new, fitted)
    tm.tl.shap(new, model=fitted, background=60, progress=False)
    other = new.copy()
    other.obsm["X_regulons"] = np.clip(1 - new.obsm["X_regulons"], 0, 1)
    del other.uns["tcellmil_shap"]
    tm.tl.predict(other, fitted)
    tm.tl.shap(other, model=fitted, background=60, progress=False, key_added="other")
    expected = tm.get.shap(new, "additivity")["expected"]
    np.testing.assert_allclose(tm.get.shap(other, "additivity", result_key="other")["expected"], expected, atol=1e-6)
    assert tm.get.predictions(fitted)["prob_R"].min() < expected.mean() < tm.get.predictions(fitted)["prob_R"].max()


@pytest.mark.parametrize("verb", [tm.tl.perturb, tm.tl.shap])
def test_a_model_object_explains_as_the_data_that_hold_it(new, fitted, verb, tmp_path):
    tm.tl.predict(new, fitted)
    by_data, by_model = new.copy(), new.copy()
    model = tm.get.model(fitted)
    options = {"background": 60, "progress": False} if verb is tm.tl.shap else {}
    verb(by_data, model=fitted, **options)
    verb(by_model, model=model, **options)
    read = tm.get.shap if verb is tm.tl.shap else tm.get.perturb
    pd.testing.assert_frame_equal(read(by_data), read(by_model))
    model.save(tmp_path / "model")
    alone = tm.model.TcellMIL.load(tmp_path / "model")
    if verb is tm.tl.perturb:
        verb(new, model=alone)
        pd.testing.assert_frame_equal(read(new), read(by_data))
    else:
        with pytest.raises(
            ValueError, match="compared with training cells, and this model holds no data; pass the data"
        ):
            verb(new, model=alone, **options)


def test_the_model_must_be_the_one_that_predicted(new, fitted, make_cohort, fit_quickly):
    other = make_cohort(seed=5)
    fit_quickly(other, "cohort", key_added="second")
    fit_quickly(other, "cohort", cv=2)
    tm.tl.predict(new, other, key="second")
    tm.tl.perturb(new, model=other)
    assert len(tm.get.perturb(new, direction="up")) == 50
    message = r"model is not the one that predicted adata.uns\['tcellmil'\]: its fits \['tcellmil'\] are others"
    with pytest.raises(ValueError, match=message):
        tm.tl.perturb(new, model=fitted)
    with pytest.raises(ValueError, match="it is another one; pass what tl.predict was given"):
        tm.tl.perturb(new, model=tm.get.model(fitted))
    with pytest.raises(ValueError, match="it holds no fitted model"):
        tm.tl.shap(new, model=make_cohort())
    with pytest.raises(ValueError, match=r"adata.uns\['tcellmil'\] is a fit itself; leave model out"):
        tm.tl.perturb(fitted, model=fitted)
    with pytest.raises(KeyError, match=r"has no fit 'tcellmil'; run tl.predict\(adata, model\) first"):
        tm.tl.perturb(make_cohort(seed=6), model=fitted)


def test_patients_that_were_not_predicted_are_refused_and_absent_ones_said(new, fitted):
    tm.tl.predict(new, fitted)
    part = new[new.obs["patient"] != "new3"].copy()
    with pytest.warns(UserWarning, match=r"1 of the 10 patients of 'tcellmil' are not here, \['new3'\]"):
        tm.tl.perturb(part, model=fitted)
    assert "new3" not in tm.get.perturb(part).index.get_level_values("patient")
    new.obs["patient"] = new.obs["patient"].replace({"new3": "late"})
    with pytest.raises(
        ValueError, match=r"\['late'\] are not among those of adata.uns\['tcellmil'\]; predict them again"
    ):
        tm.tl.perturb(new, model=fitted)


def test_regulons_scored_anew_call_for_another_prediction():
    adata, new = (tm.datasets.pbmc_cohort(n_patients=6, n_cells=30, seed=seed) for seed in (0, 1))
    new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    net = pd.DataFrame({"source": "IRF7", "target": adata.uns["truth"]["targets"]})
    for cells in (adata, new):
        tm.tl.regulons(cells, net=net)
    tm.tl.fit_mil(adata, "patient", "response", cv=3, training={"max_epochs": 2}, n_boot=20, progress=False)
    tm.tl.predict(new, adata)
    tm.tl.perturb(new, model=adata)
    assert len(tm.get.perturb(new, direction="up")) == 6
    tm.tl.regulons(new, net=net, auc_threshold=0.1)
    with pytest.raises(ValueError, match="scored anew since adata.uns.* was predicted; predict them again"):
        tm.tl.perturb(new, model=adata)
    with pytest.raises(ValueError, match=r"run tl.predict and then tl.perturb\(adata, model=model\) again"):
        tm.get.perturb(new)


def test_missing_results_name_calls_that_fit_nothing(new, fitted):
    tm.tl.predict(new, fitted)
    calls = {
        tm.get.perturb: r"run tl.perturb\(adata, model=model\) first",
        tm.get.shap: r"run tl.shap\(adata, model=model\) first",
        tm.get.regulators: r"run tl.perturb\(adata, model=model\), tl.shap\(adata, model=model\) or",
        tm.get.attention_stability: "is about the fit itself; run it on the data that tl.fit_mil wrote to",
        tm.get.permutation_test: "is about the fit itself; run it on the data that tl.fit_mil wrote to",
        tm.get.history: "fits nothing: read it from the data that tl.fit_mil wrote to",
        tm.pl.history: "fits nothing: read it from the data that tl.fit_mil wrote to",
    }
    for read, message in calls.items():
        with pytest.raises(KeyError, match=message):
            read(new)
    with pytest.raises(KeyError, match=r"no 'other'; run tl.predict\(adata, model, key_added='other'\) first"):
        tm.get.metrics(new, key="other")
    del new.obs["tcellmil_attention"]
    with pytest.raises(KeyError, match=r"no 'tcellmil_attention'; run tl.predict\(adata, model\) first"):
        tm.get.attention(new)


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"label_key": "status"}, KeyError, "label_key='status' is not a column of adata.obs"),
        ({}, {"sample_key": "donor"}, KeyError, "sample_key='donor' is not a column of adata.obs"),
        ({}, {"event_key": "died"}, ValueError, "event_key='died': the model was fitted without event_key; leave it"),
        ({}, {"label_key": "patient"}, ValueError, "sample_key and label_key are both 'patient'"),
        ({}, {"continuous_covariate_keys": ["age"]}, ValueError, r"\['age'\] must name the columns of \[\], in this"),
        ({}, {"n_boot": 0}, ValueError, "n_boot=0 must be a whole number of at least 1"),
        ({}, {"seed": -1}, ValueError, "seed=-1 must be a whole number of at least 0"),
        (
            {"patient": "donor"},
            {},
            KeyError,
            r"sample_key='patient' of the model .* tl.predict\(adata, model, sample_key=",
        ),
        (
            {"cohort": "site"},
            {},
            KeyError,
            r"batch_key=...\), or give every cell the same, adata.obs\['cohort'\] = 'new'",
        ),
    ],
)
def test_columns_that_cannot_be_read_are_named_and_nothing_written(new, fitted, change, options, error, message):
    new.obs = new.obs.rename(columns=change)
    before = set(new.uns), set(new.obs), set(new.obsm)
    with pytest.raises(error, match=message):
        tm.tl.predict(new, fitted, **options)
    assert (set(new.uns), set(new.obs), set(new.obsm)) == before


def test_labels_that_were_asked_for_must_be_readable(new, fitted):
    new.obs["mixed"] = np.where(np.arange(new.n_obs) % 2, "NR", "R")
    with pytest.raises(ValueError, match="label_key 'mixed' has several values within patients"):
        tm.tl.predict(new, fitted, label_key="mixed")
    assert "tcellmil" not in new.uns


def test_covariates_of_other_names_are_read_in_the_order_of_the_model(make_cohort, fit_quickly):
    adata, new = make_cohort(), make_cohort(n_patients=6, seed=9, prefix="new")
    for cells in (adata, new):
        code = cells.obs["patient"].astype("category").cat.codes
        cells.obs["age"], cells.obs["bmi"], cells.obs["sex"] = 40.0 + code, 20.0 + code**2, np.where(code % 3, "f", "m")
    keys = {"continuous_covariate_keys": ["age", "bmi"], "categorical_covariate_keys": "sex"}
    fit_quickly(adata, cv=2, **keys)
    renamed = new.copy()
    renamed.obs = renamed.obs.rename(columns={"age": "years", "bmi": "index", "sex": "gender"})
    tm.tl.predict(new, adata)
    names = {"continuous_covariate_keys": ["years", "index"], "categorical_covariate_keys": ["gender"]}
    tm.tl.predict(renamed, adata, **names)
    pd.testing.assert_frame_equal(tm.get.predictions(renamed), tm.get.predictions(new))
    tm.tl.perturb(new, model=adata)
    tm.tl.perturb(renamed, model=adata)
    pd.testing.assert_frame_equal(tm.get.perturb(renamed), tm.get.perturb(new))


def test_shap_values_stay_with_columns_that_are_in_another_order(new, fitted):
    reordered = new.copy()
    order = [3, 0, 5, 1, 2, 4]
    reordered.obsm["X_regulons"] = new.obsm["X_regulons"][:, order]
    reordered.uns["regulons"] = {**new.uns["regulons"], "names": np.array(new.uns["regulons"]["names"])[order]}
    for cells in (new, reordered):
        tm.tl.predict(cells, fitted, n_boot=20)
        tm.tl.shap(cells, model=fitted, background=60, progress=False)
    one, other = (tm.get.shap_explanation(cells) for cells in (new, reordered))
    np.testing.assert_array_equal(other.data, one.data)
    np.testing.assert_array_equal(other.values, one.values)


def test_pairs_of_the_fit_are_no_pairs_of_new_patients(new, make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv="leave_pair_out")
    tm.tl.predict(new, adata)
    table, metrics = tm.get.predictions(new), tm.get.metrics(new)
    above = (
        table.loc[table["label"] == "R", "prob_R"].to_numpy()[:, None]
        - table.loc[table["label"] == "NR", "prob_R"].to_numpy()
    )
    assert metrics.loc["auroc", "value"] == pytest.approx((above > 0).mean())
    (legend,) = tm.pl.roc(new, show=False).figure.legends
    assert "of pairs" not in legend.get_texts()[0].get_text()
    plt.close("all")


def test_several_classes_are_measured_and_one_that_is_absent_is_said(make_cohort, fit_quickly, assert_same):
    classes = ("CR", "PD", "SD")
    adata = make_cohort(n_patients=12, classes=classes)
    fit_quickly(adata, cv=2)
    new = make_cohort(n_patients=9, classes=classes, seed=9, prefix="new")
    tm.tl.predict(new, adata)
    table = tm.get.predictions(new)
    y = np.array([classes.index(name) for name in table["label"]])
    expected = bootstrap_metrics(y, table[[f"prob_{name}" for name in classes]].to_numpy()).set_index("metric")
    assert_same(tm.get.metrics(new), expected, check_dtype=False)
    tm.tl.perturb(new, model=adata, target_class="CR")
    tm.tl.shap(new, model=adata, background=60, target_class="CR", progress=False)
    assert tm.get.regulators(new)["target_class"].unique().tolist() == ["CR"]
    two = new[new.obs["response"] != "SD"].copy()
    with pytest.warns(UserWarning, match=r"none of them is of class \['SD'\]"):
        tm.tl.predict(two, adata, key_added="two")
    assert tm.get.metrics(two, key="two")["value"].notna().sum() == 2
    (legend,) = tm.pl.roc(two, key="two", show=False).figure.legends
    assert len(legend.get_texts()) == 2
    plt.close("all")


OUTCOMES = {
    "continuous": {"label_key": "age"},
    "ordinal": {"label_key": "grade", "class_order": ["low", "mid", "high"]},
    "survival": {"label_key": "days", "event_key": "died"},
}


def of_outcome(make_cohort, **options):
    adata = make_cohort(n_patients=12, **options)
    code = adata.obs["patient"].str.extract(r"(\d+)$")[0].astype(int).to_numpy()
    adata.obs["age"], adata.obs["days"] = 50 + 3.0 * code, 10.0 + 7 * (code * 5 % 12)
    adata.obs["grade"], adata.obs["died"] = np.array(["low", "mid", "high"])[code % 3], (code % 3 != 0).astype(int)
    return adata


@pytest.fixture
def outcome_pair(make_cohort, request):
    """A fit of an outcome, and new patients whose columns have other names."""
    kind = request.param
    adata, new = of_outcome(make_cohort), of_outcome(make_cohort, seed=9, prefix="new")
    fit = {"cv": 3, "n_boot": 20, "training": {"max_epochs": 3}, "progress": False}
    tm.tl.fit_mil(adata, "patient", outcome=kind, **OUTCOMES[kind], **fit)
    new.obs = new.obs.rename(columns={"age": "years", "grade": "level", "days": "weeks", "died": "event"})
    return adata, new


@pytest.mark.parametrize("outcome_pair", ["continuous"], indirect=True)
def test_numbers_are_measured_in_a_column_of_another_name(outcome_pair, assert_same):
    adata, new = outcome_pair
    tm.tl.predict(new, adata, label_key="years", n_boot=50)
    table = tm.get.predictions(new)
    expected = bootstrap_regression(table["label"].to_numpy(), table["predicted"].to_numpy(), n_boot=50)
    assert_same(tm.get.metrics(new), expected.set_index("metric"), check_dtype=False)
    tm.tl.perturb(new, model=adata)
    tm.tl.shap(new, model=adata, background=60, progress=False)
    tm.tl.attention_correlation(new, mixed_model=False)
    assert tm.get.regulators(new)["target_class"].unique().tolist() == ["years"]
    assert tm.pl.predictions(new, show=False).get_xlabel() == "Predicted years"
    for draw in (tm.pl.metrics, tm.pl.perturb, tm.pl.shap, tm.pl.regulators):
        draw(new, show=False)
    new.obs["years"] = np.where(new.obs["patient"] == "new3", new.obs["years"], np.nan)
    with pytest.warns(UserWarning, match="the 1 new patients .* metrics need at least 2 patients, got 1"):
        tm.tl.predict(new, adata, label_key="years")
    with pytest.raises(KeyError, match="metrics need at least 2 patients, got 1. Put the outcomes into"):
        tm.get.metrics(new)
    new.obs["years"] = "old"
    with pytest.raises(ValueError, match="label_key 'years' is not a finite number"):
        tm.tl.predict(new, adata, label_key="years")
    plt.close("all")


@pytest.mark.parametrize("outcome_pair", ["continuous"], indirect=True)
@pytest.mark.filterwarnings("ignore:An input array is constant")
def test_numbers_that_are_all_observed_alike_judge_no_model(outcome_pair):
    adata, new = outcome_pair
    new.obs["years"] = 50.0
    tm.tl.predict(new, adata, label_key="years", n_boot=20)
    assert np.isnan(tm.get.metrics(new).loc["pearson", "value"])
    tm.tl.perturb(new, model=adata)
    assert tm.get.perturb(new).attrs == {"no_skill": ""}
    new.uns["tcellmil"]["predictions"]["predicted"] = 50.0
    with pytest.warns(UserWarning, match="not defined, because all predictions are the same in new patients"):
        tm.tl.perturb(new, model=adata)


@pytest.mark.parametrize("outcome_pair", ["ordinal"], indirect=True)
def test_grades_are_measured_in_a_column_of_another_name(outcome_pair):
    adata, new = outcome_pair
    tm.tl.predict(new, adata, label_key="level", n_boot=50)
    metrics = tm.get.metrics(new)
    assert np.isfinite(metrics["value"]).all() and {"weighted_kappa", "mae_levels"} <= set(metrics.index)
    tm.pl.predictions(new, show=False)
    part = new[new.obs["level"] != "mid"].copy()
    with pytest.warns(UserWarning, match=r"none of them is of class \['mid'\]"):
        tm.tl.predict(part, adata, label_key="level", n_boot=50, key_added="part")
    defined = tm.get.metrics(part, key="part")["value"].dropna()
    assert defined.index.tolist() == ["accuracy", "brier", "weighted_kappa", "mae_levels"]
    low = new[new.obs["level"] == "low"].copy()
    with pytest.warns(UserWarning, match="not everything can be measured"):
        tm.tl.predict(low, adata, label_key="level", n_boot=50, key_added="low")
    assert tm.get.metrics(low, key="low")["value"].dropna().index.tolist() == ["accuracy", "brier", "mae_levels"]
    plt.close("all")


@pytest.mark.parametrize("outcome_pair", ["survival"], indirect=True)
def test_times_are_measured_and_risk_groups_compared(outcome_pair, assert_same):
    adata, new = outcome_pair
    tm.tl.predict(new, adata, label_key="weeks", event_key="event", n_boot=50)
    table = tm.get.predictions(new)
    expected = bootstrap_survival(*table[["time", "event", "risk"]].to_numpy().T, n_boot=50).set_index("metric")
    assert_same(tm.get.metrics(new), expected, check_dtype=False)
    assert tm.get.risk_groups(new, "test")[["n_low", "n_high"]].to_numpy().sum() == 12
    assert tm.pl.risk_groups(new, show=False).get_xlabel() == "weeks"
    assert "out of fold" not in tm.pl.predictions(new, show=False).get_title()
    tm.tl.perturb(new, model=adata)
    tm.tl.shap(new, model=adata, background=60, progress=False)
    tm.pl.shap(new, show=False)
    with pytest.raises(KeyError, match="event_key='died' is not a column of adata.obs"):
        tm.tl.predict(new, adata, label_key="weeks")
    new.obs["event"] = 0
    with pytest.warns(UserWarning, match="not everything can be measured"):
        tm.tl.predict(new, adata, label_key="weeks", event_key="event")
    with pytest.raises(KeyError, match="has no 'metrics'; nothing could be measured"):
        tm.get.metrics(new)
    plt.close("all")


def test_modalities_of_new_patients_are_measured_and_explained(fitted_mudata, make_mudata, tmp_path, assert_same):
    new = make_mudata(n_patients=6, seed=9, prefix="new")
    new.obs = new.obs.rename(columns=NAMES)
    tm.tl.predict(new, fitted_mudata, n_boot=50, **KEYS)
    tm.tl.perturb(new, model=fitted_mudata)
    tm.tl.shap(new, model=fitted_mudata, background=60, progress=False)
    assert (tm.get.metrics(new)["n"] == 6).all()
    assert "prot:CD8" in tm.get.regulators(new).index
    for draw in (tm.pl.roc, tm.pl.predictions, tm.pl.metrics, tm.pl.perturb, tm.pl.shap):
        draw(new, show=False)
    plt.close("all")
    new.write_h5mu(tmp_path / "new.h5mu")
    back = mudata.read_h5mu(tmp_path / "new.h5mu")
    for read in (tm.get.metrics, tm.get.perturb, tm.get.shap):
        assert_same(read(back), read(new), check_dtype=False, check_names=False)
    tm.tl.perturb(back, model=fitted_mudata, key_added="again")
    assert_same(tm.get.perturb(back, result_key="again"), tm.get.perturb(new), check_dtype=False, check_names=False)
