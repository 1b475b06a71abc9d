"""Agreement of raters equals scipy's correlations and Friedman's test, and depends on nothing but ranks."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.stats import friedmanchisquare, spearmanr

from tcellmil.stats import rank_agreement
from tcellmil.stats._rank_agreement import spearman

TABLES = hnp.arrays(
    float, hnp.array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7), elements=st.integers(-3, 3).map(float)
)


@pytest.mark.parametrize(("n_raters", "n_items"), [(2, 2), (3, 12), (8, 40)])
@pytest.mark.parametrize("decimals", [9, 0], ids=["no ties", "ties"])
def test_correlations_equal_scipys_for_every_pair(n_raters, n_items, decimals):
    values = np.random.default_rng(n_items).normal(0, 3, (n_raters, n_items)).round(decimals)
    pairs = [spearmanr(values[i], values[j]).statistic for i in range(n_raters) for j in range(i)]
    agreement = rank_agreement(values)
    assert agreement.n_pairs == len(pairs)
    assert agreement.spearman_mean == pytest.approx(np.mean(pairs))
    assert agreement.spearman_min == pytest.approx(np.min(pairs))


@pytest.mark.parametrize("decimals", [9, 0], ids=["no ties", "ties"])
def test_concordance_is_friedmans_statistic_over_its_largest_value(decimals):
    values = np.random.default_rng(1).normal(0, 3, (5, 20)).round(decimals)
    chi2 = friedmanchisquare(*values.T).statistic
    assert rank_agreement(values).kendall_w == pytest.approx(chi2 / (5 * 19))


def test_without_ties_the_mean_correlation_follows_from_the_concordance():
    values = np.random.default_rng(2).normal(size=(6, 15))
    agreement = rank_agreement(values)
    assert agreement.spearman_mean == pytest.approx((6 * agreement.kendall_w - 1) / 5)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.randoms(use_true_random=False), st.integers(1, 8))
def test_order_of_raters_and_items_and_the_scale_do_not_matter(values, random, n_top):
    raters, items = (random.sample(range(n), n) for n in values.shape)
    one, other = rank_agreement(values, n_top), rank_agreement(5 * values[raters][:, items], n_top)
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(1, 8))
def test_every_figure_is_within_its_range(values, n_top):
    agreement = rank_agreement(values, n_top)
    low = np.array([0, -1, -1, 0, 0, 0])
    high = np.array([values.shape[0] * (values.shape[0] - 1) / 2, 1, 1, 1 + 1e-9, 1, 1])
    defined = np.isfinite(agreement)
    assert (np.array(agreement)[defined] >= low[defined]).all() and (
        np.array(agreement)[defined] <= high[defined]
    ).all()
    assert agreement.spearman_min <= agreement.spearman_mean + 1e-12 or agreement.n_pairs == 0


@settings(max_examples=60, deadline=None)
@given(TABLES, st.integers(1, 8))
def test_overlap_is_the_jaccard_index_of_the_sets(values, n_top):
    tops = []
    for row in np.abs(values):
        last = sorted(row)[-n_top:][0]
        tops.append({i for i, v in enumerate(row) if v >= last and v > 0})
    pairs = [(a, b) for i, a in enumerate(tops) for b in tops[:i] if a | b]
    overlap = rank_agreement(values, n_top).top_overlap
    if pairs:
        assert overlap == pytest.approx(np.mean([len(a & b) / len(a | b) for a, b in pairs]))
    else:
        assert np.isnan(overlap)


def test_top_is_of_absolute_values():
    assert rank_agreement(np.array([[-9.0, 1.0, 2.0], [9.0, 2.0, 1.0]]), n_top=1).top_overlap == 1


def test_overlap_by_chance_is_what_random_subsets_have():
    rng = np.random.default_rng(3)
    values = rng.permuted(np.tile(np.arange(1.0, 31), (400, 1)), axis=1)
    agreement = rank_agreement(values, n_top=6)
    assert agreement.top_overlap == pytest.approx(agreement.top_overlap_chance, abs=0.003)
    assert rank_agreement(values[:2], n_top=30).top_overlap_chance == 1


def test_a_rater_without_order_counts_for_nothing():
    values = np.array([[1.0, 2, 3, 4], [2, 1, 3, 4], [5, 5, 5, 5]])
    agreement = rank_agreement(values)
    assert agreement[:3] == (1, *[pytest.approx(0.8)] * 2)
    flat = rank_agreement(np.ones((3, 4)))
    assert flat.n_pairs == 0 and np.isnan([flat.spearman_mean, flat.spearman_min, flat.kendall_w]).all()


@pytest.mark.parametrize("n_items", [0, 1])
def test_fewer_than_two_items_have_no_order(n_items):
    agreement = rank_agreement(np.ones((3, n_items)))
    assert agreement.n_pairs == 0 and np.isnan(agreement.spearman_mean) and np.isnan(agreement.kendall_w)


def test_rows_of_two_tables_are_correlated_as_by_scipy():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(3, 25)), rng.normal(size=(4, 25)).round(1)
    other[2] = 7
    rho = spearman(one, other)
    assert np.isnan(rho[:, 2]).all()
    for i in range(3):
        for j in (0, 1, 3):
            assert rho[i, j] == pytest.approx(spearmanr(one[i], other[j]).statistic)


@pytest.mark.parametrize(
    ("values", "n_top", "message"),
    [
        (np.ones(4), 1, r"at least two raters, got shape \(4,\)"),
        (np.ones((1, 4)), 1, r"at least two raters, got shape \(1, 4\)"),
        (np.array([[1, np.nan], [np.inf, 2]]), 1, "holds 2 NaN or infinite values"),
        (np.ones((2, 4)), 0, "n_top=0 must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_named(values, n_top, message):
    with pytest.raises(ValueError, match=message):
        rank_agreement(values, n_top)
