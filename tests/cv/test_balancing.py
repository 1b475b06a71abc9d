"""Splits of patients whose outcome is a number or a time to event."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from scipy.stats import pearsonr

from tcellmil.cv import balancing_weights


def residuals(bags):
    return bags.outcome.null_residuals(bags.labels, bags.targets)


def test_residuals_sum_to_zero_and_skip_patients_without_a_number(make_bags, with_outcome):
    bags = with_outcome(make_bags(), "continuous")
    assert residuals(bags).sum() == pytest.approx(0, abs=1e-4)
    unknown = replace(bags, labels=np.where(np.arange(8) == 2, -1, 0))
    found = residuals(unknown)
    assert np.isnan(found[2]) and np.nansum(found) == pytest.approx(0, abs=1e-4)
    assert residuals(make_bags()) is None
    assert residuals(with_outcome(make_bags(), "survival")) is None


@example([0.0625, -59.0, -0.5])  # two who are near to each other, and one far from both
@given(st.lists(st.floats(-100, 100), min_size=2, max_size=30))
def test_balancing_weights_balance_or_stop_at_half_the_patients(values):
    r = np.array(values)
    weights = balancing_weights(r)
    assert (weights > 0).all() and weights.mean() == pytest.approx(1)
    effective = len(r) ** 2 / (weights**2).sum()
    assert effective >= len(r) / 2 - 1e-6
    if effective > len(r) / 2 + 1e-3 and r.min() < -1e-3 < 1e-3 < r.max():
        assert abs(weights @ r) < 1e-4 * np.abs(r).sum()
    assert abs(weights @ r) <= abs(r.sum()) + 1e-6


def test_balancing_weights_of_one_side_stop_and_of_equals_stay():
    one_sided = balancing_weights(np.array([1.0, 2.0, 3.0, 4.0]))
    assert (np.diff(one_sided) < 0).all() and 16 / (one_sided**2).sum() == pytest.approx(2, abs=1e-6)
    assert balancing_weights(np.full(3, 2.0)).tolist() == [1, 1, 1]


@pytest.mark.parametrize("shape", ["normal", "uniform", "groups"])
def test_rebalanced_leave_one_out_keeps_the_mean_that_is_learned_in_place(make_bags, with_outcome, shape):
    rng = np.random.default_rng(0)
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "continuous")
    numbers = {"normal": rng.normal(size=24), "uniform": rng.random(24), "groups": np.repeat(rng.normal(size=12), 2)}
    groups = np.arange(24) // 2 if shape == "groups" else None
    bags = replace(bags, targets=numbers[shape][:, None], groups=groups)
    y = numbers[shape]

    def learned_means(cv):
        replicas = bags.replicas(cv)
        weights = replicas.train if replicas.weights is None else replicas.weights
        assert not (weights[replicas.test] > 0).any() and (replicas.test.sum(axis=0) == 1).all()
        return (weights @ y / weights.sum(axis=1))[replicas.test.argmax(axis=0)]

    assert pearsonr(learned_means("loo"), y)[0] == pytest.approx(-1, abs=1e-6)
    np.testing.assert_allclose(learned_means("rebalanced_loo"), y.mean(), atol=1e-6)


def test_folds_span_the_whole_range_and_share_events_equally(make_bags, with_outcome):
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "continuous")
    replicas = bags.replicas(4)
    rank = bags.targets[:, 0].argsort().argsort()
    for test in replicas.test:
        assert len(set(rank[test] // 4)) == 6
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "survival")
    for test in bags.replicas(3).test:
        assert bags.targets[test, 1].sum() == 6


def test_folds_are_not_stratified_by_events_where_there_are_too_few(make_bags, with_outcome):
    bags = with_outcome(make_bags(24, labels=np.arange(24) % 2), "survival")
    replicas = bags.replicas(8)  # 6 are censored
    assert len(replicas) == 8 and (replicas.test.sum(axis=0) == 1).all()


def test_leave_pair_out_says_that_it_needs_classes(make_bags, with_outcome):
    bags = with_outcome(make_bags(), "continuous")
    with pytest.raises(ValueError, match="cv='leave_pair_out' needs two classes, the outcome has none"):
        bags.replicas("leave_pair_out")
