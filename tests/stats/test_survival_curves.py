"""Survival curves and the log-rank test are those of statsmodels and scipy, and stay within what is possible."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import CensoredData, ecdf, logrank
from statsmodels.duration.survfunc import SurvfuncRight

from tcellmil.stats import kaplan_meier, logrank_test


def draw(n=40, seed=0, ties=True, effect=1.0):
    rng = np.random.default_rng(seed)
    group = np.arange(n) % 2
    time = rng.exponential(np.where(group, 1, effect) * 10)
    time = np.ceil(time) if ties else time
    return time, (rng.random(n) < 0.7).astype(int), group


patients = st.lists(st.tuples(st.integers(0, 12), st.integers(0, 1)), min_size=1, max_size=25)


@pytest.mark.parametrize("ties", [True, False])
@pytest.mark.parametrize("seed", range(3))
def test_the_curve_is_that_of_statsmodels_and_of_scipy(seed, ties):
    time, event, _ = draw(seed=seed, ties=ties)
    table = kaplan_meier(time, event)
    oracle = SurvfuncRight(time, event)
    of_events = table[table["n_events"] > 0]
    np.testing.assert_allclose(of_events["time"], oracle.surv_times)
    np.testing.assert_allclose(of_events["survival"], oracle.surv_prob, atol=1e-12)
    np.testing.assert_array_equal(of_events["n_at_risk"], oracle.n_risk)
    np.testing.assert_array_equal(of_events["n_events"], oracle.n_events)
    sample = CensoredData(uncensored=time[event == 1], right=time[event == 0])
    curve = ecdf(sample).sf
    np.testing.assert_allclose(table["survival"], curve.evaluate(table["time"]), atol=1e-12)


@pytest.mark.parametrize("level", [0.8, 0.95])
def test_intervals_are_those_of_scipy_on_the_log_log_scale(level):
    time, event, _ = draw(n=60, seed=4)
    event[time == time.max()] = 0  # somebody is left without the event
    table = kaplan_meier(time, event, level)
    curve = ecdf(CensoredData(uncensored=time[event == 1], right=time[event == 0])).sf
    interval = curve.confidence_interval(level, method="log-log")
    rows = table[table["n_events"].cumsum() > 0]
    np.testing.assert_allclose(rows["ci_low"], interval.low.evaluate(rows["time"]), atol=1e-9)
    np.testing.assert_allclose(rows["ci_high"], interval.high.evaluate(rows["time"]), atol=1e-9)


@settings(max_examples=100, deadline=None)
@given(patients)
def test_curves_start_at_one_never_rise_and_lie_in_their_intervals(rows):
    time, event = np.array(rows, dtype=float).T
    table = kaplan_meier(time, event)
    assert table["survival"].iloc[0] == 1 and table["n_at_risk"].iloc[0] == len(rows)
    assert (np.diff(table["survival"]) <= 0).all() and table["survival"].between(0, 1).all()
    assert table["n_events"].sum() == event.sum() and table["n_censored"].sum() == len(rows) - event.sum()
    known = table[table["survival"] > 0]
    assert (known["ci_low"] <= known["survival"]).all() and (known["survival"] <= known["ci_high"]).all()
    assert known[["ci_low", "ci_high"]].ge(0).all(axis=None) and known[["ci_low", "ci_high"]].le(1).all(axis=None)
    assert table.loc[table["survival"] == 0, ["ci_low", "ci_high"]].isna().all(axis=None)


@pytest.mark.parametrize("seed", range(4))
def test_the_log_rank_test_is_that_of_scipy(seed):
    time, event, group = draw(seed=seed, effect=3.0)
    found = logrank_test(time, event, np.array(["low", "high"])[group])
    sides = [
        CensoredData(uncensored=time[(group == g) & (event == 1)], right=time[(group == g) & (event == 0)])
        for g in (0, 1)
    ]
    oracle = logrank(*sides)
    assert found.p == pytest.approx(oracle.pvalue)
    assert found.statistic == pytest.approx(oracle.statistic**2)


def test_groups_drawn_at_random_are_rarely_different():
    rng = np.random.default_rng(0)
    time, event, _ = draw(n=60)
    p = np.array([logrank_test(time, event, rng.permutation(np.arange(60) % 2)).p for _ in range(300)])
    assert 0.02 < (p < 0.05).mean() < 0.09


@pytest.mark.parametrize(
    ("time", "event", "message"),
    [
        ([], [], "need at least 1 patients, got 0"),
        ([1.0, -2.0], [1, 0], "time must be at least 0, got -2; 1 patients are below"),
        ([1.0, np.nan], [1, 0], "time holds 1 NaN or infinite values"),
        ([1.0, 2.0], [1, 2], r"event must be 1 \(the event\) or 0 \(censored\), got also 2"),
        ([1.0, 2.0], [1], "event has 1 patients, but time has 2"),
        (["1", "2"], [1, 0], "time must be numbers"),
    ],
)
def test_times_that_cannot_be(time, event, message):
    with pytest.raises(ValueError, match=message):
        kaplan_meier(np.array(time, dtype=None if time else float), np.array(event))


@pytest.mark.parametrize("level", [0, 1, 95])
def test_a_level_out_of_range(level):
    with pytest.raises(ValueError, match=f"level={level} must be between 0 and 1"):
        kaplan_meier(np.array([1.0]), np.array([1]), level)


@pytest.mark.parametrize(
    ("event", "group", "message"),
    [
        ([1, 1, 0], ["a", "a", "a"], "compares groups, but all 3 patients are in one"),
        ([1, 1, 0], ["a", "b"], r"group has shape \(2,\), time \(3,\); both must be \(n_patients,\)"),
        ([0, 0, 0], ["a", "b", "b"], "no patient had the event while two groups were at risk"),
        ([0, 0, 1], ["a", "b", "b"], "no patient had the event while two groups were at risk"),
    ],
)
def test_groups_that_cannot_be_compared(event, group, message):
    with pytest.raises(ValueError, match=message):
        logrank_test(np.array([1.0, 2.0, 3.0]), np.array(event), np.array(group))
