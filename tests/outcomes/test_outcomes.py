"""What each kind of outcome knows of itself, on arrays and tables."""

import json
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
import torch

from tcellmil.outcomes import OUTCOMES, Classes, Continuous, Ordinal, Survival, outcome_of

EXAMPLES = [
    Classes("response", ("NR", "R")),
    Ordinal("stage", ("I", "II", "III")),
    Continuous("age"),
    Survival("days", "death"),
]
every_outcome = pytest.mark.parametrize("outcome", EXAMPLES, ids=lambda outcome: outcome.kind)


def table(label, event=None):
    columns = {"label": label} if event is None else {"label": label, "event": event}
    return pd.DataFrame(columns, index=[f"P{i}" for i in range(len(label))], dtype=object)


# records ------------------------------------------------------------------------------------------------------------


@every_outcome
def test_an_outcome_comes_back_from_json(outcome):
    values = json.loads(json.dumps(outcome.as_dict()))
    assert values["kind"] == outcome.kind and OUTCOMES[outcome.kind] is type(outcome)
    assert type(outcome).from_dict(values) == outcome


@every_outcome
def test_an_outcome_comes_back_from_the_params_of_a_result(outcome):
    params = {"outcome": outcome.kind, "label_key": outcome.label_key, "classes": np.array(outcome.outputs)}
    params["event_key"] = getattr(outcome, "event_key", "")
    assert outcome_of(params) == outcome


# keys ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("kind", "keys", "message"),
    [
        ("classes", {"event_key": "death"}, "event_key='death' is for outcome='survival', the outcome is 'classes'"),
        ("classes", {"class_order": ["I"]}, r"class_order=\['I'\] is for outcome='ordinal', the outcome is 'classes'"),
        ("continuous", {"positive_class": "R"}, "positive_class='R' is for outcome='classes', the outcome is 'contin"),
        ("continuous", {"event_key": "death"}, "event_key='death' is for outcome='survival', the outcome is 'contin"),
        ("ordinal", {"positive_class": "III"}, "positive_class='III' is for .*of ordinal classes the last is the pos"),
        ("ordinal", {"event_key": "death"}, "event_key='death' is for outcome='survival', the outcome is 'ordinal'"),
        ("survival", {}, "outcome='survival' needs event_key, a column of obs with 1 for an event and 0 for censoring"),
        ("survival", {"event_key": "death", "class_order": ["I"]}, r"class_order=\['I'\] is for outcome='ordinal'"),
    ],
)
def test_a_key_of_another_outcome_is_named(kind, keys, message):
    with pytest.raises(ValueError, match=message):
        OUTCOMES[kind].check_keys(keys)


@pytest.mark.parametrize(
    ("kind", "keys"),
    [
        ("classes", {"positive_class": "R"}),
        ("ordinal", {"class_order": ["I", "II"]}),
        ("continuous", {}),
        ("survival", {"event_key": "death"}),
    ],
)
def test_keys_of_its_own_are_taken(kind, keys):
    OUTCOMES[kind].check_keys({"event_key": None, "class_order": None, "positive_class": None} | keys)


# learning -----------------------------------------------------------------------------------------------------------


def test_classes_are_sorted_and_the_positive_one_is_last():
    patients = table(["b", "a", "c"] * 3 + [np.nan])
    assert Classes.learn(patients, {"label_key": "x"}).names == ("a", "b", "c")
    assert Classes.learn(patients, {"label_key": "x", "positive_class": "a"}).names == ("b", "c", "a")
    codes, targets = Classes("x", ("b", "a")).encode(patients)
    assert codes.tolist() == [0, 1, -1] * 3 + [-1] and targets is None


def test_the_order_of_ordinal_classes_is_given_or_that_of_the_column():
    patients = table(["II", "I", "III"] * 3)
    levels = ("0", "III", "II", "I")
    assert Ordinal.learn(patients, {"label_key": "x", "levels": levels}).names == ("III", "II", "I")
    order = ["I", "III", "II"]
    assert Ordinal.learn(patients, {"label_key": "x", "levels": levels, "class_order": order}).names == tuple(order)


