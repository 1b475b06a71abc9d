"""Methods are compared on the same splits, and none sees a held-out patient."""

from itertools import product

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import GaussianNB
from sklearn.preprocessing import StandardScaler

import tcellmil as tm
from tcellmil.cv import make_replicas
from tcellmil.stats import bootstrap_metrics, delong_test, mcnemar_test
from tcellmil.training import TrainingConfig

QUICK = {
    "network": {"compression": "autoencoder", "n_hidden": 8, "n_latent": 4, "n_attention": 4},
    "training": {"max_epochs": 3, "max_epochs_ae": 3, "accelerator": "cpu"},
    "n_seeds": 1,
    "n_boot": 20,
    "n_permutations": 20,
    "progress": False,
}
EVERY = ["all", "ablations"]


def compare(adata, *args, **kwargs):
    return tm.tl.benchmark(adata, "patient", "response", *args, **QUICK | kwargs)


@pytest.fixture(scope="module")
def compared_once(make_cohort):
    adata = make_cohort(n_patients=10)
    network = {**QUICK["network"], "n_latent": 5}
    compare(adata, "cohort", methods=EVERY, cell_type_key="cell_type", network=network, cv=3)
    return adata


@pytest.fixture
def compared(compared_once):
    return compared_once.copy()


def predictions_of(adata, method, rep="X_regulons"):
    table = tm.get.benchmark(adata, "predictions").reset_index()
    return table[(table["method"] == method) & (table["rep"] == rep)].set_index("patient")


def test_every_method_runs_on_every_representation(compared):
    table = tm.get.benchmark(compared, "methods").reset_index()
    with_rep = table[table["rep"] != ""]
    assert set(table.loc[table["rep"] == "", "method"]) == {"composition", "majority"}
    assert set(with_rep.groupby("method")["rep"].nunique()) == {2}
    assert len(table) == 2 + 2 * 22
    assert (table["seconds"] > 0).all()


def test_tcellmil_is_what_fit_mil_gives(make_cohort, assert_same):
    adata = make_cohort(n_patients=8)
    compare(adata, "cohort", methods=["tcellmil", "mil_mean"], use_reps=["X_regulons"], n_seeds=2)
    tm.tl.fit_mil(
        adata,
        "patient",
        "response",
        "cohort",
        n_seeds=2,
        training={"max_epochs": 3, "max_epochs_ae": 3, "accelerator": "cpu"},
        network=QUICK["network"],
        n_boot=20,
        progress=False,
    )
    np.testing.assert_allclose(
        predictions_of(adata, "tcellmil")["prob_R"], tm.get.predictions(adata)["prob_R"], rtol=1e-9
    )
    metrics = tm.get.benchmark(adata).reset_index()
    own = metrics[metrics["method"] == "tcellmil"].set_index("metric")[["value", "ci_low", "ci_high"]]
    assert_same(own, tm.get.metrics(adata)[["value", "ci_low", "ci_high"]])


def test_a_baseline_is_scikit_learn_by_hand_on_the_same_splits(compared):
    x = pd.DataFrame(compared.obsm["X_regulons"].astype(float)).groupby(compared.obs["patient"].to_numpy()).mean()
    y = (compared.obs.groupby("patient")["response"].first().loc[x.index] == "R").to_numpy().astype(int)
    replicas = make_replicas(3, y, names=x.index.to_numpy())
    found = predictions_of(compared, "logistic_regression")["prob_R"]
    for train, test in zip(replicas.train, replicas.test, strict=True):
        scaler = StandardScaler().fit(x[train])
        model = LogisticRegression(class_weight="balanced", max_iter=5000).fit(scaler.transform(x[train]), y[train])
        expected = model.predict_proba(scaler.transform(x[test]))[:, 1]
        np.testing.assert_allclose(found[x.index[test]], expected, rtol=1e-8)


