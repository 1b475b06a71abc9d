"""The whole fit on permuted labels."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


def part(adata, name):
    return adata.uns["tcellmil_permutation_test"][name]


def test_p_counts_the_permutations_that_are_as_good(fitted):
    tm.tl.permutation_test(fitted, 9, progress=False)
    null, test = part(fitted, "null"), part(fitted, "test").iloc[0]
    observed = tm.get.metrics(fitted).loc["auroc", "value"]
    assert test["value"] == observed and len(null) == 9
    assert test["p"] == (1 + (null["auroc"] >= observed - 1e-12).sum()) / 10
    assert test["null_mean"] == pytest.approx(null["auroc"].mean())
    assert null["auroc"].nunique() > 3


@pytest.mark.parametrize("calibration", [None, "temperature"])
def test_a_permutation_is_a_fit_on_the_permuted_labels(make_cohort, fit_quickly, calibration):
    """The same labels, drawn again by hand and fitted by themselves, give the same metrics."""
    adata = make_cohort(n_patients=8)
    fit_quickly(adata, cv=2, calibration=calibration)
    tm.tl.permutation_test(adata, 5, seed=3, progress=False)
    rng = np.random.default_rng([3, 5])
    y = np.arange(8) % 2
    for permutation in range(5):
        labels = rng.permutation(y)
        again = make_cohort(n_patients=8)
        again.obs["response"] = np.repeat(np.array(["NR", "R"])[labels], 15)
        fit_quickly(again, cv=2, calibration=calibration)
        expected = tm.get.metrics(again)["value"]
        found = part(adata, "null").iloc[permutation]
        np.testing.assert_allclose(found[expected.index].astype(float), expected, rtol=1e-5)


def test_labels_stay_within_their_cohort(make_cohort, fit_quickly, monkeypatch):
    import tcellmil.training as training

    adata = make_cohort()
    adata.obs["cohort"] = np.where(adata.obs["patient"].isin(["P0", "P2", "P4", "P1"]), "A", "B")  # three of four NR
    fit_quickly(adata, "cohort", cv=2)
    seen, fit = [], training.fit_ensemble

    def watched(*args, labels, **options):
        seen.append(labels)
        return fit(*args, labels=labels, **options)

    monkeypatch.setattr(training, "fit_ensemble", watched)
    tm.tl.permutation_test(adata, 6, progress=False)
    in_a = np.isin(tm.get.model(adata).bags().names, ["P0", "P1", "P2", "P4"])
    assert (np.concatenate(seen)[:, in_a].sum(axis=1) == 1).all()
    seen.clear()
    tm.tl.permutation_test(adata, 12, within_cohorts=False, progress=False)
    assert len(set(np.concatenate(seen)[:, in_a].sum(axis=1))) > 1


def test_own_splits_stay_as_they_are(make_cohort, fit_quickly):
    adata = make_cohort()
    names = [f"P{i}" for i in range(8)]
    fit_quickly(adata, cv=[(names[:4], names[4:]), (names[4:], names[:4])])
    tm.tl.permutation_test(adata, 3, metric="brier", progress=False)
    assert part(adata, "test").loc[0, "metric"] == "brier"


def test_the_same_seed_gives_the_same_null_and_another_does_not(fitted):
    tables = []
    for seed in (0, 0, 1):
        tm.tl.permutation_test(fitted, 2, seed=seed, key_added="null", progress=False)
        tables.append(tm.get.permutation_test(fitted, "null", result_key="null"))
    pd.testing.assert_frame_equal(tables[0], tables[1])
    assert not tables[0].equals(tables[2])


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_permutations": 0}, ValueError, r"n_permutations=0 must be a whole number of at least 1"),
        ({"metric": "auc"}, ValueError, r"metric='auc' is not known; choose from 'auroc'"),
        ({"key": "other"}, KeyError, "adata.uns has no fit 'other'; fits here: "),
    ],
)
def test_bad_input_is_named_and_nothing_is_written(fitted, options, error, message):
    with pytest.raises(error, match=message):
        tm.tl.permutation_test(fitted, **{"progress": False} | options)
    assert not [key for key in fitted.uns if "permutation" in key]


def test_a_missing_result_names_the_verb(fitted):
    with pytest.raises(KeyError, match=r"run tl.permutation_test\(adata\) first"):
        tm.get.permutation_test(fitted).reset_index()


def test_labels_are_drawn_again_where_held_out_patients_are_of_one_class(make_cohort, fit_quickly):
    adata = make_cohort()
    names = [f"P{i}" for i in range(8)]
    fit_quickly(adata, cv=[(names[:5], names[5:])])
    tm.tl.permutation_test(adata, 12, progress=False)
    assert part(adata, "null")["auroc"].notna().all()


def test_labels_are_drawn_again_where_a_cohort_is_of_one_class(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, "cohort", cv="cohort")
    tm.tl.permutation_test(adata, 12, within_cohorts=False, progress=False)
    assert len(part(adata, "null")) == 12


def test_a_null_that_would_not_be_made_as_the_fit_was_is_refused(make_cohort, fit_quickly):
    from sklearn.model_selection import StratifiedKFold

    adata = make_cohort()
    fit_quickly(adata, cv=StratifiedKFold(2))
    with pytest.raises(ValueError, match=r"fitted with a StratifiedKFold, whose splits may depend on the labels"):
        tm.tl.permutation_test(adata, 2, progress=False)


@pytest.fixture(scope="module")
def calibrated_once(make_cohort, fit_quickly):
    """One network judges all of the held-out patients; fitted and tested without and with calibration."""
    adata = make_cohort(n_patients=14)
    names = [f"P{i}" for i in range(14)]
    for key, calibration in (("tcellmil", None), ("cooled", "temperature")):
        fit_quickly(adata, cv=[(names[:8], names[8:])], calibration=calibration, key_added=key)
        tm.tl.permutation_test(adata, 8, metric="brier", key=key, progress=False)
    return adata


def test_a_calibrated_null_keeps_the_order_and_changes_probabilities(calibrated_once):
    plain, cooled = (tm.get.permutation_test(calibrated_once, "null", key=k) for k in ("tcellmil", "cooled"))
    for metric in ("auroc", "auprc", "accuracy"):
        np.testing.assert_array_equal(plain[metric], cooled[metric])
    assert (plain["brier"] != cooled["brier"]).all()


def test_a_calibrated_fit_is_compared_as_it_is(calibrated_once):
    test, null = (
        tm.get.permutation_test(calibrated_once, "null" if part else "test", key="cooled").reset_index()
        for part in (False, True)
    )
    observed = tm.get.metrics(calibrated_once, key="cooled").loc["brier", "value"]
    assert test.loc[0, "value"] == observed
    assert observed != tm.get.metrics(calibrated_once).loc["brier", "value"]
    assert test.loc[0, "p"] == (1 + (null["brier"] <= observed + 1e-12).sum()) / 9


@pytest.mark.parametrize("calibration", [None, "temperature"])
def test_labels_that_stay_where_they_are_give_the_metrics_of_the_fit(
    make_cohort, fit_quickly, monkeypatch, calibration
):
    """The fit is one of the draws of its own null, which is what makes the p-value valid."""
    import tcellmil.tl._patients._permutation_test as module

    adata = make_cohort(n_patients=8)
    fit_quickly(adata, "cohort", n_seeds=2, calibration=calibration)
    draw, bags = module._permuted, tm.get.model(adata).bags()

    def first_as_it_is(model, *args):
        drawn = draw(model, *args)
        return (bags, model.stack.replicas) if not seen else drawn

    seen = []
    monkeypatch.setattr(module, "_permuted", lambda *args: (first_as_it_is(*args), seen.append(1))[0])
    tm.tl.permutation_test(adata, 3, progress=False)
    expected = tm.get.metrics(adata)["value"]
    np.testing.assert_allclose(part(adata, "null").iloc[0][expected.index].astype(float), expected, rtol=1e-5)


def test_labels_are_drawn_again_where_too_few_are_left_to_calibrate_on(make_cohort, fit_quickly):
    """Some draws leave a fold with one training patient of a class, which cannot be split again."""
    adata = make_cohort()
    names = [f"P{i}" for i in range(8)]
    fit_quickly(adata, cv=[(names[:4], names[4:])], calibration="temperature")
    tm.tl.permutation_test(adata, 12, progress=False)
    assert part(adata, "null")["brier"].notna().all()


def test_when_no_labels_can_be_split_the_reason_is_given(make_cohort, fit_quickly, monkeypatch):
    import tcellmil.tl._patients._permutation_test as module

    adata = make_cohort()
    fit_quickly(adata, cv=2)

    def refuse(*_):
        raise ValueError("a fold would train on one class")

    monkeypatch.setattr(module, "_splits", refuse)
    monkeypatch.setattr(module, "MAX_DRAWS", 3)
    with pytest.raises(
        ValueError, match=r"hardly ever train on .*\(the last that was drawn: a fold would train on one"
    ):
        tm.tl.permutation_test(adata, 2, progress=False)


@pytest.mark.parametrize(
    ("column", "options"),
    [
        ("age", {"outcome": "continuous"}),
        ("days", {"outcome": "survival", "event_key": "died"}),
        ("grade", {"outcome": "ordinal", "class_order": ["low", "mid", "high"]}),
    ],
)
def test_other_outcomes_are_permuted_whole_and_fitted_again(make_cohort, column, options):
    """Number, or time and event together, or grade of another patient; the null is that of fits by hand."""
    n = 12
    rng = np.random.default_rng(0)
    of_patient = pd.DataFrame(
        {
            "age": 50 + 3.0 * np.arange(n),
            "days": rng.exponential(100, n).round(2),
            "died": np.arange(n) % 3 < 2,
            "grade": np.array(["low", "mid", "high"])[np.arange(n) % 3],
        },
        index=sorted(f"P{i}" for i in range(n)),
    )
    quick = {"n_boot": 20, "cv": 3, "progress": False}
    quick["training"] = {"max_epochs": 2, "max_epochs_ae": 2, "accelerator": "cpu"}

    def fit(table):
        adata = make_cohort(n_patients=n)
        for name in table:
            adata.obs[name] = adata.obs["patient"].map(table[name]).astype(table[name].dtype)
        tm.tl.fit_mil(
            adata,
            "patient",
            column,
            network={"compression": "autoencoder", "n_hidden": 8, "n_latent": 4},
            **options,
            **quick,
        )
        return adata

    adata = fit(of_patient)
    tm.tl.permutation_test(adata, 2, seed=3, progress=False)
    rng = np.random.default_rng([3, 5])
    for permutation in range(2):
        shuffled = of_patient.iloc[rng.permutation(n)].set_axis(of_patient.index)
        expected = tm.get.metrics(fit(shuffled))["value"]
        found = part(adata, "null").iloc[permutation][expected.index].astype(float)
        np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-5)
    test = part(adata, "test").iloc[0]
    assert test["metric"] == {"age": "pearson", "days": "concordance", "grade": "weighted_kappa"}[column]
    assert test["p"] in (1 / 3, 2 / 3, 1)


def test_of_errors_lower_counts_as_better(make_cohort):
    adata = make_cohort(n_patients=8)
    adata.obs["age"] = 10.0 * pd.Categorical(adata.obs["patient"]).codes
    quick = {"training": {"max_epochs": 2, "max_epochs_ae": 2}, "cv": 2, "progress": False}
    tm.tl.fit_mil(
        adata,
        "patient",
        "age",
        outcome="continuous",
        network={"compression": "autoencoder", "n_hidden": 8, "n_latent": 4},
        **quick,
    )
    tm.tl.permutation_test(adata, 4, metric="mae", progress=False)
    null, test = part(adata, "null"), part(adata, "test").iloc[0]
    assert test["p"] == (1 + (null["mae"] <= test["value"] + 1e-12).sum()) / 5
    with pytest.raises(ValueError, match="metric='auroc' is not known; choose from 'r2', 'pearson'"):
        tm.tl.permutation_test(adata, 1, metric="auroc", progress=False)


def test_a_metric_that_is_not_defined_has_no_p_value(make_cohort):
    adata = make_cohort(n_patients=8)
    adata.obs["age"] = 10.0 * pd.Categorical(adata.obs["patient"]).codes
    adata.obsm["X_same"] = np.ones((adata.n_obs, 2))
    names = sorted(adata.obs["patient"].unique())
    quick = {"training": {"max_epochs": 1}, "cv": [(names[:4], names[4:])], "progress": False}
    tm.tl.fit_mil(adata, "patient", "age", outcome="continuous", use_rep="X_same", **quick)
    with pytest.raises(ValueError, match="'pearson' of 'tcellmil' is not defined: all predictions are the same"):
        tm.tl.permutation_test(adata, 2, progress=False)
