"""One reading of a cohort, and what is learned of it: it goes through JSON and knows what it does not know."""

import json
import warnings

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.data import Fields, Schema, read
from tcellmil.outcomes import Classes, Continuous, Ordinal, Survival

OUTCOMES = {
    "classes": ({"label_key": "response"}, Classes("response", ("NR", "R"))),
    "ordinal": ({"label_key": "stage"}, Ordinal("stage", ("I", "III"))),
    "continuous": ({"label_key": "age"}, Continuous("age")),
    "survival": ({"label_key": "days", "event_key": "death"}, Survival("days", "death")),
}
every_outcome = pytest.mark.parametrize("kind", OUTCOMES)


def fields_of(kind="classes", **keys):
    given = {"sample_key": "patient", "use_rep": "X_pca", "outcome": kind, **OUTCOMES[kind][0]}
    return Fields(**given | keys)


def change(adata, patient, column, value):
    values = adata.obs[column].astype(object)
    values[adata.obs["patient"] == patient] = value
    adata.obs[column] = values


# reading ------------------------------------------------------------------------------------------------------------


def test_what_is_read_is_what_the_fields_name(adata):
    keys = {"continuous_covariate_keys": "dose", "categorical_covariate_keys": "site", "group_key": "person"}
    cohort = read(adata, fields_of(batch_key="cohort", use_rep=["X_pca", "X_scores"], **keys))
    assert cohort.places == ("X_pca", "X_scores") and cohort.levels is None
    assert list(cohort.patients) == ["label", "batch", "group", "continuous:dose", "categorical:site"]
    assert cohort.patients.index.tolist() == [f"P{i}" for i in range(8)]
    assert cohort.patients.loc["P3"].tolist() == ["R", "one", "P2", 1.5, "A"]
    np.testing.assert_array_equal(cohort.cells, adata.obs_names)
    np.testing.assert_array_equal(cohort.sample, adata.obs["patient"])
    np.testing.assert_array_equal(cohort.representations[1].x, adata.obsm["X_scores"])
    assert cohort.representations[1].names == ["A(+)", "B(+)"]
    assert cohort.only("X_scores").places == ("X_scores",)


def test_an_ordered_column_brings_its_levels(adata):
    assert read(adata, fields_of("ordinal")).levels == ("I", "II", "III", "IV")


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"sample_key": "donor"}, "sample_key='donor' is not a column of adata.obs"),
        ({"batch_key": "batch"}, "batch_key='batch' is not a column"),
        ({"use_rep": ["X_pca", "X_large"]}, "use_rep='X_large' is not in adata.obsm"),
        ({"categorical_covariate_keys": "sex"}, "categorical_covariate_keys='sex' is not a column"),
    ],
)
def test_what_is_not_there_is_named(adata, keys, message):
    with pytest.raises(KeyError, match=message):
        read(adata, fields_of(**keys))


def test_a_missing_label_is_refused_unless_it_is_to_be_predicted(adata):
    change(adata, "P4", "response", None)
    with pytest.raises(ValueError, match=r"label_key 'response' is missing for patients \['P4'\]; drop them or set"):
        read(adata, fields_of())
    fields = fields_of(unlabelled="predict")
    cohort = read(adata, fields)
    assert cohort.patients["label"].isna().sum() == 1
    assert Schema.learn(cohort, fields).encode(cohort).labels.tolist() == [0, 1, 0, 1, -1, 1, 0, 1]


def test_reading_leaves_the_data_as_they_were(adata):
    before = adata.copy()
    fields = fields_of(batch_key="cohort", categorical_covariate_keys="site")
    cohort = read(adata, fields)
    Schema.learn(cohort, fields).encode(cohort)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    np.testing.assert_array_equal(adata.obsm["X_pca"], before.obsm["X_pca"])
    assert not adata.uns and list(adata.obsm) == list(before.obsm)


# learning and encoding ----------------------------------------------------------------------------------------------


@every_outcome
def test_a_schema_comes_back_from_json_and_encodes_the_same(adata, kind):
    keys = {"continuous_covariate_keys": "dose", "categorical_covariate_keys": "site", "group_key": "person"}
    fields = fields_of(kind, batch_key="cohort", use_rep=["X_scores", "X_pca"], **keys)
    cohort = read(adata, fields)
    schema = Schema.learn(cohort, fields)
    again = Schema.from_dict(json.loads(json.dumps(schema.as_dict())))
    assert again == schema and schema.outcome == OUTCOMES[kind][1]
    assert (schema.cohorts, schema.categories) == (("one", "two"), (("A", "B", "C"),))
    assert schema.n_features == (2, 4) and schema.features[:3] == ("scores:A(+)", "scores:B(+)", "pca:0")
    assert schema.fields.scaling == ("standard", "standard")
    first, second = schema.encode(cohort), again.encode(cohort)
    for name in ("x", "order", "names", "labels", "targets", "cohorts", "covariates", "groups"):
        np.testing.assert_array_equal(getattr(first, name), getattr(second, name))


