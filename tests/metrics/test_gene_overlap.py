"""Overlap of sentences: sets of genes, as arrays, texts or lists."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.metrics import gene_overlap

WORDS = np.array(["CD3D", "NKG7", "HLA-A", "MALAT1", "MS4A1", "IL7R", "GNLY"], dtype=object)
SENTENCE = st.lists(st.integers(0, len(WORDS) - 1), max_size=6)
PAIRS = st.lists(st.tuples(SENTENCE.filter(len), SENTENCE), min_size=1, max_size=8)


def padded(sentences):
    width = max(map(len, sentences)) + 1
    return np.array([[*sentence, *[-1] * (width - len(sentence))] for sentence in sentences], dtype=np.int32)


@given(PAIRS)
@settings(deadline=None)
def test_arrays_lists_and_texts_give_the_overlap_of_sets(pairs):
    real, generated = zip(*pairs, strict=True)
    expected = [len(set(r) & set(g)) / len(set(r)) for r, g in pairs]
    np.testing.assert_allclose(gene_overlap(padded(real), padded(generated)), expected, rtol=1e-15)
    lists = [[list(WORDS[list(sentence)]) for sentence in side] for side in (real, generated)]
    np.testing.assert_allclose(gene_overlap(*lists), expected, rtol=1e-15)
    texts = [[" ".join(words) for words in side] for side in lists]
    np.testing.assert_array_equal(gene_overlap(*texts), gene_overlap(*lists))
    np.testing.assert_array_equal(gene_overlap(*map(pd.Series, texts)), gene_overlap(*lists))


@given(PAIRS, st.randoms())
@settings(deadline=None, max_examples=30)
def test_order_and_repeats_within_a_sentence_change_nothing(pairs, random):
    real, generated = zip(*pairs, strict=True)
    again = [[random.sample(2 * list(s), 2 * len(s)) for s in side] for side in (real, generated)]
    np.testing.assert_array_equal(gene_overlap(*map(padded, again)), gene_overlap(padded(real), padded(generated)))


def test_a_sentence_and_itself_overlap_and_nothing_generated_is_zero():
    ids = np.array([[3, 1, 2], [5, 4, -1]])
    np.testing.assert_array_equal(gene_overlap(ids, ids), [1, 1])
    np.testing.assert_array_equal(gene_overlap(ids, np.full((2, 4), -1)), [0, 0])
    np.testing.assert_array_equal(gene_overlap(["A B"], [""]), [0])
    np.testing.assert_array_equal(gene_overlap(ids, np.empty((2, 0), dtype=int)), [0, 0])


def test_sentences_of_other_rows_do_not_count():
    np.testing.assert_array_equal(gene_overlap(np.array([[0, 1], [2, 3]]), np.array([[2, 3], [0, 1]])), [0, 0])


def test_large_indices_are_no_problem():
    ids = np.array([[2**62, 7], [2**61, 5]])
    np.testing.assert_array_equal(gene_overlap(ids, ids[:, ::-1]), [1, 1])


def test_conditions_are_averaged():
    result = gene_overlap(["A B", "A B", "C"], ["A", "A B", "D"], by=["x", "x", "y"])
    assert result.values.to_dict() == {"x": 0.75, "y": 0} and result.mean == 0.375


@pytest.mark.parametrize(
    ("real", "generated", "error", "message"),
    [
        (["A", "B"], ["A"], ValueError, "2 real and 1 generated sentences"),
        (["A", "", " "], ["A", "A", "A"], ValueError, "2 real sentences have no gene, the first in row 1"),
        (np.array([[-1, -1]]), np.array([[1, 2]]), ValueError, "1 real sentences have no gene"),
        ("A B", ["A"], TypeError, "real must be a list of sentences, got one text"),
        (np.array([[0.5, 1.0]]), np.array([[1, 2]]), TypeError, "real must be whole numbers, .* got float64"),
        (np.array([1, 2]), np.array([1, 2]), TypeError, r"of shape \(2,\)"),
        ([["A", 3]], [["A"]], TypeError, "real must hold words, got 3"),
        (["A"], np.array([[1]]), TypeError, "one of real and generated holds whole numbers, the other words"),
    ],
)
def test_what_is_no_sentence_is_named(real, generated, error, message):
    with pytest.raises(error, match=message):
        gene_overlap(real, generated)