@pytest.mark.parametrize(
    ("outcome", "label", "event", "keys", "error", "message"),
    [
        (Classes, ["a"] * 6, None, {}, ValueError, r"label_key 'x' has one class only, \['a'\]; a prediction needs"),
        (Classes, ["a"] * 6 + ["b"] * 2, None, {}, ValueError, r"has fewer than 3 patients of class \['b'\] \(a: 6, b"),
        (Classes, list("ab") * 3, None, {"positive_class": "c"}, ValueError, "positive_class='c' is not known; choose"),
        (Ordinal, list("ab") * 3, None, {}, ValueError, r"needs the order of the classes \['a', 'b'\]: pass class_ord"),
        (Ordinal, list("ab") * 3, None, {"class_order": "ab"}, TypeError, "class_order must be a list of the classes"),
        (Ordinal, list("ab") * 3, None, {"class_order": ["a"]}, ValueError, r"name each class once; it lacks \['b'\]"),
        (Ordinal, list("ab") * 3, None, {"class_order": list("abc")}, ValueError, r"once; no patient is \['c'\]"),
        (Ordinal, list("ab") * 3, None, {"class_order": list("aba")}, ValueError, "once; it names some twice"),
        (Continuous, ["1", "2", "3"], None, {}, ValueError, "has a number for 3 patients; at least 4 are needed"),
        (Continuous, ["1"] * 5, None, {}, ValueError, "label_key 'x' is 1 for every patient; there is nothing to pred"),
        (Continuous, ["1", "2", "3", "old"], None, {}, ValueError, r"not a finite number for patients \['P3'\] \(\['o"),
        (Survival, ["1", "2", "3"], ["1", "1", "0"], {}, ValueError, "event_key 'e' has 2 events in 3 patients; at le"),
        (Survival, ["1", "2", "-3"], ["1"] * 3, {}, ValueError, r"label_key 'x' is below 0 for patients \['P2'\]"),
        (Survival, ["1", "2", "3"], ["1", "1", "2"], {}, ValueError, r"event_key 'e' must be 1 \(event\) or 0 .*\['P2"),
        (Survival, ["4"] * 3, ["1"] * 3, {}, ValueError, "label_key 'x' is 4 for every patient; there is nothing"),
    ],
)
def test_outcomes_that_cannot_be_trained_on_are_named(outcome, label, event, keys, error, message):
    with pytest.raises(error, match=message):
        outcome.learn(table(label, event), {"label_key": "x", "event_key": "e"} | keys)


def test_numbers_and_times_are_read_from_text_and_half_an_outcome_is_none():
    codes, targets = Continuous("age").encode(table(["1.5", np.nan, "-2"]))
    assert codes.tolist() == [0, -1, 0]
    np.testing.assert_array_equal(targets, [[1.5], [np.nan], [-2]])
    codes, targets = Survival("days", "death").encode(table(["1", "2", np.nan, "4"], ["True", np.nan, "1", "0.0"]))
    assert codes.tolist() == [0, -1, -1, 0]
    np.testing.assert_array_equal(targets, [[1, 1], [np.nan, np.nan], [np.nan, np.nan], [4, 0]])


# splits -------------------------------------------------------------------------------------------------------------


def test_strata_of_classes_are_the_classes():
    codes = np.array([0, 1, -1, 2])
    for outcome in (Classes("x", tuple("abc")), Ordinal("x", tuple("abc"))):
        assert outcome.strata(codes, None, np.array([0, 0, 1, 1]), 5) is codes
        assert outcome.null_residuals(codes, None) is None


def test_strata_of_numbers_are_ranges_of_as_many_patients_as_folds():
    codes, targets = np.array([0, 0, -1, 0, 0]), np.array([[4.0], [1.0], [np.nan], [3.0], [2.0]])
    assert Continuous("x").strata(codes, targets, None, 2).tolist() == [1, 0, -1, 1, 0]
    assert Continuous("x").strata(codes, targets, None, 0).tolist() == [0, 0, -1, 0, 0]