def test_bags_hold_what_was_read(adata):
    keys = {"continuous_covariate_keys": "dose", "categorical_covariate_keys": "site", "group_key": "person"}
    fields = fields_of(batch_key="cohort", scaling="standard", **keys)
    cohort = read(adata[::-1].copy(), fields)
    bags = Schema.learn(cohort, fields).encode(cohort)
    assert bags.labels.tolist() == [0, 1] * 4 and bags.targets is None
    assert bags.cohorts.tolist() == [0] * 4 + [1] * 4 and bags.n_cohorts == 2
    np.testing.assert_array_equal(bags.covariates[:, 0], np.arange(8) / 2)
    np.testing.assert_array_equal(bags.covariates[:, 1:], np.eye(3)[np.arange(8) % 3])
    assert bags.n_continuous == 1 and bags.groups.tolist() == [0, 0, 1, 1, 2, 2, 3, 3]
    np.testing.assert_array_equal(bags.x, adata.obsm["X_pca"])


def test_targets_are_the_number_or_the_time_and_the_event(adata):
    for kind, expected in (
        ("continuous", 40.0 + np.arange(8)[:, None]),
        ("survival", np.column_stack([10.0 * np.arange(1, 9), np.arange(8) % 2])),
    ):
        cohort = read(adata, fields_of(kind))
        bags = Schema.learn(cohort, fields_of(kind)).encode(cohort)
        np.testing.assert_array_equal(bags.targets, expected)
        assert bags.labels.tolist() == [0] * 8 and bags.outcome.kind == kind


@pytest.mark.parametrize("scaling", ["unit_interval", ["standard", "unit_interval"]])
def test_scores_outside_the_unit_interval_are_refused(adata, scaling):
    fields = fields_of(use_rep=["X_scores", "X_pca"], scaling=scaling)
    with pytest.raises(ValueError, match=r"scaling='unit_interval' needs values in \[0, 1\], obsm\['X_pca'\] has"):
        Schema.learn(read(adata, fields), fields)
    fields = fields_of(use_rep=["X_scores", "X_pca"], scaling=["unit_interval", "standard"])
    cohort = read(adata, fields)
    assert Schema.learn(cohort, fields).encode(cohort).unit_interval == (True, False)


@pytest.mark.parametrize(
    ("column", "argument"),
    [("response", "label_key"), ("cohort", "batch_key"), ("site", "categorical_covariate_keys")],
)
def test_what_was_not_learned_is_refused(adata, column, argument):
    fields = fields_of(batch_key="cohort", categorical_covariate_keys="site")
    schema = Schema.learn(read(adata, fields), fields)
    change(adata, "P2", column, "other")
    message = rf"{argument} '{column}' is \['other'\] for patients \['P2'\], the model was set up with .*; set it up"
    with pytest.raises(ValueError, match=message):
        schema.encode(read(adata, fields))


@pytest.mark.parametrize(("column", "value"), [("age", "old"), ("age", np.inf)])
def test_a_number_that_is_none_is_refused_after_learning(adata, column, value):
    fields = fields_of("continuous")
    schema = Schema.learn(read(adata, fields), fields)
    change(adata, "P2", column, value)
    with pytest.raises(ValueError, match=r"label_key 'age' is not a finite number for patients \['P2'\]"):
        schema.encode(read(adata, fields))


def test_values_that_are_not_finite_and_features_that_lack_are_refused(adata):
    fields = fields_of(use_rep="X_scores")
    schema = Schema.learn(read(adata, fields), fields)
    narrow = adata.copy()
    narrow.obsm["X_scores"] = narrow.obsm["X_scores"][["A(+)"]]
    with pytest.raises(ValueError, match=r"obsm\['X_scores'\] lacks 1 of the model's 2 features \['B\(\+\)'\]"):
        schema.encode(read(narrow, fields))
    adata.obsm["X_scores"].iloc[3, 1] = np.nan
    for act in (lambda: schema.encode(read(adata, fields)), lambda: Schema.learn(read(adata, fields), fields)):
        with pytest.raises(ValueError, match=r"obsm\['X_scores'\]"):
            act()


def test_features_are_matched_by_name(adata):
    fields = fields_of(use_rep="X_scores")
    schema = Schema.learn(read(adata, fields), fields)
    turned = adata.copy()
    turned.obsm["X_scores"] = turned.obsm["X_scores"][["B(+)", "A(+)"]]
    np.testing.assert_array_equal(schema.encode(read(turned, fields)).x, adata.obsm["X_scores"])


# new patients -------------------------------------------------------------------------------------------------------


