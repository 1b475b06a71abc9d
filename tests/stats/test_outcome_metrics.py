"""Metrics and intervals for predicted numbers, ordinal classes and survival; equal to those of other libraries."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats as scipy_stats
from sklearn import metrics as oracle

from tcellmil.stats import (
    bootstrap_metrics,
    bootstrap_ordinal,
    bootstrap_regression,
    bootstrap_survival,
    classification_metrics,
    ordinal_metrics,
    regression_metrics,
    survival_metrics,
)
from tcellmil.stats._evaluation._classes import METRICS
from tcellmil.stats._evaluation._ordinal import ORDINAL_METRICS, median_class, weighted_ordinal_metrics
from tcellmil.stats._evaluation._regression import REGRESSION_METRICS, weighted_regression_metrics
from tcellmil.stats._evaluation._resampling import class_resamples
from tcellmil.stats._evaluation._survival import (
    SURVIVAL_METRICS,
    checked_survival,
    comparable_pairs,
    weighted_survival_metrics,
)


@st.composite
def numbers(draw):
    """Outcomes and predictions; of few values as often as not, so that ties are common."""
    n_patients = draw(st.integers(3, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y, predicted = rng.normal(5, 2, size=(2, n_patients))
    decimals = draw(st.sampled_from([0, 8]))
    y, predicted = np.round(y, decimals), np.round(0.5 * y + predicted, decimals)
    assume(len(np.unique(y)) > 1 and len(np.unique(predicted)) > 1)
    return y, predicted, rng


@st.composite
def ordinal(draw):
    """Every class is present; probabilities of one decimal, so that halves and ties are common."""
    n_classes = draw(st.integers(2, 5))
    n_patients = draw(st.integers(n_classes, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    y = rng.permutation(np.append(np.arange(n_classes), rng.integers(n_classes, size=n_patients - n_classes)))
    raw = np.round(rng.random((n_patients, n_classes)), 1) + 0.1
    return y, raw / raw.sum(axis=1, keepdims=True), rng


@st.composite
def survival(draw, ties=True):
    """At least one pair is comparable. With ties, many times and risks are equal, of events and of censored."""
    n_patients = draw(st.integers(2, 25))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if ties:
        time, risk = rng.integers(0, 8, n_patients).astype(float), rng.integers(0, 5, n_patients).astype(float)
    else:
        time, risk = rng.permutation(n_patients) + 1.0, rng.permutation(n_patients) / n_patients
    event = rng.random(n_patients) < draw(st.sampled_from([0.3, 0.7, 1.0]))
    assume(comparable_pairs(time, event).any())
    return time, event, risk, rng


def _counts(rng, n_patients, lowest=0):
    return rng.integers(lowest, 4, size=(3, n_patients)).astype(float)


# ---------------------------------------------------------------------------------------------------------------------
# Numbers


def _regression_by_others(y, predicted, counts=None):
    """scikit-learn with weights; scipy has none, so patients are repeated."""
    repeats = np.ones(len(y), dtype=int) if counts is None else counts.astype(int)
    y_repeated, predicted_repeated = np.repeat(y, repeats), np.repeat(predicted, repeats)
    return {
        "r2": oracle.r2_score(y, predicted, sample_weight=counts),
        "pearson": scipy_stats.pearsonr(y_repeated, predicted_repeated).statistic,
        "spearman": scipy_stats.spearmanr(y_repeated, predicted_repeated).statistic,
        "mae": oracle.mean_absolute_error(y, predicted, sample_weight=counts),
        "rmse": oracle.root_mean_squared_error(y, predicted, sample_weight=counts),
    }


@settings(max_examples=60, deadline=None)
@given(numbers())
def test_regression_metrics_equal_those_of_sklearn_and_scipy(drawn):
    y, predicted, _ = drawn
    ours = regression_metrics(y, predicted)
    assert tuple(ours) == REGRESSION_METRICS
    assert all(type(value) is float for value in ours.values())
    assert ours == pytest.approx(_regression_by_others(y, predicted), abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(numbers())
def test_weighted_regression_metrics_equal_those_of_others(drawn):
    y, predicted, rng = drawn
    counts = _counts(rng, len(y))
    assume(all(len(np.unique(y[c > 0])) > 1 and len(np.unique(predicted[c > 0])) > 1 for c in counts))
    for row, weight in zip(weighted_regression_metrics(y, predicted, counts), counts, strict=True):
        expected = _regression_by_others(y, predicted, weight)
        assert dict(zip(REGRESSION_METRICS, row, strict=True)) == pytest.approx(expected, abs=1e-9)


@settings(max_examples=30, deadline=None)
@given(numbers(), st.floats(0.1, 100), st.floats(-100, 100))
def test_correlations_ignore_scale_and_shift_and_spearman_monotone_maps(drawn, scale, shift):
    y, predicted, _ = drawn
    before, after = regression_metrics(y, predicted), regression_metrics(y, scale * predicted + shift)
    assert after["pearson"] == pytest.approx(before["pearson"], abs=1e-7)
    assert regression_metrics(y, np.exp(predicted / 10))["spearman"] == pytest.approx(before["spearman"], abs=1e-12)
    assert before["mae"] <= before["rmse"] * (1 + 1e-12)
    assert before["r2"] <= 1 and -1 <= before["pearson"] <= 1 and -1 <= before["spearman"] <= 1


def test_real_weights_are_those_of_sklearn_and_of_a_weighted_covariance():
    rng = np.random.default_rng(0)
    y, predicted, weight = rng.normal(size=12), rng.normal(size=12), rng.random(12)
    row = dict(zip(REGRESSION_METRICS, weighted_regression_metrics(y, predicted, weight[None])[0], strict=True))
    covariance = np.cov(y, predicted, aweights=weight)
    assert row["pearson"] == pytest.approx(covariance[0, 1] / np.sqrt(covariance[0, 0] * covariance[1, 1]))
    assert row["r2"] == pytest.approx(oracle.r2_score(y, predicted, sample_weight=weight))


def test_what_is_constant_has_no_correlation_and_a_constant_outcome_no_r2():
    y = np.array([1.0, 2.0, 4.0])
    constant = np.full(3, 0.1)  # its mean is not 0.1 by rounding, which must not count
    for metrics in (regression_metrics(y, constant), regression_metrics(constant, y)):
        assert np.isnan([metrics["pearson"], metrics["spearman"]]).all()
        assert metrics["mae"] == pytest.approx(np.mean(y - 0.1))
    assert np.isnan(regression_metrics(constant, y)["r2"])
    assert regression_metrics(y, np.full(3, y.mean()))["r2"] == pytest.approx(0)


@pytest.mark.parametrize("y", [[0.1, 0.1, 3.0], [3.0, 3.0, 0.1]])
def test_a_weighting_that_leaves_one_outcome_is_nan_there_only(y):
    values = weighted_regression_metrics(np.array(y), np.arange(3.0), np.array([[1, 1, 0], [1, 1, 1.0]]))
    np.testing.assert_array_equal(np.isnan(values), [[True, True, True, False, False], [False] * 5])


@pytest.mark.parametrize(
    ("y", "predicted", "message"),
    [
        ([1.0, 2.0], [1.0, 2.0, 3.0], "predicted has 3 patients, but y has 2"),
        ([1.0], [1.0], "at least 2 patients, got 1"),
        ([], [], "at least 2 patients, got 0"),
        ([[1.0], [2.0]], [1.0, 2.0], r"y must be \(n_patients,\), got shape \(2, 1\)"),
        ([1.0, 2.0], [[1.0], [2.0]], r"predicted must be \(n_patients,\), got shape \(2, 1\)"),
        ([1.0, np.nan], [1.0, 2.0], "y holds 1 NaN or infinite values; leave out these patients"),
        ([1.0, 2.0], [np.inf, -np.inf], "predicted holds 2 NaN or infinite"),
        (["low", "high"], [1.0, 2.0], "y must be numbers, got <U4"),
        ([1.0, 2.0], np.array([1.0, None]), "predicted must be numbers, got object"),
    ],
)
def test_bad_numbers_are_named(y, predicted, message):
    with pytest.raises(ValueError, match=message):
        regression_metrics(np.asarray(y), np.asarray(predicted))


# ---------------------------------------------------------------------------------------------------------------------
# Ordinal classes


def _median_by_loop(proba):
    called = []
    for row in proba:
        summed, level = row[0], 0
        while summed < 0.5 - 1e-9:
            level += 1
            summed += row[level]
        called.append(level)
    return np.array(called)


@settings(max_examples=60, deadline=None)
@given(ordinal())
def test_ordinal_metrics_are_those_of_the_classes_and_two_of_sklearn(drawn):
    y, proba, _ = drawn
    ours, called = ordinal_metrics(y, proba), _median_by_loop(proba)
    assert tuple(ours) == ORDINAL_METRICS
    assert all(type(value) is float for value in ours.values())
    assert {name: ours[name] for name in METRICS} == classification_metrics(y, proba)
    assert ours["weighted_kappa"] == pytest.approx(oracle.cohen_kappa_score(y, called, weights="quadratic"), abs=1e-12)
    assert ours["mae_levels"] == pytest.approx(oracle.mean_absolute_error(y, called), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(ordinal())
def test_weighted_ordinal_metrics_are_sklearns_with_sample_weight(drawn):
    y, proba, rng = drawn
    counts = _counts(rng, len(y))
    assume((counts @ np.eye(proba.shape[1])[y] > 0).all())
    called = _median_by_loop(proba)
    for row, weight in zip(weighted_ordinal_metrics(y, proba, counts)[:, -2:], counts, strict=True):
        kappa = oracle.cohen_kappa_score(y, called, weights="quadratic", sample_weight=weight)
        error = oracle.mean_absolute_error(y, called, sample_weight=weight)
        np.testing.assert_allclose(row, [kappa, error], atol=1e-12)


@settings(max_examples=30, deadline=None)
@given(ordinal())
def test_an_integer_weight_repeats_a_patient_of_ordered_classes(drawn):
    y, proba, rng = drawn
    counts = rng.integers(1, 4, size=len(y))
    repeated = ordinal_metrics(np.repeat(y, counts), np.repeat(proba, counts, axis=0))
    weighted = weighted_ordinal_metrics(y, proba, counts[None].astype(float))[0]
    np.testing.assert_allclose(weighted, list(repeated.values()), atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(ordinal())
def test_the_median_class_has_the_least_expected_distance(drawn):
    _, proba, _ = drawn
    levels = np.arange(proba.shape[1])
    expected = proba @ np.abs(levels[:, None] - levels)  # (patient, class that is called)
    chosen = expected[np.arange(len(proba)), median_class(proba)]
    np.testing.assert_allclose(chosen, expected.min(axis=1), atol=1e-9)


def test_the_median_class_is_the_first_that_reaches_a_half():
    proba = np.array([[0.4, 0.25, 0.35], [0.5, 0.0, 0.5], [0.0, 0.0, 1.0], [0.49, 0.0, 0.51], [0.1, 0.39, 0.51]])
    np.testing.assert_array_equal(median_class(proba), [1, 0, 2, 2, 2])
    np.testing.assert_array_equal(median_class(np.full((1, 6), 1 / 6)), [2])
    np.testing.assert_array_equal(median_class(np.array([[0.4995, 0.4995]])), [0])  # a row that sums to 0.999


def test_two_classes_are_called_alike_by_the_median_and_the_most_probable():
    p = np.linspace(0, 1, 11)
    proba = np.column_stack([1 - p, p])
    np.testing.assert_array_equal(median_class(proba), proba.argmax(axis=1))


def test_kappa_punishes_what_is_further_off():
    y = np.array([0, 1, 2, 0, 1, 2])
    near, far = np.eye(3)[[1, 1, 2, 0, 1, 2]], np.eye(3)[[2, 1, 2, 0, 1, 2]]
    near, far = ordinal_metrics(y, near), ordinal_metrics(y, far)
    assert near["accuracy"] == far["accuracy"]
    assert near["weighted_kappa"] > far["weighted_kappa"] and near["mae_levels"] < far["mae_levels"]


def test_turning_the_order_round_changes_neither_metric_of_the_order():
    rng = np.random.default_rng(0)
    y, proba = np.arange(20) % 4, rng.dirichlet(np.ones(4), size=20)  # no sum is a half, so the median is one class
    before, after = ordinal_metrics(y, proba), ordinal_metrics(3 - y, proba[:, ::-1])
    for name in ("weighted_kappa", "mae_levels"):
        assert after[name] == pytest.approx(before[name])


def test_bad_ordinal_predictions_are_named_as_those_of_classes_are():
    with pytest.raises(ValueError, match="no patient is of class 1"):
        ordinal_metrics(np.array([0, 2]), np.full((2, 3), 1 / 3))
    with pytest.raises(ValueError, match="summing to 1"):
        ordinal_metrics(np.array([0, 1]), np.full((2, 2), 0.6))


# ---------------------------------------------------------------------------------------------------------------------
# Survival


def _uncensored_before(time, event):
    """By scipy's estimator of the censoring times, each a little later than events at the same time."""
    moved = time + np.where(event, 0, 1e-6)
    curve = scipy_stats.ecdf(scipy_stats.CensoredData(uncensored=moved[~event], right=moved[event])).sf
    return curve.evaluate(time)