@pytest.mark.slow
def test_the_values_of_a_held_out_patient_reach_no_row(make_cohort):
    """An unlabelled patient is predicted by every fold; those that held P3 out must not notice a change of P3."""
    adata = make_cohort(n_patients=10)
    rng = np.random.default_rng(5)
    probe = {"P8": "R", "P9": "NR"}
    cv = [([f"P{i}" for i in range(8) if i != 3], ["P3", *probe]), ([f"P{i}" for i in range(3)], ["P4"])]
    changed = adata.copy()
    own = (changed.obs["patient"] == "P3").to_numpy()
    changed.obsm["X_regulons"][own] = rng.random((own.sum(), 6)).astype(np.float32)
    changed.obs.loc[own, "cell_type"] = "NK"
    for data in (adata, changed):
        compare(data, "cohort", methods=EVERY, use_reps=["X_regulons"], cell_type_key="cell_type", cv=cv)
    before, after = (tm.get.benchmark(data, "predictions").reset_index() for data in (adata, changed))
    kept = before["patient"].isin(list(probe))
    assert kept.sum() == 2 * before["method"].nunique()
    pd.testing.assert_frame_equal(before[kept], after[kept])
    of_changed = before["patient"] == "P3"
    differs = before.loc[of_changed, "prob_R"].to_numpy() != after.loc[of_changed, "prob_R"].to_numpy()
    assert differs.mean() > 0.6


KEYS = {"continuous_covariate_keys": ["age"], "categorical_covariate_keys": ["site"]}


def with_covariates(adata, told=0.0):
    """``age`` follows the label as far as ``told`` says; the site of the first patient has no other."""
    patients = adata.obs.groupby("patient", observed=True)["response"].first()
    age = 60 + 10 * (told * (patients == "R").to_numpy() + np.random.default_rng(0).normal(size=len(patients)))
    site = ["C", *np.resize(["A", "B", "B", "A"], len(patients) - 1)]
    adata.obs["age"] = adata.obs["patient"].map(dict(zip(patients.index, age.round(1), strict=True))).astype(float)
    adata.obs["site"] = adata.obs["patient"].map(dict(zip(patients.index, site, strict=True)))
    return adata


def table_of(adata, *columns):
    """A row a patient: means of the representation, age as the package reads it, and a one-hot site."""
    obs = adata.obs.groupby("patient", observed=True)[["response", "age", "site"]].first()
    x = pd.DataFrame(adata.obsm["X_regulons"].astype(float)).groupby(adata.obs["patient"].to_numpy()).mean()
    shares = pd.crosstab(adata.obs["patient"].to_numpy(), adata.obs["cell_type"].to_numpy(), normalize="index")
    parts = {"means": x, "shares": shares, "age": obs["age"].astype(np.float32), "site": pd.get_dummies(obs["site"])}
    return np.hstack([np.asarray(parts[name], dtype=float).reshape(len(obs), -1) for name in columns]), obs["response"]


def test_covariates_stand_beside_the_means_and_the_shares_and_alone(make_cohort):
    adata = with_covariates(make_cohort(n_patients=10))
    methods = ["logistic_regression", "svc", "composition", "covariates", "majority"]
    compare(adata, "cohort", methods=methods, use_reps=["X_regulons"], cell_type_key="cell_type", cv=3, **KEYS)
    for method, part in {"logistic_regression": ["means"], "composition": ["shares"], "covariates": []}.items():
        x, response = table_of(adata, *part, "age", "site")
        y, names = (response == "R").to_numpy().astype(int), response.index.to_numpy()
        found = predictions_of(adata, method, "X_regulons" if part == ["means"] else "")["prob_R"]
        replicas = make_replicas(3, y, names=names)
        for train, test in zip(replicas.train, replicas.test, strict=True):
            varies = np.ptp(x[train], axis=0) > 0
            scaler = StandardScaler().fit(x[train][:, varies])
            model = LogisticRegression(class_weight="balanced", max_iter=5000)
            model.fit(scaler.transform(x[train][:, varies]), y[train])
            expected = model.predict_proba(scaler.transform(x[test][:, varies]))[:, 1]
            np.testing.assert_allclose(found[names[test]], expected, rtol=1e-6)
    plain = make_cohort(n_patients=10)
    compare(
        plain, "cohort", methods=methods[:-2] + ["majority"], use_reps=["X_regulons"], cell_type_key="cell_type", cv=3
    )
    for method, rep in (("svc", "X_regulons"), ("composition", "")):
        assert not np.allclose(
            predictions_of(adata, method, rep)["prob_R"], predictions_of(plain, method, rep)["prob_R"]
        )
    np.testing.assert_array_equal(
        predictions_of(adata, "majority", "")["prob_R"], predictions_of(plain, "majority", "")["prob_R"]
    )