def test_samples_of_a_group_share_a_stratum():
    codes, targets = np.zeros(8, dtype=int), np.array([[1.0], [9.0], [2.0], [3.0], [4.0], [6.0], [7.0], [8.0]])
    groups = np.arange(8) // 2  # means 5, 2.5, 5, 7.5
    strata = Continuous("x").strata(codes, targets, groups, 2)
    assert strata.tolist() == [0, 0, 0, 0, 1, 1, 1, 1]
    event = np.column_stack([targets[:, 0], [0, 1, 0, 0, 0, 0, 1, 1]])
    assert Survival("x", "e").strata(codes, event, groups, 2).tolist() == [1, 1, 0, 0, 0, 0, 1, 1]


def test_strata_of_times_are_events_unless_they_are_too_few_for_the_folds():
    codes, targets = np.zeros(6, dtype=int), np.column_stack([np.arange(6.0), [1, 1, 0, 0, 0, 0]])
    assert Survival("x", "e").strata(codes, targets, None, 2).tolist() == [1, 1, 0, 0, 0, 0]
    assert Survival("x", "e").strata(codes, targets, None, 3).tolist() == [0] * 6


@pytest.mark.parametrize("outcome", EXAMPLES[2:], ids=lambda outcome: outcome.kind)
def test_without_a_known_outcome_there_are_no_strata(outcome):
    codes = np.array([-1, -1])
    assert outcome.strata(codes, None, None, 2) is codes


# training -----------------------------------------------------------------------------------------------------------


def test_classes_have_no_targets_to_scale():
    for outcome in EXAMPLES[:2]:
        assert outcome.scale_targets(None, np.ones((2, 3))) == (None, ())
        assert outcome.targets_for(None, 2) is None


def test_numbers_are_scaled_by_each_replicas_own_weighted_patients():
    numbers, weights = np.array([1.0, 2.0, 4.0, 50.0]), np.array([[1.0, 1.0, 1.0, 0.0], [0.0, 3.0, 1.0, 1.0]])
    targets = np.broadcast_to(numbers[:, None], (2, 4, 1))
    scaled, (mean, sd) = Continuous("x").scale_targets(targets, weights)
    for k in range(2):
        expected = np.average(numbers, weights=weights[k])
        spread = np.sqrt(np.average((numbers - expected) ** 2, weights=weights[k]))
        np.testing.assert_allclose([mean[k].item(), sd[k].item()], [expected, spread])
        np.testing.assert_allclose(scaled[k, :, 0], (numbers - expected) / spread)
    assert np.isfinite(Continuous("x").scale_targets(np.full((1, 3, 1), 7.0), np.ones((1, 3)))[0]).all()


def test_a_number_that_is_not_known_changes_no_scale():
    targets, weights = np.array([[[1.0], [np.nan], [3.0]]]), np.array([[1.0, 0.0, 1.0]])
    _, (mean, sd) = Continuous("x").scale_targets(targets, weights)
    assert (mean.item(), sd.item()) == (2, 1)


def test_times_become_ranks_and_events_stay():
    targets = np.array([[[30.0, 1], [10.0, 0], [30.0, 0], [20.0, 1]]])
    before = targets.copy()
    scaled, scale = Survival("x", "e").scale_targets(targets, np.ones((1, 4)))
    assert scaled.tolist() == [[[2, 1], [0, 0], [2, 0], [1, 1]]] and scale == ()
    np.testing.assert_array_equal(targets, before)


@pytest.mark.parametrize("outcome", EXAMPLES[2:], ids=lambda outcome: outcome.kind)
def test_each_replica_trains_on_the_same_targets(outcome):
    targets = np.ones((3, len(outcome.observed_columns)))
    np.testing.assert_array_equal(outcome.targets_for(targets, 2), np.stack([targets, targets]))
    with pytest.raises(ValueError, match=f"outcome='{outcome.kind}' needs numbers to train on, the bags have none"):
        outcome.targets_for(None, 2)


def test_only_times_to_event_need_whole_risk_sets():
    for outcome in EXAMPLES:
        assert outcome.bags_per_step(20, 8) == (20 if outcome.kind == "survival" else 8)
        if outcome.kind != "survival":
            outcome.check_training("both")
    with pytest.raises(ValueError, match="early_stopping='both' cannot evaluate times to event"):
        EXAMPLES[3].check_training("both")


