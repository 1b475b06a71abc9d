"""Adjusted p-values equal statsmodels', and NaN takes no part."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tcellmil.stats import benjamini_hochberg


@given(st.lists(st.floats(0, 1), min_size=1, max_size=40))
def test_adjusted_values_equal_those_of_statsmodels(p):
    from statsmodels.stats.multitest import multipletests

    np.testing.assert_allclose(benjamini_hochberg(np.array(p)), multipletests(p, method="fdr_bh")[1], atol=1e-15)


@given(st.lists(st.one_of(st.floats(0, 1), st.just(np.nan)), max_size=30))
def test_nan_stays_nan_and_counts_for_nothing(p):
    p = np.array(p)
    adjusted = benjamini_hochberg(p)
    np.testing.assert_array_equal(np.isnan(adjusted), np.isnan(p))
    np.testing.assert_array_equal(adjusted[~np.isnan(p)], benjamini_hochberg(p[~np.isnan(p)]))


def test_a_table_is_adjusted_as_one_family():
    p = np.random.default_rng(0).random((3, 4))
    np.testing.assert_array_equal(benjamini_hochberg(p), benjamini_hochberg(p.ravel()).reshape(3, 4))


def test_input_is_not_changed():
    p = np.array([0.04, np.nan, 0.01])
    benjamini_hochberg(p)
    np.testing.assert_array_equal(p, [0.04, np.nan, 0.01])


@pytest.mark.parametrize("bad", [-0.1, 1.5, np.inf])
def test_values_outside_of_zero_to_one_are_an_error(bad):
    with pytest.raises(ValueError, match=rf"must lie in \[0, 1\], got {bad}"):
        benjamini_hochberg(np.array([0.2, bad]))