def test_with_covariates_tcellmil_is_still_what_fit_mil_gives(make_cohort, fit_quickly):
    adata = with_covariates(make_cohort(n_patients=8))
    compare(adata, "cohort", methods=["tcellmil"], use_reps=["X_regulons"], cv=2, **KEYS)
    training = {"max_epochs": 3, "max_epochs_ae": 3, "lr": TrainingConfig().lr}
    fit_quickly(adata, "cohort", cv=2, network=QUICK["network"], training=training, **KEYS)
    expected = tm.get.predictions(adata)["prob_R"]
    np.testing.assert_allclose(predictions_of(adata, "tcellmil")["prob_R"], expected, rtol=1e-9)


def test_a_covariate_that_tells_the_label_shows_that_cells_add_nothing(make_cohort, tmp_path):
    adata = with_covariates(make_cohort(n_patients=16), told=8)
    compare(adata, methods="baselines", use_reps=["X_regulons"], cv=4, continuous_covariate_keys="age")
    auroc = tm.get.benchmark(adata, metric="auroc").reset_index().set_index("method")["value"]
    assert auroc["covariates"] == 1 and auroc["majority"] <= 0.5
    adata.write_h5ad(tmp_path / "result.h5ad")
    params = ad.read_h5ad(tmp_path / "result.h5ad").uns["benchmark"]["params"]
    assert list(params["continuous_covariate_keys"]) == ["age"] and list(params["categorical_covariate_keys"]) == []


@pytest.mark.slow
def test_the_covariates_of_a_held_out_patient_reach_no_row(make_cohort):
    """As above: unlabelled patients show what the folds that held P3 out have learned."""
    probe = {"P8": "R", "P9": "NR"}
    cv = [([f"P{i}" for i in range(8) if i != 3], ["P3", *probe]), ([f"P{i}" for i in range(3)], ["P4"])]
    tables = []
    for age, site in ((60.0, "A"), (600.0, "B")):
        adata = with_covariates(make_cohort(n_patients=10))
        adata.obs.loc[adata.obs["patient"] == "P3", ["age", "site"]] = age, site
        compare(adata, "cohort", methods=EVERY, use_reps=["X_regulons"], cell_type_key="cell_type", cv=cv, **KEYS)
        tables.append(tm.get.benchmark(adata, "predictions").reset_index())
    before, after = tables
    kept = before["patient"].isin(list(probe))
    assert kept.sum() == 2 * before["method"].nunique() and "covariates" in set(before["method"])
    pd.testing.assert_frame_equal(before[kept], after[kept])
    of_changed = before["patient"] == "P3"
    differs = before.loc[of_changed, "prob_R"].to_numpy() != after.loc[of_changed, "prob_R"].to_numpy()
    assert differs.mean() > 0.6


def test_methods_of_your_own_find_covariates_in_obs(make_cohort):
    adata, seen = with_covariates(make_cohort(n_patients=8)), []

    def own(train, test):
        seen.append({"age", "site"} <= set(train.obs) & set(test.obs))
        return pd.DataFrame(0.5, index=test.obs["patient"].unique(), columns=["NR", "R"])

    compare(adata, methods="covariates", use_reps=["X_regulons"], cv=2, custom_methods={"coin": own}, **KEYS)
    assert seen == [True, True]


@pytest.mark.parametrize(
    ("change", "keys", "error", "message"),
    [
        (None, {"methods": "covariates"}, ValueError, r"'covariates', which needs continuous_covariate_keys or"),
        (None, {"continuous_covariate_keys": ["bmi"]}, KeyError, r"continuous_covariate_keys='bmi' is not a column"),
        (
            lambda obs: obs.__setitem__("age", np.arange(len(obs))),
            {"continuous_covariate_keys": "age"},
            ValueError,
            r"continuous_covariate_keys 'age' has several values within patients \['P0'.*exactly one",
        ),
        (
            lambda obs: obs.__setitem__("site", np.where(np.arange(len(obs)) % 2, "A", "B")),
            {"categorical_covariate_keys": ["site"]},
            ValueError,
            r"categorical_covariate_keys 'site' has several values within patients \['P0'.*exactly one",
        ),
        (
            None,
            {"custom_methods": {"covariates": print}, **KEYS},
            ValueError,
            r"custom_methods has the names \['covariates'\]",
        ),
    ],
)
def test_bad_covariates_are_named_and_nothing_is_written(make_cohort, change, keys, error, message):
    adata = with_covariates(make_cohort())
    if change is not None:
        change(adata.obs)
    with pytest.raises(error, match=message):
        compare(adata, **{"methods": "baselines", "use_reps": ["X_regulons"]} | keys)
    assert "benchmark" not in adata.uns