def _survival_by_loop(time, event, risk):
    """Pair by pair; times that differ do so by more than the shift above."""
    weight = np.ones(len(time)) if event.all() else 1 / _uncensored_before(time, event) ** 2
    won, pairs = np.zeros(2), np.zeros(2)
    for i in np.flatnonzero(event):
        for j in range(len(time)):
            if time[i] < time[j] or (time[i] == time[j] and not event[j]):
                each = np.array([1, weight[i]])
                pairs += each
                won += each * (1.0 if risk[i] > risk[j] else 0.5 if risk[i] == risk[j] else 0.0)
    return dict(zip(SURVIVAL_METRICS, won / pairs, strict=True))


@settings(max_examples=100, deadline=None)
@given(survival())
def test_survival_metrics_equal_a_loop_over_pairs(drawn):
    time, event, risk, _ = drawn
    ours = survival_metrics(time, event, risk)
    assert tuple(ours) == SURVIVAL_METRICS
    assert all(type(value) is float for value in ours.values())
    assert ours == pytest.approx(_survival_by_loop(time, event, risk), abs=1e-9)


@settings(max_examples=40, deadline=None)
@given(survival())
def test_concordance_equals_that_of_torchsurv_at_equal_times_too(drawn):
    import torch
    from torchsurv.metrics.cindex import ConcordanceIndex

    time, event, risk, _ = drawn
    theirs = ConcordanceIndex()(torch.tensor(risk), torch.tensor(event), torch.tensor(time))
    assert survival_metrics(time, event, risk)["concordance"] == pytest.approx(float(theirs), abs=1e-5)