@every_outcome
def test_the_network_has_as_many_scores_and_outputs_as_the_outcome(outcome):
    head, scores = outcome.head(2), torch.randn(2, 3, outcome.n_scores)
    found = outcome.predict(scores if head is None else head(scores))
    assert found.shape == (2, 3, len(outcome.outputs))
    assert {"classes": 2, "ordinal": 1, "continuous": 1, "survival": 1}[outcome.kind] == outcome.n_scores
    if outcome.has_classes:
        torch.testing.assert_close(found.sum(dim=-1), torch.ones(2, 3))


# tables and words ---------------------------------------------------------------------------------------------------


def test_predictions_of_classes_and_of_numbers_have_their_columns():
    p, sd, seen = np.array([[0.2, 0.8], [0.7, 0.3], [np.nan] * 2]), np.zeros(3), np.array([True, True, False])
    columns = EXAMPLES[0].columns(np.array([1, -1, 0]), None, p, sd, seen)
    assert list(columns) == ["label", "predicted", "prob_NR", "prob_R", "prob_sd"]
    assert columns["label"].tolist() == ["R", "", "NR"] and columns["predicted"].tolist() == ["R", "NR", ""]
    columns = EXAMPLES[3].columns(np.array([0, -1, 0]), None, p[:, :1], sd, seen)
    assert list(columns) == ["time", "event", "risk", "risk_sd"] and np.isnan(columns["time"]).all()
    columns = EXAMPLES[2].columns(np.array([0, 0, 0]), np.array([[1.0], [2.0], [3.0]]), p[:, :1], sd, seen)
    assert list(columns) == ["label", "predicted", "predicted_sd"] and columns["label"].tolist() == [1, 2, 3]


def test_patients_are_grouped_by_class_or_all_together():
    predictions = pd.DataFrame({"label": ["R", None, "NR"]})
    assert EXAMPLES[0].group_of_patient(predictions).tolist() == ["R", "", "NR"]
    predictions = pd.DataFrame({"time": [1.0, np.nan, 3.0], "event": [1.0, 0.0, np.nan]})
    assert EXAMPLES[3].group_of_patient(predictions).tolist() == ["all patients", "", ""]
    assert (EXAMPLES[1].groups, EXAMPLES[2].groups) == (("I", "II", "III"), ("all patients",))


def test_the_expected_level_is_a_mean_weighted_by_probability():
    predictions = pd.DataFrame({"prob_I": [0.5, 0.0], "prob_II": [0.25, 0.0], "prob_III": [0.25, 1.0]})
    assert EXAMPLES[1].expected_level(predictions).tolist() == [0.75, 2.0]


def test_what_is_predicted_is_said_in_words():
    assert [outcome.quantity("x") for outcome in EXAMPLES] == ["probability of x"] * 2 + ["x", "log hazard"]
    assert EXAMPLES[1].favoured("II") == ("II", "not II") and EXAMPLES[2].favoured("age") == ("higher", "lower")


@every_outcome
def test_what_is_for_another_outcome_is_refused_with_what_to_use(outcome):
    if outcome.has_classes:
        outcome.check_has_classes("fit", "curves are")
    else:
        with pytest.raises(ValueError, match=f"curves are for classes, 'fit' was fitted with outcome='{outcome.kind}'"):
            outcome.check_has_classes("fit", "curves are")
    if outcome.kind == "survival":
        outcome.check_has_risk("fit")
    else:
        with pytest.raises(ValueError, match=f"risk groups are for outcome='survival', .*outcome='{outcome.kind}'"):
            outcome.check_has_risk("fit")


def test_an_ordinal_outcome_of_pairs_is_measured_as_classes():
    two = replace(EXAMPLES[1], names=("I", "II"))
    codes, p = np.array([0, 1, 0, 1]), np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.5, 0.5]])
    order = np.array([[1.0, 1.0], [1.0, 0.0]])
    assert two.measure(codes, None, p, order)["auroc"] == 0.75
    assert two.metric_shown(["auroc"]) == ("auroc", "AUROC")
    assert two.metric_shown(["weighted_kappa", "mae_levels"])[0] == "weighted_kappa"
