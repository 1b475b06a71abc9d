"""Kendall's tau, as the paper prints it and corrected for ties, against counts of pairs."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.stats import kendalltau

from tcellmil.metrics import kendall_tau, kendall_tau_b, sentence_ranks

ROWS = st.integers(2, 40).flatmap(lambda n: arrays(np.float64, (2, n), elements=st.integers(-3, 3).map(float)))


def signs(row):
    return np.sign(row[:, None] - row[None, :])[np.triu_indices(len(row), 1)]


def by_pairs(one, other):
    """The formulas, over all pairs of genes."""
    a, b = signs(one), signs(other)
    excess, both = (a * b).sum(), np.sqrt((a != 0).sum()) * np.sqrt((b != 0).sum())
    return excess / len(a), excess / both if both else np.nan


@given(ROWS)
@settings(deadline=None, max_examples=60)
def test_both_are_what_counting_pairs_gives(rows):
    one, other = rows
    tau, tau_b = by_pairs(one, other)
    assert kendall_tau(one[None], other[None])[0] == tau  # the counts are exact
    np.testing.assert_allclose(kendall_tau_b(one[None], other[None]), [tau_b], rtol=1e-14, atol=1e-15)


@given(ROWS)
@settings(deadline=None, max_examples=50)
def test_symmetric_odd_and_blind_to_monotone_changes(rows):
    one, other = rows[:1], rows[1:]
    for tau in (kendall_tau, kendall_tau_b):
        value = tau(one, other)
        np.testing.assert_array_equal(tau(other, one), value)
        np.testing.assert_array_equal(tau(np.exp(one), other**3), value)
        np.testing.assert_array_equal(tau(-one, other), -value)


def test_counts_of_many_genes_are_exact():
    rng = np.random.default_rng(0)
    one, other = np.round(rng.normal(size=(2, 3000)), 2), np.round(rng.normal(size=(2, 3000)), 1)
    expected = [by_pairs(a, b)[0] for a, b in zip(one, other, strict=True)]
    np.testing.assert_array_equal(kendall_tau(one, other), expected)


def test_without_ties_both_are_the_same():
    rng = np.random.default_rng(1)
    one, other = rng.permuted(np.tile(np.arange(50.0), (2, 4, 1)), axis=2)
    np.testing.assert_allclose(kendall_tau(one, other), kendall_tau_b(one, other), rtol=1e-14)
    expected = [kendalltau(*rows).statistic for rows in zip(one, other, strict=True)]
    np.testing.assert_allclose(kendall_tau_b(one, other), expected, rtol=1e-14)


@pytest.mark.parametrize(("n_ranked", "factor"), [(950, 1.0008), (200, 2.7)])
def test_the_two_differ_by_the_share_of_absent_genes(n_ranked, factor):
    rng = np.random.default_rng(2)
    genes = rng.permuted(np.tile(np.arange(978), (2, 1)), axis=1)[:, :n_ranked]
    one, other = sentence_ranks(genes, 978)
    ratio = kendall_tau_b(one[None], other[None]) / kendall_tau(one[None], other[None])
    assert ratio[0] == pytest.approx(factor, abs=5e-5 if n_ranked == 950 else 0.05)
    assert kendall_tau_b(one[None], one[None])[0] == 1
    assert kendall_tau(one[None], one[None])[0] == pytest.approx(1 / ratio[0])


def test_nothing_generated_is_zero_or_not_defined():
    real, empty = sentence_ranks(np.array([[1, 0, 2]]), 5), sentence_ranks(np.full((1, 3), -1), 5)
    assert kendall_tau(real, empty)[0] == 0 and np.isnan(kendall_tau_b(real, empty)[0])


def test_two_genes_are_enough_and_one_is_not():
    two = np.array([[1.0, 2.0]])
    assert kendall_tau(two, two)[0] == 1 and kendall_tau_b(two, -two)[0] == -1
    with pytest.raises(ValueError, match="have one gene; an order needs at least two"):
        kendall_tau(two[:, :1], two[:, :1])


def test_absent_genes_share_the_rank_after_the_last():
    ranks = sentence_ranks(np.arange(950)[None, ::-1], 978)[0]
    np.testing.assert_array_equal(ranks[:950], np.arange(950, 0, -1))
    assert set(ranks[950:]) == {951}


@given(st.lists(st.lists(st.integers(0, 5), max_size=7), min_size=1, max_size=5))
@settings(deadline=None)
def test_repeated_genes_have_the_mean_of_their_positions(sentences):
    width = max(map(len, sentences))
    ids = np.array([[*s, *[-1] * (width - len(s))] for s in sentences], dtype=np.int32).reshape(len(sentences), width)
    ranks = sentence_ranks(ids, 6)
    for row, sentence in zip(ranks, sentences, strict=True):
        for gene in range(6):
            places = [i for i, other in enumerate(sentence, start=1) if other == gene]
            assert row[gene] == pytest.approx(np.mean(places) if places else len(sentence) + 1)


def test_a_gap_in_a_sentence_is_no_position():
    np.testing.assert_array_equal(sentence_ranks(np.array([[2, -1, 0]]), 3), [[2, 3, 1]])


@pytest.mark.parametrize(
    ("ids", "n_genes", "error", "message"),
    [
        (np.array([[0, 5]]), 5, ValueError, "ids holds gene 5, but n_genes=5: the last gene is 4"),
        (np.array([0, 1]), 5, ValueError, r"must be \(n_cells, n_words\), got shape \(2,\)"),
        (np.array([[0.0]]), 5, TypeError, "must be whole numbers, got float64"),
        (np.array([[0]]), 0, ValueError, "n_genes=0 must be a whole number of at least 1"),
    ],
)
def test_indices_that_are_no_sentences_are_named(ids, n_genes, error, message):
    with pytest.raises(error, match=message):
        sentence_ranks(ids, n_genes)