@settings(max_examples=40, deadline=None)
@given(survival(ties=False))
def test_concordance_ipcw_equals_that_of_torchsurv_where_times_differ(drawn):
    import torch
    from torchsurv.metrics.cindex import ConcordanceIndex
    from torchsurv.stats.ipcw import get_ipcw

    time, event, risk, _ = drawn
    tensors = torch.tensor(risk).float(), torch.tensor(event), torch.tensor(time).float()
    theirs = ConcordanceIndex()(*tensors, weight=get_ipcw(*tensors[1:]))
    assert survival_metrics(time, event, risk)["concordance_ipcw"] == pytest.approx(float(theirs), abs=1e-5)


@settings(max_examples=60, deadline=None)
@given(survival())
def test_an_integer_weight_repeats_a_patient_of_survival(drawn):
    time, event, risk, rng = drawn
    counts = _counts(rng, len(time))
    for row, weight in zip(weighted_survival_metrics(time, event, risk, counts), counts, strict=True):
        repeated = [np.repeat(values, weight.astype(int)) for values in (time, event, risk)]
        if comparable_pairs(*repeated[:2]).any():
            np.testing.assert_allclose(row, list(survival_metrics(*repeated).values()), atol=1e-12)
        else:
            assert np.isnan(row).all()


@settings(max_examples=60, deadline=None)
@given(survival())
def test_only_the_order_of_risks_and_times_counts(drawn):
    time, event, risk, _ = drawn
    mapped = survival_metrics(np.log1p(time) * 30, event, np.exp(risk) - 7)
    assert mapped == pytest.approx(survival_metrics(time, event, risk), abs=1e-12)


