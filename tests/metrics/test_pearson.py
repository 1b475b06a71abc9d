"""Pearson's correlation of rows against numpy's and scipy's."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from tcellmil.metrics import pearson


def rows(seed, n=4, n_genes=30):
    rng = np.random.default_rng(seed)
    one = rng.normal(size=(n, n_genes))
    return one, 0.5 * one + rng.normal(size=(n, n_genes))


@given(st.integers(0, 2**32 - 1), st.integers(2, 40))
@settings(deadline=None, max_examples=30)
def test_rows_correlate_as_in_numpy_and_scipy(seed, n_genes):
    one, other = rows(seed, n_genes=n_genes)
    expected = [np.corrcoef(a, b)[0, 1] for a, b in zip(one, other, strict=True)]
    np.testing.assert_allclose(pearson(one, other), expected, atol=1e-13)
    np.testing.assert_allclose(pearson(one, other), stats.pearsonr(one, other, axis=1).statistic, atol=1e-13)


@pytest.mark.parametrize(("scale", "shift"), [(1e-140, 0), (1e140, 0), (3, 1e3), (1e-8, 0)])
def test_scale_and_shift_change_nothing_at_any_size(scale, shift):
    one, other = rows(0)
    np.testing.assert_allclose(pearson(scale * one + shift, other), pearson(one, other), rtol=1e-9)
    np.testing.assert_allclose(pearson(-scale * one, other), -pearson(one, other), rtol=1e-12)


def test_a_row_and_itself_have_one_and_a_constant_row_has_none():
    one, other = rows(1)
    np.testing.assert_allclose(pearson(one, one), 1, rtol=1e-15)
    one[2] = 0.1  # whose mean is not 0.1 in floating point
    assert np.isnan(pearson(one, other)).tolist() == [False, False, True, False]
    np.testing.assert_array_equal(np.isnan(pearson(other, one)), np.isnan(pearson(one, other)))


def test_two_gaussians_have_the_correlation_they_were_drawn_with():
    rng = np.random.default_rng(2)
    one, other = rng.multivariate_normal([0, 0], [[1, 0.7], [0.7, 1]], size=(20, 5000)).transpose(2, 0, 1)
    assert pearson(one, other).mean() == pytest.approx(0.7, abs=0.01)


def test_sparse_expression_is_taken():
    one, other = (np.abs(side).round() for side in rows(3))
    np.testing.assert_allclose(pearson(sparse.csr_matrix(one), sparse.csc_array(other)), pearson(one, other))
