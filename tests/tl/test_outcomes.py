"""Numbers, ordered classes and times to event, from obs columns to tables and files."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

QUICK = {"training": {"max_epochs": 3, "max_epochs_ae": 3}, "n_seeds": 1, "progress": False}
ONE_EPOCH = {"max_epochs": 1, "max_epochs_ae": 1}
SMALL = {"network": {"compression": "autoencoder", "n_hidden": 8, "n_latent": 4, "n_attention": 4}}
KINDS = {
    "continuous": {"label_key": "age"},
    "ordinal": {"label_key": "grade", "class_order": ["low", "mid", "high"]},
    "survival": {"label_key": "days", "event_key": "died"},
}
every_outcome = pytest.mark.parametrize("outcome", KINDS)


@pytest.fixture
def adata(make_cohort):
    """Twelve patients with an age, a grade, and a time to event, which their cells do not tell."""
    adata = make_cohort(n_patients=12)
    rng = np.random.default_rng(0)
    patients = sorted(adata.obs["patient"].unique())
    of_patient = {
        "age": 50 + 3.0 * np.arange(12),
        "grade": np.array(["low", "mid", "high"])[np.arange(12) % 3],
        "days": rng.exponential(100, 12),
        "died": np.arange(12) % 3 != 0,
    }
    for column, values in of_patient.items():
        adata.obs[column] = adata.obs["patient"].map(dict(zip(patients, values, strict=True)))
        adata.obs[column] = adata.obs[column].astype(values.dtype if values.dtype.kind != "U" else str)
    return adata


def fit(adata, outcome, **changes):
    options = {"cv": 3, "n_boot": 50} | KINDS[outcome] | QUICK | SMALL | changes
    tm.tl.fit_mil(adata, "patient", outcome=outcome, **options)


def set_of_patient(adata, column, patient, value):
    values = adata.obs[column].astype(object)
    values[adata.obs["patient"] == patient] = value
    adata.obs[column] = values


@every_outcome
def test_tables_say_what_was_predicted(adata, outcome):
    fit(adata, outcome)
    table, metrics = tm.get.predictions(adata), tm.get.metrics(adata)
    first = {
        "continuous": ["label", "predicted", "predicted_sd"],
        "ordinal": ["label", "predicted", "prob_low", "prob_mid", "prob_high", "prob_sd"],
        "survival": ["time", "event", "risk", "risk_sd"],
    }[outcome]
    assert list(table.columns) == [*first, "n_cells", "n_replicas"]
    assert table.notna().all(axis=None) and (table["n_replicas"] == 1).all()
    assert (metrics["ci_low"] <= metrics["value"] + 1e-9).all() and (metrics["n"] == 12).all()
    observed = {"continuous": ("age", "label"), "ordinal": ("grade", "label"), "survival": ("days", "time")}[outcome]
    expected = adata.obs.groupby("patient", observed=True)[observed[0]].first()
    if outcome == "ordinal":
        assert (table["label"] == expected).all()
    else:
        np.testing.assert_allclose(table[observed[1]], expected, rtol=1e-6)
    assert adata.uns["tcellmil"]["params"]["outcome"] == outcome


@every_outcome
def test_a_file_brings_back_the_model_that_predicts_the_same(adata, outcome, tmp_path, assert_same):
    fit(adata, outcome)
    adata.write_h5ad(tmp_path / "fit.h5ad")
    back = ad.read_h5ad(tmp_path / "fit.h5ad")
    model = tm.get.model(back)
    assert_same(model.predict(), tm.get.predictions(adata), check_dtype=False, check_names=False)
    model.save(tmp_path / "model")
    loaded = tm.model.TcellMIL.load(tmp_path / "model")
    assert loaded.schema.outcome.kind == outcome and loaded.schema.outcome.outputs == model.schema.outcome.outputs


@every_outcome
def test_new_patients_need_no_outcome(adata, outcome):
    fit(adata, outcome)
    new = adata[adata.obs["patient"].isin(["P1", "P2"])].copy()
    new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    for column in ("age", "grade", "days", "died"):
        del new.obs[column]
    tm.tl.predict(new, adata, key_added="new")
    table = tm.get.predictions(new, key="new")
    value = {"continuous": "predicted", "ordinal": "prob_high", "survival": "risk"}[outcome]
    assert table[value].notna().all() and (table["n_replicas"] == 3).all()
    seen = {"continuous": "label", "survival": "time"}.get(outcome)
    assert seen is None or table[seen].isna().all()


@every_outcome
def test_the_order_of_cells_does_not_matter_with_the_same_seed(adata, outcome):
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    for cells in (adata, shuffled):
        fit(cells, outcome)
    pd.testing.assert_frame_equal(tm.get.predictions(adata), tm.get.predictions(shuffled))


@every_outcome
def test_patients_without_an_outcome_are_predicted_and_never_trained_on(adata, outcome):
    for column in {KINDS[outcome]["label_key"], KINDS[outcome].get("event_key", "age")}:
        set_of_patient(adata, column, "P3", np.nan)
    with pytest.raises(ValueError, match=r"is missing for patients \['P3'\]; drop them or set unlabelled='predict'"):
        fit(adata, outcome)
    fit(adata, outcome, unlabelled="predict", cv=2)
    table, splits = tm.get.predictions(adata), adata.uns["tcellmil"]["splits"]
    assert table.loc["P3", "n_replicas"] == 2
    assert not splits["train"][:, list(splits["patients"]).index("P3")].any()
    assert (tm.get.metrics(adata)["n"] == 11).all()


@pytest.mark.parametrize("column", ["days", "died"])
def test_half_known_times_count_as_unknown_where_that_was_asked_for(adata, column):
    set_of_patient(adata, column, "P3", np.nan)
    fit(adata, "survival", unlabelled="predict", cv=2)
    table = tm.get.predictions(adata)
    assert np.isnan(table.loc["P3", "time"]) and table.loc["P3", "n_replicas"] == 2
    assert (tm.get.metrics(adata)["n"] == 11).all()


def test_unreadable_outcomes_of_new_patients_are_left_out_with_a_warning(adata):
    fit(adata, "survival")
    new = adata[adata.obs["patient"].isin(["P1", "P2"])].copy()
    new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    new.obs["days"] = "soon"
    with pytest.warns(UserWarning, match="outcomes of the new patients are left out: label_key 'days' is not a finite"):
        tm.tl.predict(new, adata, key_added="new")
    table = tm.get.predictions(new, key="new")
    assert table["risk"].notna().all() and table["time"].isna().all()


def test_large_numbers_and_times_are_not_rounded(adata):
    patients = sorted(adata.obs["patient"].unique())
    of_patient = dict(zip(patients, 1.7e9 + 3.0 * np.arange(12), strict=True))
    adata.obs["age"] = adata.obs["patient"].map(of_patient).astype(float)
    adata.obs["days"] = adata.obs["age"]
    fit(adata, "continuous")
    table = tm.get.predictions(adata)
    assert table["label"].tolist() == [of_patient[p] for p in table.index]
    assert table["predicted"].nunique() == 12 and table["predicted"].between(1.7e9 - 60, 1.7e9 + 100).all()
    assert tm.get.metrics(adata).loc["mae", "value"] < 40
    fit(adata, "survival")
    assert tm.get.predictions(adata)["time"].nunique() == 12


@pytest.mark.parametrize("outcome", ["continuous", "survival"])
@pytest.mark.parametrize("cv", [2, 3, 6, "rebalanced_loo"])
def test_several_samples_of_a_patient_stay_together(adata, outcome, cv):
    code = adata.obs["patient"].str[1:].astype(int)
    adata.obs["person"] = "person " + (code // 2).astype(str)
    adata.obs["age"] = 30.0 + code // 2 * 3
    fit(adata, outcome, cv=cv, group_key="person", training=ONE_EPOCH)
    splits = adata.uns["tcellmil"]["splits"]
    person = np.array([int(name[1:]) // 2 for name in splits["patients"]])
    assert (splits["test"].sum(axis=0) == 1).all()
    for train, test in zip(splits["train"], splits["test"], strict=True):
        assert not set(person[train]) & set(person[test])


def test_leave_pair_out_of_two_ordered_classes_is_measured_as_classes(adata):
    adata.obs["grade"] = adata.obs["response"].astype(str)
    fit(adata, "ordinal", class_order=["NR", "R"], cv="leave_pair_out", training=ONE_EPOCH)
    assert "auroc" in tm.get.metrics(adata).index
    tm.tl.permutation_test(adata, 1, progress=False)
    assert adata.uns["tcellmil_permutation_test"]["test"]["metric"].tolist() == ["auroc"]


def test_weights_of_numbers_go_through_a_file(adata, tmp_path):
    fit(adata, "continuous", cv="rebalanced_loo", training=ONE_EPOCH)
    adata.write_h5ad(tmp_path / "fit.h5ad")
    weights = [tm.get.model(a).module.replicas.weights for a in (adata, ad.read_h5ad(tmp_path / "fit.h5ad"))]
    np.testing.assert_array_equal(*weights)
    assert not np.allclose(weights[0][weights[0] > 0], 1)


def test_an_order_that_is_no_list_is_refused(adata):
    with pytest.raises(TypeError, match="class_order must be a list of the classes, lowest first, got 5"):
        fit(adata, "ordinal", class_order=5)
    with pytest.raises(TypeError, match=r"event_key must be the name of a column of obs, got \['died'\]"):
        fit(adata, "survival", event_key=["died"])


def test_an_ordered_categorical_brings_its_own_order(adata):
    adata.obs["grade"] = pd.Categorical(adata.obs["grade"], ["low", "mid", "high"], ordered=True)
    fit(adata, "ordinal", class_order=None)
    assert list(adata.uns["tcellmil"]["params"]["classes"]) == ["low", "mid", "high"]


@pytest.mark.parametrize("cv", ["loo", "rebalanced_loo", "cohort", 2])
@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_every_patient_is_held_out_once(adata, outcome, cv):
    fit(adata, outcome, cv=cv, batch_key="cohort", training=ONE_EPOCH)
    splits = adata.uns["tcellmil"]["splits"]
    assert (splits["test"].sum(axis=0) == 1).all() and not (splits["train"] & splits["test"]).any()


def test_events_may_be_booleans_numbers_or_text(adata):
    found = []
    for kind in (bool, int, float, str):
        other = adata.copy()
        other.obs["died"] = adata.obs["died"].astype(int if kind is str else kind).astype(kind)
        fit(other, "survival", training=ONE_EPOCH)
        found.append(tm.get.predictions(other)["event"].tolist())
    assert found.count(found[0]) == 4 and sum(found[0]) == 8


@pytest.mark.parametrize(
    ("outcome", "changes", "message"),
    [
        ("survival", {"event_key": None}, "outcome='survival' needs event_key, a column of obs with 1 for an event"),
        (
            "continuous",
            {"event_key": "died"},
            "event_key='died' is for outcome='survival'",
        ),
        (
            "continuous",
            {"class_order": ["a"]},
            r"class_order=\['a'\] is for outcome='ordinal', the outcome is 'continuous'",
        ),
        ("ordinal", {"positive_class": "high"}, "positive_class='high' is for outcome='classes'"),
        (
            "ordinal",
            {"class_order": None},
            r"needs the order of the classes \['high', 'low', 'mid'\]: pass",
        ),
        ("ordinal", {"class_order": ["low", "mid"]}, r"must name each class once; it lacks \['high'\]"),
        ("ordinal", {"class_order": ["low", "mid", "mid", "high"]}, "must name each class once; it names some twice"),
        ("ordinal", {"class_order": ["low", "mid", "high", "top"]}, r"each class once; no patient is \['top'\]"),
        ("survival", {"batch_key": "died"}, "event_key and batch_key are both 'died'; they must be different columns"),
        ("survival", {"event_key": "days"}, "label_key and event_key are both 'days'"),
        ("continuous", {"batch_key": "age"}, "label_key and batch_key are both 'age'"),
        ("continuous", {"label_key": "grade"}, r"label_key 'grade' is not a finite number for patients \['P0'"),
        ("continuous", {"calibration": "temperature"}, "calibration='temperature' is for probabilities of classes"),
        (
            "continuous",
            {"cv": "leave_pair_out"},
            "cv='leave_pair_out' needs two classes, the outcome has none; use cv='rebalanced_loo'",
        ),
        ("survival", {"training": {"early_stopping": "both"}}, "early_stopping='both' cannot evaluate times to event"),
        ("survival", {"cv": 13}, "cv=13 folds must be between 2 and the number of patients, 12"),
        ("continuous", {"cv": 13}, "cv=13 folds must be between 2 and the number of patients, 12"),
    ],
)
def test_arguments_that_do_not_fit_are_refused(adata, outcome, changes, message):
    before = adata.copy()
    with pytest.raises(ValueError, match=message):
        fit(adata, outcome, **changes)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert adata.uns.keys() == before.uns.keys() and adata.obsm.keys() == before.obsm.keys()


def test_an_unknown_outcome_is_refused(adata):
    with pytest.raises(ValueError, match="outcome='counts' is not known; choose from 'classes', 'ordinal'"):
        tm.tl.fit_mil(adata, "patient", "age", outcome="counts", **QUICK)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        (
            "days",
            -1.0,
            r"label_key 'days' is below 0 for patients \['P2'\] \(\['-1.0'\]\); a time to",
        ),
        ("days", np.inf, r"label_key 'days' is not a finite number for patients \['P2'\]"),
        ("days", "soon", r"label_key 'days' is not a finite number for patients \['P2'\] \(\['soon'\]\)"),
        ("died", 2, r"event_key 'died' must be 1 \(event\) or 0 \(censored\), patients \['P2'\] have \['2'\]"),
        ("died", np.nan, r"event_key 'died' is missing for patients \['P2'\]; drop them or set unlabelled='predict'"),
    ],
)
def test_times_and_events_that_are_none_are_refused(adata, column, value, message):
    set_of_patient(adata, column, "P2", value)
    with pytest.raises(ValueError, match=message):
        fit(adata, "survival")
    assert "tcellmil" not in adata.uns


@pytest.mark.parametrize("column", ["days", "died"])
def test_a_time_or_event_that_varies_within_a_patient_is_refused(adata, column):
    values = adata.obs[column].astype(object)
    values.iloc[0] = 1 - int(values.iloc[0]) if column == "died" else 5.0
    adata.obs[column] = values
    with pytest.raises(ValueError, match=f"{column!r} has several values within patients"):
        fit(adata, "survival")


def test_too_few_events_or_numbers_or_no_spread_are_refused(adata):
    censored = adata.copy()
    censored.obs["died"] = (adata.obs["patient"].astype(str) == "P1").astype(int)
    with pytest.raises(ValueError, match="event_key 'died' has 1 events in 12 patients; at least 3 are needed"):
        fit(censored, "survival")
    constant = adata.copy()
    constant.obs["age"] = 61.0
    with pytest.raises(ValueError, match="label_key 'age' is 61 for every patient; there is nothing to predict"):
        fit(constant, "continuous")
    few = adata.copy()
    few.obs.loc[~few.obs["patient"].isin(["P1", "P2", "P3"]), "age"] = np.nan
    with pytest.raises(ValueError, match="label_key 'age' has a number for 3 patients; at least 4 are needed"):
        fit(few, "continuous", unlabelled="predict")


def test_a_column_that_is_not_there_is_named(adata):
    with pytest.raises(KeyError, match="event_key='dead' is not a column of adata.obs"):
        fit(adata, "survival", event_key="dead")


def test_the_outcome_is_that_of_the_data_and_no_option_of_a_network(adata):
    tm.model.TcellMIL.setup_anndata(adata, "patient", "age", outcome="continuous")
    with pytest.raises(TypeError, match=r"network has no options \['outcome'\]; choose from 'n_hidden'"):
        tm.model.TcellMIL(adata, outcome="survival")


def test_an_age_that_cells_tell_is_predicted(make_cohort):
    adata = make_cohort(n_patients=24)
    rng = np.random.default_rng(0)
    level = {p: rng.normal() for p in sorted(adata.obs["patient"].unique())}
    of_cell = adata.obs["patient"].map(level).astype(float).to_numpy()
    adata.obsm["X_told"] = np.column_stack([of_cell + rng.normal(size=adata.n_obs), rng.normal(size=(adata.n_obs, 3))])
    adata.obs["age"] = 60 + 10 * of_cell
    days = {patient: rng.exponential(np.exp(-2 * value)) for patient, value in level.items()}
    adata.obs["days"] = adata.obs["patient"].map(days).astype(float)
    adata.obs["died"] = 1
    options = {"use_rep": "X_told", "training": {"max_epochs": 30}, "cv": 3, "network": {"compression": None}}
    fit(adata, "continuous", **options)
    assert tm.get.metrics(adata).loc["pearson", "ci_low"] > 0.5
    fit(adata, "survival", **options)
    assert tm.get.metrics(adata).loc["concordance", "value"] > 0.65