@settings(max_examples=60, deadline=None)
@given(survival())
def test_the_opposite_risk_has_the_opposite_concordance(drawn):
    time, event, risk, _ = drawn  # ties count half on both sides, so this holds with them too
    one, other = survival_metrics(time, event, risk), survival_metrics(time, event, -risk)
    for name in SURVIVAL_METRICS:
        assert 0 <= one[name] <= 1
        assert other[name] == pytest.approx(1 - one[name], abs=1e-12)


@settings(max_examples=30, deadline=None)
@given(survival())
def test_without_censoring_both_concordances_are_the_same(drawn):
    time, _, risk, _ = drawn
    assume(len(np.unique(time)) > 1)
    everybody = np.ones(len(time))
    both = survival_metrics(time, everybody, risk)
    assert both["concordance"] == pytest.approx(both["concordance_ipcw"], abs=1e-12)
    assert survival_metrics(time, everybody, -time)["concordance"] == 1.0


def test_at_one_time_an_event_comes_before_a_censoring():
    metrics = survival_metrics(np.array([2.0, 2.0]), np.array([True, False]), np.array([1.0, 0.0]))
    assert metrics == {"concordance": 1.0, "concordance_ipcw": 1.0}


def test_an_event_after_the_last_censoring_weighs_by_who_was_left():
    # One of four is censored first, which leaves 3/4; 16/9 for each pair of the events that follow.
    time, event, risk = np.array([1.0, 2.0, 3.0, 4.0, 5.0]), np.array([1, 0, 1, 1, 1]), np.array([0, 0, 3, 2, 1.0])
    metrics = survival_metrics(time, event, risk)
    assert metrics["concordance"] == pytest.approx((0.5 + 2 + 1) / (4 + 2 + 1))
    assert metrics["concordance_ipcw"] == pytest.approx((0.5 + 16 / 9 * 3) / (4 + 16 / 9 * 3))