def test_new_patients_may_be_of_unknown_classes_cohorts_and_categories(adata, new_adata):
    fields = fields_of(batch_key="cohort", categorical_covariate_keys="site")
    schema = Schema.learn(read(adata, fields), fields)
    for column in ("response", "cohort", "site"):
        change(new_adata, "N0", column, "other")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        bags = schema.encode(read(new_adata, fields, new=True), new=True)
    assert bags.labels.tolist() == [-1, 1] and bags.cohorts.tolist() == [-1, 0]
    assert bags.bag_covariates.tolist() == [[0, 0, 0, 0, 0], [1, 0, 0, 1, 0]]


@every_outcome
def test_new_patients_need_no_outcome_and_no_group(adata, new_adata, kind):
    fields = fields_of(kind, group_key="person")
    schema = Schema.learn(read(adata, fields), fields)
    del new_adata.obs[fields.label_key], new_adata.obs["person"]
    bags = schema.encode(read(new_adata, fields, new=True), new=True)
    assert bags.labels.tolist() == [-1, -1] and bags.groups is None and bags.targets is None


def test_outcomes_of_new_patients_that_cannot_be_used_are_left_out(adata, new_adata):
    fields = fields_of("survival")
    schema = Schema.learn(read(adata, fields), fields)
    change(new_adata, "N1", "days", -3)
    cohort = read(new_adata, fields, new=True)
    with pytest.warns(UserWarning, match="outcomes of the new patients are left out: label_key 'days' is below 0 for"):
        bags = schema.encode(cohort, new=True)
    assert bags.labels.tolist() == [-1, -1] and bags.targets is None


def test_several_labels_of_a_new_patient_are_left_out(new_adata):
    new_adata.obs["response"] = ["R", "NR"] * 5
    with pytest.warns(UserWarning, match="outcomes of the new patients are left out: label_key 'response' has several"):
        cohort = read(new_adata, fields_of(), new=True)
    assert "label" not in cohort.patients
    with pytest.raises(ValueError, match=r"label_key 'response' has several values within patients \['N0', 'N1'\]"):
        read(new_adata, fields_of())


def test_without_an_anndata_there_is_nothing_to_read():
    with pytest.raises(TypeError, match="AnnData"):
        read(pd.DataFrame(), fields_of())


@pytest.mark.parametrize("text", ["nan", "NA", "None", "<NA>", ""])
@pytest.mark.parametrize(
    ("argument", "column"), [("label_key", "response"), ("batch_key", "cohort"), ("sample_key", "patient")]
)
def test_text_that_was_a_missing_value_is_refused(make_cohort, fit_quickly, text, argument, column):
    adata = make_cohort()
    own = adata.obs["patient"] == "P3"
    adata.obs[column] = np.where(own, text, adata.obs[column].astype(str))
    message = rf"{argument} '{column}' is the text '{text}' for patients .*looks like a missing value.*notna\(\)"
    with pytest.raises(ValueError, match=message):
        fit_quickly(adata, "cohort")


def test_the_way_out_of_a_missing_label_works(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=10)
    adata.obs["response"] = np.where(adata.obs["patient"] == "P3", "nan", adata.obs["response"].astype(str))
    adata.obs["response"] = adata.obs["response"].astype(object).replace("nan", float("nan"))
    adata = adata[adata.obs["response"].notna()].copy()
    fit_quickly(adata)
    assert tm.get.predictions(adata)["label"].unique().tolist() == ["NR", "R"]


def test_the_matrix_is_a_representation(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, use_rep="X")
    assert tm.get.patients(adata).var_names.tolist() == adata.var_names.tolist()
    named = adata.copy()
    named.obsm["X_matrix"] = adata.X
    fit_quickly(named, use_rep="X_matrix", key_added="named")
    np.testing.assert_array_equal(tm.get.predictions(adata)["prob_R"], tm.get.predictions(named, key="named")["prob_R"])
    model = tm.get.model(adata)
    np.testing.assert_allclose(model.predict()["prob_R"], tm.get.predictions(adata)["prob_R"])
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response", use_rep="X")
    tm.model.TcellMIL(adata).train(max_epochs=1, progress=False)


def test_a_layer_is_not_a_representation_and_the_message_says_how(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.layers["counts"] = adata.X.copy()
    how = r"adata.obsm\['X_counts'\] = adata.layers\['counts'\], then use_rep='X_counts'"
    with pytest.raises(KeyError, match=f"it is a layer: {how}"):
        fit_quickly(adata, use_rep="counts")
    with pytest.raises(TypeError, match=r"fit_mil takes no layer; it reads representations: .*layers\['counts'\]"):
        fit_quickly(adata, layer="counts")


@pytest.mark.parametrize(("classes", "way_out"), [(("a", "b"), "cannot be merged"), (("a", "b", "c"), "merge it with")])
def test_too_few_patients_of_a_class_and_what_can_be_done(make_cohort, fit_quickly, classes, way_out):
    adata = make_cohort(n_patients=2 * len(classes), classes=classes)
    with pytest.raises(ValueError, match=f"each class needs at least 3: add patients.*{way_out}"):
        fit_quickly(adata)
