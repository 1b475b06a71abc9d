"""Rank correlations equal scipy's, ties or not, column by column."""

import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau, spearmanr

from tcellmil.stats import rank_correlation


def scipys(columns, y):
    rows = []
    for column in columns.T:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of constant input
            tau, rho = kendalltau(column, y, method="asymptotic"), spearmanr(column, y)
        rows.append((tau.statistic, tau.pvalue, rho.statistic, rho.pvalue))
    return pd.DataFrame(rows, columns=["tau", "tau_p", "rho", "rho_p"])


def assert_scipys(columns, y):
    ours, theirs = rank_correlation(columns, y), scipys(columns, y)
    # Where the order is perfect, scipy's rho can be 1 - 1e-16, whose p-value is 1e-8 in three cells: ours is 0.
    perfect = ours["rho"].abs() == 1
    assert (theirs.loc[perfect, "rho_p"] < 1e-7).all() and (ours.loc[perfect, "rho_p"] == 0).all()
    theirs.loc[perfect, "rho_p"] = 0
    np.testing.assert_allclose(ours, theirs, rtol=1e-10, atol=1e-10)


n_rows = st.shared(st.integers(3, 40), key="rows")
few_values = n_rows.flatmap(lambda n: arrays(np.int64, (n, 3), elements=st.integers(-3, 3)))
any_values = n_rows.flatmap(lambda n: arrays(np.float64, (n, 3), elements=st.floats(-1e6, 1e6)))
vectors = n_rows.flatmap(
    lambda n: st.one_of(
        arrays(np.int64, n, elements=st.integers(0, 4)), arrays(np.float64, n, elements=st.floats(-1e6, 1e6))
    )
)


@settings(max_examples=60, deadline=None)
@given(few_values, vectors)
def test_columns_with_ties_equal_scipy(columns, y):
    assert_scipys(columns, y)


@settings(max_examples=40, deadline=None)
@given(any_values, vectors)
def test_columns_of_any_values_equal_scipy(columns, y):
    assert_scipys(columns, y)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_scores_of_thousands_of_cells_equal_scipy(dtype):
    rng = np.random.default_rng(0)
    scores = rng.beta(1, 12, size=(5_003, 6)).astype(dtype)
    scores[rng.random(scores.shape) < 0.3] = 0
    attention = np.exp(rng.normal(size=5_003) + 5 * scores[:, 0])
    assert_scipys(scores, attention)
    assert_scipys(scores, attention.round(1))


def test_tau_counts_pairs_by_definition():
    rng = np.random.default_rng(1)
    x, y = rng.integers(0, 6, (2, 50))
    before, after = np.triu_indices(50, 1)
    signs_x, signs_y = (np.sign(values[before] - values[after]) for values in (x, y))
    expected = (signs_x * signs_y).sum() / np.sqrt((signs_x**2).sum() * (signs_y**2).sum())
    assert rank_correlation(x[:, None], y)["tau"].item() == pytest.approx(expected, rel=1e-12)


def test_constant_columns_are_nan_and_leave_the_others():
    rng = np.random.default_rng(2)
    columns = rng.normal(size=(30, 3))
    y = rng.normal(size=30)
    alone = rank_correlation(columns, y)
    columns[:, 1] = 0.3
    beside = rank_correlation(columns, y)
    assert beside.iloc[1].isna().all()
    pd.testing.assert_frame_equal(beside.iloc[[0, 2]], alone.iloc[[0, 2]])
    assert rank_correlation(columns, np.ones(30)).isna().all(axis=None)


def test_a_perfect_order_is_exactly_one():
    y = np.random.default_rng(3).permutation(1_000) // 3
    table = rank_correlation(np.column_stack([np.exp(y / 100), -y]), y)
    assert table["tau"].round(12).tolist() == [1, -1]
    assert table["rho"].tolist() == [1, -1] and table["rho_p"].tolist() == [0, 0]


def test_any_monotone_transform_and_any_order_of_the_cells_change_nothing():
    rng = np.random.default_rng(4)
    columns, y = rng.normal(size=(200, 4)).round(1), rng.normal(size=200).round(1)
    expected, rows = rank_correlation(columns, y), rng.permutation(200)
    pd.testing.assert_frame_equal(rank_correlation(np.exp(columns), y**3), expected)
    pd.testing.assert_frame_equal(rank_correlation(columns[rows], y[rows]), expected)


def test_too_few_cells_have_no_p():
    two = rank_correlation(np.array([[1.0], [2.0]]), np.array([5.0, 3.0])).iloc[0]
    assert two["tau"] == two["rho"] == -1 and np.isnan(two["tau_p"]) and np.isnan(two["rho_p"])
    assert rank_correlation(np.ones((1, 2)), np.ones(1)).isna().all(axis=None)
    assert rank_correlation(np.ones((0, 2)), np.ones(0)).isna().all(axis=None)
    assert rank_correlation(np.ones((5, 0)), np.arange(5)).shape == (0, 4)


def test_the_input_is_left_as_it_was():
    columns, y = np.random.default_rng(5).normal(size=(50, 3)), np.arange(50.0)
    before = columns.copy()
    rank_correlation(columns, y)
    assert np.array_equal(columns, before) and np.array_equal(y, np.arange(50))


@pytest.mark.parametrize(
    ("columns", "y", "message"),
    [
        (np.ones(3), np.ones(3), r"columns must be \(n_observations, n_columns\).*got \(3,\) and \(3,\)"),
        (np.ones((3, 2)), np.ones(4), r"got \(3, 2\) and \(4,\)"),
        (np.array([[1.0], [np.nan]]), np.ones(2), "columns holds 1 NaN or infinite values; drop them"),
        (np.ones((2, 1)), np.array([np.inf, 1]), "y holds 1 NaN or infinite values; drop them"),
    ],
)
def test_bad_input_is_named(columns, y, message):
    with pytest.raises(ValueError, match=message):
        rank_correlation(columns, y)