def test_ipcw_estimates_what_the_concordance_is_without_censoring():
    rng = np.random.default_rng(0)
    risk = rng.normal(size=2000)
    time, censoring = rng.exponential(np.exp(-risk)), rng.exponential(0.4, size=2000)
    event = time <= censoring
    complete = survival_metrics(time, np.ones(2000), risk)["concordance"]
    observed = survival_metrics(np.minimum(time, censoring), event, risk)
    assert abs(observed["concordance_ipcw"] - complete) < abs(observed["concordance"] - complete)
    assert observed["concordance_ipcw"] == pytest.approx(complete, abs=0.02)


@pytest.mark.parametrize(
    ("time", "event", "risk", "message"),
    [
        ([1.0, 2.0], [1], [0.0, 1.0], "event has 1 patients, but time has 2"),
        ([1.0, 2.0], [1, 1], [0.0, 1.0, 2.0], "risk has 3 patients, but time has 2"),
        ([1.0], [1], [0.0], "at least 2 patients, got 1"),
        ([1.0, 2.0], [1, 1], [[0.0], [1.0]], r"risk must be \(n_patients,\), got shape \(2, 1\)"),
        ([-1.0, 2.0], [1, 1], [0.0, 1.0], "time must be at least 0, got -1; 1 patients are below"),
        ([1.0, np.inf], [1, 1], [0.0, 1.0], "time holds 1 NaN or infinite"),
        ([1.0, 2.0], [1, 1], [0.0, np.nan], "risk holds 1 NaN or infinite"),
        ([1.0, 2.0], [1, 2], [0.0, 1.0], r"event must be 1 \(the event\) or 0 \(censored\), got also 2"),
        ([1.0, 2.0], [1, np.nan], [0.0, 1.0], "event holds 1 NaN or infinite"),
        ([1.0, 2.0], ["dead", "alive"], [0.0, 1.0], "event must be numbers, got <U5"),
        ([1.0, 2.0], [0, 0], [0.0, 1.0], "no pair of patients is comparable: all 2 are censored"),
        ([1.0, 2.0], [0, 1], [0.0, 1.0], "the first event, at time 2, is followed by no other patient"),
        ([2.0, 2.0], [1, 1], [0.0, 1.0], "the first event, at time 2, is followed by no other patient"),
    ],
)
def test_bad_survival_is_named(time, event, risk, message):
    with pytest.raises(ValueError, match=message):
        survival_metrics(np.asarray(time), np.asarray(event), np.asarray(risk))


