"""The mean change of patients: scipy's interval and tests."""

import numpy as np
import pytest
from scipy.stats import ttest_1samp, wilcoxon

from tcellmil.stats._paired_change import mean_change


@pytest.mark.parametrize("n", [2, 5, 40])
def test_interval_and_test_are_those_of_scipy(n):
    changes = np.random.default_rng(n).normal(0.5, 1, n)
    found, expected = mean_change(changes), ttest_1samp(changes, 0)
    interval = expected.confidence_interval(0.95)
    assert found["mean_change"] == pytest.approx(changes.mean())
    assert (found["ci_low"], found["ci_high"]) == pytest.approx((interval.low, interval.high))
    assert (found["statistic"], found["p"]) == pytest.approx(tuple(wilcoxon(changes, method="exact")))


def test_the_interval_covers_as_often_as_it_says():
    rng = np.random.default_rng(0)
    found = [mean_change(rng.normal(1, 2, 5)) for _ in range(2000)]
    assert np.mean([row["ci_low"] <= 1 <= row["ci_high"] for row in found]) == pytest.approx(0.95, abs=0.015)


def test_one_patient_has_a_change_and_no_interval():
    found = mean_change(np.array([0.3]))
    assert found["mean_change"] == 0.3 and found["p"] == 1
    assert np.isnan([found["ci_low"], found["ci_high"]]).all()


def test_without_any_change_nothing_is_tested():
    found = mean_change(np.zeros(4))
    assert found["mean_change"] == found["ci_low"] == found["ci_high"] == 0 and np.isnan(found["p"])