def test_differences_are_to_the_reference_with_paired_tests(compared):
    params = compared.uns["benchmark"]["params"]
    assert (params["reference"], params["reference_rep"]) == ("tcellmil", "X_regulons")
    reference, other = predictions_of(compared, "tcellmil"), predictions_of(compared, "svc", "X_pca")
    y = (reference["label"] == "R").to_numpy().astype(int)
    metrics = tm.get.benchmark(compared)
    auroc, accuracy = (metrics.loc[("svc", "X_pca", name)] for name in ("auroc", "accuracy"))
    difference, p = delong_test(y, other["prob_R"].to_numpy(), reference["prob_R"].to_numpy())
    assert auroc["difference"] == pytest.approx(difference) and auroc["test"] == "DeLong"
    assert auroc["p"] == pytest.approx(p)
    assert auroc["difference_ci_low"] <= difference <= auroc["difference_ci_high"]
    right = [(table["predicted"] == table["label"]).to_numpy() for table in (other, reference)]
    assert accuracy["p"] == pytest.approx(mcnemar_test(*right)[1]) and accuracy["test"] == "McNemar"
    assert metrics.loc[("svc", "X_pca", "brier"), "test"] == "exchange"
    own = metrics.loc[("tcellmil", "X_regulons")]
    assert own[["difference", "p"]].isna().all(axis=None) and (own["test"] == "").all()


def test_metrics_are_those_of_the_predictions(compared):
    table = predictions_of(compared, "mil_max")
    y = (table["label"] == "R").to_numpy().astype(int)
    found = tm.get.benchmark(compared).reset_index()
    found = found[(found["method"] == "mil_max") & (found["rep"] == "X_regulons")].set_index("metric")
    expected = bootstrap_metrics(y, table[["prob_NR", "prob_R"]].to_numpy(), n_boot=20).set_index("metric")
    np.testing.assert_allclose(found["value"], expected["value"])
    np.testing.assert_allclose(found["ci_low"], expected["ci_low"])


def test_leave_pair_out_ranks_within_pairs(make_cohort):
    adata = make_cohort(n_patients=6)
    compare(adata, methods=["mil_linear", "gaussian_nb"], use_reps=["X_regulons"], cv="leave_pair_out")
    auroc = tm.get.benchmark(adata, metric="auroc").reset_index().set_index("method")
    for name in auroc.index:
        halves = auroc.loc[name, "value"] * 18  # nine pairs; a tie counts half
        assert halves == pytest.approx(round(halves))
    assert auroc["p"].isna().all()

    x = pd.DataFrame(adata.obsm["X_regulons"].astype(float)).groupby(adata.obs["patient"].to_numpy()).mean().to_numpy()
    y = np.arange(6) % 2
    won = []
    for i, j in product(np.flatnonzero(y == 1), np.flatnonzero(y == 0)):
        rest = np.setdiff1d(np.arange(6), [i, j])
        p = GaussianNB().fit(x[rest], y[rest]).predict_proba(x[[i, j]])[:, 1]
        won.append((np.sign(p[0] - p[1]) + 1) / 2)
    assert auroc.loc["gaussian_nb", "value"] == pytest.approx(np.mean(won))


def test_three_classes(make_cohort):
    adata = make_cohort(n_patients=12, classes=("CR", "PR", "SD"))
    compare(adata, methods=["tcellmil", "svc", "majority"], use_reps=["X_regulons"], cv=3)
    table = tm.get.benchmark(adata, metric="auroc").reset_index().set_index("method")
    assert table.loc["svc", "test"] == "exchange" and 0 < table.loc["svc", "p"] <= 1
    assert np.allclose(predictions_of(adata, "majority", "")[["prob_CR", "prob_PR", "prob_SD"]].sum(axis=1), 1)