# ---------------------------------------------------------------------------------------------------------------------
# Intervals


def _cohort(n, seed=0):
    rng = np.random.default_rng(seed)
    y = rng.normal(size=n)
    predicted = y + rng.normal(size=n)
    grade = rng.permutation(np.arange(n) % 3)
    proba = np.exp(-np.abs(grade[:, None] + rng.normal(0, 0.7, size=(n, 1)) - np.arange(3)))
    time, censoring = rng.exponential(np.exp(-y)), rng.exponential(2, size=n)
    return {
        "regression": (bootstrap_regression, regression_metrics, (y, predicted)),
        "ordinal": (bootstrap_ordinal, ordinal_metrics, (grade, proba / proba.sum(axis=1, keepdims=True))),
        "survival": (
            bootstrap_survival,
            survival_metrics,
            (np.minimum(time, censoring), time <= censoring, predicted),
        ),
    }


KINDS = ("regression", "ordinal", "survival")


@pytest.mark.parametrize("kind", KINDS)
def test_table_has_one_row_per_metric_whose_interval_holds_the_value(kind):
    bootstrap, plain, arrays = _cohort(60)[kind]
    table = bootstrap(*arrays)
    assert table.columns.tolist() == ["metric", "value", "ci_low", "ci_high", "n"]
    assert table.set_index("metric")["value"].to_dict() == plain(*arrays)
    assert (table["ci_low"] < table["value"]).all() and (table["value"] < table["ci_high"]).all()
    assert (table["n"] == 60).all()


@pytest.mark.parametrize("kind", KINDS)
def test_one_seed_gives_one_table_and_a_higher_level_wider_intervals(kind):
    bootstrap, _, arrays = _cohort(30)[kind]
    first, again, other = (bootstrap(*arrays, seed=seed) for seed in (3, 3, 4))
    pd.testing.assert_frame_equal(first, again)
    assert not first.equals(other)
    narrow, wide = (bootstrap(*arrays, level=level) for level in (0.5, 0.99))
    assert (wide["ci_low"] <= narrow["ci_low"]).all() and (wide["ci_high"] >= narrow["ci_high"]).all()


