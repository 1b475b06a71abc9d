"""Signed-rank tests equal scipy's, column by column, and are exact where scipy is not."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import PermutationMethod, rankdata, wilcoxon

from tcellmil.stats import signed_rank_by_column


@pytest.mark.parametrize("n_patients", [1, 2, 6, 24, 50, 51, 64])
def test_columns_without_ties_equal_scipy_one_at_a_time(n_patients):
    values = np.random.default_rng(n_patients).normal(0.2, 1, (n_patients, 30))
    statistic, p = signed_rank_by_column(values)
    for column in range(30):
        expected = wilcoxon(values[:, column])
        assert statistic[column] == expected.statistic
        assert p[column] == pytest.approx(expected.pvalue, rel=1e-9)


def test_large_columns_with_ties_equal_scipy():
    values = np.random.default_rng(0).normal(0.1, 1, (80, 10)).round(1)
    values[values == 0] = 0.1
    statistic, p = signed_rank_by_column(values)
    for column in range(10):
        assert (statistic[column], p[column]) == pytest.approx(tuple(wilcoxon(values[:, column])))


def test_ties_equal_scipys_permutations_of_all_signs():
    values = np.random.default_rng(1).normal(0.3, 1, (8, 3)).round(0) + 0.5
    _, p = signed_rank_by_column(values)
    for column in range(3):
        expected = wilcoxon(values[:, column], method=PermutationMethod(n_resamples=np.inf)).pvalue
        assert p[column] == pytest.approx(expected)


@settings(max_examples=50, deadline=None)
@given(st.lists(st.integers(-3, 3), min_size=1, max_size=9))
def test_p_counts_the_signs_that_are_at_least_as_extreme(changes):
    statistic, p = signed_rank_by_column(np.array(changes, dtype=float)[:, None])
    d = np.array([c for c in changes if c != 0])
    if not d.size:
        assert np.isnan(statistic[0]) and np.isnan(p[0])
        return
    ranks = rankdata(np.abs(d))
    sums = np.array([(ranks * signs).sum() for signs in product([0, 1], repeat=len(d))])
    seen = ranks[d > 0].sum()
    assert statistic[0] == min(seen, ranks.sum() - seen)
    assert p[0] == pytest.approx(min(1, 2 * min((sums <= seen).mean(), (sums >= seen).mean())))


def test_a_tie_in_one_column_changes_nothing_in_the_others():
    values = np.random.default_rng(2).normal(0.2, 1, (20, 5))
    _, alone = signed_rank_by_column(values)
    values[:, 4] = values[:, 4].round(0)
    _, beside = signed_rank_by_column(values)
    np.testing.assert_array_equal(alone[:4], beside[:4])


def test_zeros_and_missing_patients_are_left_out():
    changes = np.random.default_rng(3).normal(0.5, 1, 12)
    padded = np.concatenate([changes, np.zeros(3), np.full(4, np.nan)])
    assert signed_rank_by_column(padded[:, None]) == signed_rank_by_column(changes[:, None])


def test_columns_without_any_change_are_nan():
    values = np.column_stack([np.zeros(6), np.full(6, np.nan), [0, np.nan, 0, 0, np.nan, 0], np.arange(6.0)])
    statistic, p = signed_rank_by_column(values)
    assert np.isnan(statistic[:3]).all() and np.isnan(p[:3]).all()
    assert (statistic[3], p[3]) == (0.0, 2 / 2**5)


def test_flipping_all_signs_changes_nothing():
    values = np.random.default_rng(4).normal(0.3, 1, (15, 8)).round(1)
    for one, other in zip(signed_rank_by_column(values), signed_rank_by_column(-values), strict=True):
        np.testing.assert_allclose(one, other)


def test_no_patients_and_no_columns_give_nan_and_nothing():
    assert np.isnan(signed_rank_by_column(np.empty((0, 2)))[1]).tolist() == [True, True]
    assert signed_rank_by_column(np.empty((5, 0)))[1].shape == (0,)


@pytest.mark.parametrize(
    ("values", "message"),
    [(np.ones(4), r"\(n_patients, n_tests\), got shape \(4,\)"), (np.array([[np.inf], [1.0]]), "1 infinite")],
)
def test_bad_tables_are_named(values, message):
    with pytest.raises(ValueError, match=message):
        signed_rank_by_column(values)