def test_methods_for_two_classes_are_left_out_of_more(make_cohort):
    adata = make_cohort(n_patients=12, classes=("CR", "PR", "SD"))
    compare(adata, methods="mil", use_reps=["X_regulons"], cv=3)
    assert "scmild" not in set(tm.get.benchmark(adata).reset_index()["method"])
    with pytest.raises(ValueError, match="methods has 'scmild', which is for two classes, there are 3"):
        compare(adata, methods=["scmild"], use_reps=["X_regulons"], cv=3)


def test_unlabelled_patients_are_predicted_and_not_judged(make_cohort):
    adata = make_cohort(n_patients=9)
    adata.obs["response"] = adata.obs["response"].astype(object).where(adata.obs["patient"] != "P8", None)
    compare(adata, methods=["mil_mean", "svc"], use_reps=["X_regulons"], cv=2, unlabelled="predict")
    assert (tm.get.benchmark(adata).reset_index()["n"] == 8).all()
    found = predictions_of(adata, "svc")
    assert found["prob_R"].notna().all() and found.loc["P8", "label"] == ""


def test_own_methods_get_no_label_no_other_cells_and_no_earlier_result(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=8)
    fit_quickly(adata, cv=2)
    seen = []

    def nearest_mean(train, test):
        leftovers = [*test.uns, *(key for key in test.obsm if key != "X_regulons"), *test.obs.filter(like="attention")]
        seen.append((set(train.obs["patient"]), set(test.obs["patient"]), "response" in test.obs, leftovers))
        score = pd.Series(test.obsm["X_regulons"][:, 0], index=test.obs["patient"].to_numpy()).groupby(level=0).mean()
        return pd.DataFrame({"R": score, "NR": 1 - score})

    compare(adata, methods="tcellmil", use_reps=["X_regulons"], custom_methods={"first regulon": nearest_mean})
    assert len(seen) == 8
    for train, test, labelled, leftovers in seen:
        assert not train & test and not labelled and not leftovers
    expected = pd.Series(adata.obsm["X_regulons"][:, 0]).groupby(adata.obs["patient"].to_numpy()).mean()
    np.testing.assert_allclose(predictions_of(adata, "first regulon", "")["prob_R"], expected, rtol=1e-6)


def test_without_cell_types_composition_is_left_out_of_all(make_cohort):
    adata = make_cohort()
    compare(adata, methods="baselines", use_reps=["X_regulons"], cv=2)
    assert "composition" not in set(tm.get.benchmark(adata).reset_index()["method"])


def test_the_result_survives_a_file_and_repeats(compared, make_cohort, tmp_path, assert_same):
    compared.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    for part in ("metrics", "methods", "predictions"):
        assert_same(tm.get.benchmark(back, part).reset_index(), tm.get.benchmark(compared, part).reset_index())
    first, second = make_cohort(), make_cohort()
    for adata in (first, second):
        compare(adata, methods=["mil_max", "random_forest"], use_reps=["X_pca"])
    assert_same(tm.get.benchmark(first).reset_index(), tm.get.benchmark(second).reset_index())


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"methods": ["lasso"]}, ValueError, r"methods \['lasso'\] are not known; choose from tcellmil"),
        ({"methods": []}, ValueError, r"are not known; choose from"),
        ({"use_reps": []}, ValueError, r"use_reps is empty; name keys of adata.obsm"),
        ({"use_reps": ["X_scVI"]}, KeyError, r"use_rep='X_scVI' is not in adata.obsm"),
        ({"methods": "composition"}, ValueError, r"'composition', which needs cell_type_key"),
        ({"cell_type_key": "type"}, KeyError, r"cell_type_key='type' is not a column of adata.obs"),
        ({"cv": None}, ValueError, r"cv=None would hold out no patient"),
        ({"network": {"depth": 3}}, TypeError, r"network has no options \['depth'\]"),
        ({"custom_methods": {"svc": print}}, ValueError, r"custom_methods has the names \['svc'\], which are taken"),
        (
            {"methods": "majority", "custom_methods": {"mine": lambda a, b: 0}},
            ValueError,
            r"must return a DataFrame with a row for",
        ),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(make_cohort, options, error, message):
    adata = make_cohort()
    with pytest.raises(error, match=message):
        compare(adata, **{"use_reps": ["X_regulons"]} | options)
    assert "benchmark" not in adata.uns
