import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest

from tcellmil.stats import calibration_curve


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 10_000), st.integers(5, 80), st.integers(1, 6))
def test_bins_hold_equally_many_patients_in_the_order_of_their_probability(seed, n, n_bins):
    rng = np.random.default_rng(seed)
    y, p = rng.random(n) < 0.5, rng.random(n)
    found = calibration_curve(y, p, n_bins)
    groups = np.split(np.argsort(p), np.cumsum(found["n"])[:-1])
    assert len(found) == min(n, n_bins) and np.ptp(found["n"]) <= 1 and found["n"].sum() == n
    np.testing.assert_allclose(found["observed"], [y[rows].mean() for rows in groups])
    np.testing.assert_allclose(found["predicted"], [p[rows].mean() for rows in groups])
    low, high = binomial_interval(found["observed"] * found["n"], found["n"])
    np.testing.assert_allclose(found[["ci_low", "ci_high"]], np.column_stack([low, high]), atol=1e-9)


def binomial_interval(k, n):
    """Wilson's interval as scipy computes it."""
    intervals = [binomtest(round(a), int(b)).proportion_ci(method="wilson") for a, b in zip(k, n, strict=True)]
    return zip(*intervals, strict=True)


def test_equal_probabilities_stay_together():
    found = calibration_curve(np.array([True, False, True, True]), np.full(4, 0.5), 4)
    assert len(found) == 1 and found.loc[0, "observed"] == 0.75


@pytest.mark.parametrize(
    ("y", "p", "n_bins", "message"),
    [
        ([True], [0.1, 0.2], 2, r"is_class has shape \(1,\), probability \(2,\)"),
        ([True], [1.2], 2, r"probability must lie in \[0, 1\]"),
        ([True], [0.2], 0, r"n_bins=0 must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_named(y, p, n_bins, message):
    with pytest.raises(ValueError, match=message):
        calibration_curve(np.array(y), np.array(p), n_bins)
