"""Tests of two methods on the same patients, against direct computations."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import binomtest, kstest, norm
from sklearn.metrics import accuracy_score, roc_auc_score

from tcellmil.stats import delong_test, mcnemar_test, swap_test


def delong_by_definition(y, a, b):
    """Structural components and their covariance matrix, as written in the paper."""
    components = []
    for score in (a, b):
        x, z = score[y == 1], score[y == 0]
        psi = np.array([[1.0 if i > j else 0.5 if i == j else 0.0 for j in z] for i in x])
        components.append((psi.mean(axis=1), psi.mean(axis=0)))
    s10, s01 = (np.cov([c[k] for c in components]) for k in (0, 1))
    covariance = s10 / (y == 1).sum() + s01 / (y == 0).sum()
    contrast = np.array([1, -1])
    return 2 * norm.sf(abs(roc_auc_score(y, a) - roc_auc_score(y, b)) / np.sqrt(contrast @ covariance @ contrast))


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(2, 20), st.integers(2, 20), st.sampled_from([3, 1000]))
def test_delong_is_the_papers_covariance(seed, n_positive, n_negative, n_values):
    rng = np.random.default_rng(seed)
    y = np.repeat([1, 0], [n_positive, n_negative])
    a, b = rng.integers(n_values, size=(2, len(y))) / n_values
    difference, p = delong_test(y, a, b)
    assert difference == pytest.approx(roc_auc_score(y, a) - roc_auc_score(y, b), abs=1e-12)
    with np.errstate(invalid="ignore", divide="ignore"):
        expected = delong_by_definition(y, a, b)
    if 0 < p < 1:
        assert p == pytest.approx(expected, rel=1e-6)


def test_delong_of_a_score_with_itself_finds_no_difference():
    y, score = np.array([0, 0, 1, 1]), np.array([0.1, 0.6, 0.4, 0.9])
    assert delong_test(y, score, score**2) == (0.0, 1.0)


def test_a_difference_without_variance_has_no_p():
    y = np.array([0, 0, 1, 1])
    difference, p = delong_test(y, np.array([0.1, 0.2, 0.8, 0.9]), np.array([0.8, 0.9, 0.1, 0.2]))
    assert difference == 1 and np.isnan(p)


def test_delong_is_calibrated_where_methods_do_not_differ():
    rng = np.random.default_rng(0)
    y = np.repeat([0, 1], 60)
    p = [delong_test(y, y + rng.normal(0, 1.5, 120), y + rng.normal(0, 1.5, 120))[1] for _ in range(400)]
    assert kstest(p, "uniform").pvalue > 0.01


@settings(max_examples=50, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_mcnemar_is_a_binomial_test_of_the_patients_that_differ(seed, n):
    a, b = np.random.default_rng(seed).random((2, n)) < 0.6
    difference, p = mcnemar_test(a, b)
    only_a, only_b = (a & ~b).sum(), (b & ~a).sum()
    expected = binomtest(only_a, only_a + only_b).pvalue if only_a + only_b else 1.0
    assert p == pytest.approx(expected) and difference == pytest.approx(a.mean() - b.mean())


def as_proba(p):
    return np.column_stack([1 - p, p])


def test_swapping_is_calibrated_where_methods_do_not_differ():
    rng = np.random.default_rng(0)
    y = np.arange(30) % 2
    p = []
    for seed in range(100):
        a, b = 1 / (1 + np.exp(-(y - 0.5 + rng.normal(0, 1, (2, 30)))))
        p.append(swap_test(y, as_proba(a), as_proba(b), metrics=["brier"], n_permutations=39, seed=seed)[1][0])
    assert kstest(p, "uniform").pvalue > 0.01


def test_swapping_agrees_with_all_exchanges_of_few_patients():
    rng = np.random.default_rng(1)
    y = np.array([0, 1, 0, 1, 0, 1, 1, 0])
    a, b = rng.random((2, 8))
    observed, p = swap_test(y, as_proba(a), as_proba(b), metrics=["accuracy"], n_permutations=1_000)
    differences = []
    for bits in range(2**8):
        swap = (bits >> np.arange(8)) & 1 == 1
        first, second = np.where(swap, b, a), np.where(swap, a, b)
        differences.append(accuracy_score(y, first > 0.5) - accuracy_score(y, second > 0.5))
    exact = np.mean(np.abs(differences) >= abs(observed[0]) - 1e-12)
    assert p[0] == pytest.approx(exact, abs=0.04)


def test_swapping_a_method_with_itself_gives_one():
    p = as_proba(np.linspace(0.1, 0.9, 10))
    difference, value = swap_test(np.arange(10) % 2, p, p, n_permutations=20)
    assert (difference == 0).all() and (value == 1).all()


def test_the_same_seed_gives_the_same_p():
    rng = np.random.default_rng(0)
    y, a, b = np.arange(20) % 2, as_proba(rng.random(20)), as_proba(rng.random(20))
    first, second = (swap_test(y, a, b, n_permutations=50, seed=3)[1] for _ in range(2))
    np.testing.assert_array_equal(first, second)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (
            lambda: delong_test(np.array([0, 1]), np.zeros(3), np.zeros(2)),
            r"shapes \(2,\), \(3,\) and \(2,\) do not fit",
        ),
        (
            lambda: delong_test(np.array([0, 0, 1]), np.zeros(3), np.zeros(3)),
            r"needs two patients of each class, got 1",
        ),
        (lambda: mcnemar_test(np.zeros(3, bool), np.zeros(2, bool)), r"shapes \(3,\) and \(2,\) do not fit"),
        (
            lambda: swap_test(np.array([0, 1]), np.eye(2), np.eye(2), n_permutations=0),
            r"n_permutations=0 must be a whole number of at least 1",
        ),
        (lambda: swap_test(np.array([0, 1, 0]), np.eye(2), np.eye(2)), r"proba has 2 patients"),
    ],
)
def test_bad_input_is_named(call, message):
    with pytest.raises(ValueError, match=message):
        call()