@pytest.mark.parametrize("kind", KINDS)
def test_interval_equals_one_of_repeated_patients(kind):
    bootstrap, plain, arrays = _cohort(20)[kind]
    table = bootstrap(*arrays, n_boot=200, seed=7)
    # Of 20 patients every resample will do but for the classes, so this is what was drawn.
    rng = np.random.default_rng(7)
    if kind == "ordinal":
        counts = class_resamples(arrays[0], 3, 200, seed=7).astype(int)
    else:
        counts = rng.multinomial(20, np.full(20, 1 / 20), size=200)
    values = [list(plain(*(np.repeat(a, c, axis=0) for a in arrays)).values()) for c in counts]
    low, high = np.quantile(values, [0.025, 0.975], axis=0)
    np.testing.assert_allclose(table[["ci_low", "ci_high"]], np.column_stack([low, high]), atol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_rows_of_one_group_are_drawn_together(kind):
    bootstrap, _, arrays = _cohort(20)[kind]
    twice = tuple(np.repeat(a, 2, axis=0) for a in arrays)
    grouped = bootstrap(*twice, groups=np.repeat(np.arange(20), 2))
    alone = bootstrap(*arrays)
    assert grouped["n"].unique().tolist() == [40]
    columns = ["value", "ci_low", "ci_high"]
    np.testing.assert_allclose(grouped[columns], alone[columns], atol=1e-9)


def test_ordinal_intervals_have_the_resamples_of_the_classes():
    _, _, (y, proba) = _cohort(30)["ordinal"]
    pd.testing.assert_frame_equal(bootstrap_ordinal(y, proba, seed=5).head(8), bootstrap_metrics(y, proba, seed=5))


def test_resamples_that_leave_a_metric_undefined_are_drawn_again():
    few_outcomes = bootstrap_regression(np.array([0.0, 0, 0, 0, 1]), np.array([0.0, 1, 2, 3, 4]))
    one_event = bootstrap_survival(np.arange(1.0, 6.0), np.array([0, 0, 1, 0, 0]), np.arange(5.0))
    for table in (few_outcomes, one_event):
        assert table[["value", "ci_low", "ci_high"]].notna().all(axis=None)


def test_an_undefined_metric_is_nan_and_the_others_keep_their_intervals():
    table = bootstrap_regression(np.arange(10.0), np.full(10, 4.5), n_boot=200).set_index("metric")
    assert table.loc[["pearson", "spearman"], ["value", "ci_low", "ci_high"]].isna().all(axis=None)
    assert table.loc[["r2", "mae", "rmse"], ["value", "ci_low", "ci_high"]].notna().all(axis=None)


def test_intervals_cover_the_truth():
    """Of 200 cohorts each; the truths are known: a correlation, and a concordance from 1/(1 + exp(-difference))."""
    rng = np.random.default_rng(0)
    differences = rng.normal(0, np.sqrt(2), size=200_000)
    truth = 1 / (1 + np.exp(-np.abs(differences)))  # proportional hazards: who has the higher risk comes first
    covered = {"pearson": [], "concordance_ipcw": [], "mae_levels": []}
    for run in range(200):
        y, noise = rng.normal(size=(2, 60))
        table = bootstrap_regression(y, 0.6 * y + 0.8 * noise, n_boot=300, seed=run).set_index("metric")
        covered["pearson"].append(table.loc["pearson", "ci_low"] <= 0.6 <= table.loc["pearson", "ci_high"])

        time, censoring = rng.exponential(np.exp(-y)), rng.exponential(1, size=60)
        observed = np.minimum(time, censoring), time <= censoring, y
        row = bootstrap_survival(*observed, n_boot=300, seed=run).set_index("metric").loc["concordance_ipcw"]
        covered["concordance_ipcw"].append(row["ci_low"] <= truth.mean() <= row["ci_high"])

        grade = rng.permutation(np.arange(60) % 3)
        called = np.where(rng.random(60) < 0.3, 1, grade)  # 0.3 of two thirds are one level off
        row = bootstrap_ordinal(grade, np.eye(3)[called], n_boot=300, seed=run).set_index("metric").loc["mae_levels"]
        covered["mae_levels"].append(row["ci_low"] <= 0.2 <= row["ci_high"])
    for name, hits in covered.items():
        assert 0.85 <= np.mean(hits) <= 0.99, name


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_boot": 0}, "n_boot=0 must be a whole number of at least 1"),
        ({"level": 95}, "level=95 must be between 0 and 1"),
        ({"groups": np.arange(5)}, r"groups has shape \(5,\), but there are 12 patients"),
        ({"groups": np.zeros(12)}, "every resample is the same; give at least two"),
    ],
)
def test_bad_arguments_of_intervals_are_named(kind, arguments, message):
    bootstrap, _, arrays = _cohort(12)[kind]
    with pytest.raises(ValueError, match=message):
        bootstrap(*arrays, **arguments)


def test_resamples_that_never_will_do_are_an_error_and_not_an_endless_loop(monkeypatch):
    monkeypatch.setattr("tcellmil.stats._evaluation._resampling.MAX_DRAWS", 1)
    one = np.eye(30)[29]
    with pytest.raises(ValueError, match="resamples of 30 patients hardly ever hold two different outcomes"):
        bootstrap_regression(one, np.arange(30.0))
    with pytest.raises(ValueError, match="30 patients, 1 of them with the event, hardly ever hold a comparable pair"):
        bootstrap_survival(np.arange(30.0)[::-1], np.eye(30)[28], one)


def test_checked_survival_takes_any_kind_of_zero_and_one():
    for event in (np.array([True, False]), np.array([1, 0]), np.array([1.0, 0.0])):
        assert checked_survival(np.array([1, 2]), event, np.array([0, 1]))[1].tolist() == [True, False]
