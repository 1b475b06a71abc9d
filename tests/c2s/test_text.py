"""Text and indices say the same, and what is not a gene is counted."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s import read_sentences, sentence_text, words_of
from tcellmil.c2s._text import count_repeated

WORDS = ["CD3D", "HLA-A", "LYZ", "Actb", "ACTB", "NKX2.1", "H2."]


@st.composite
def sentences(draw):
    """Indices of words with -1 after the last of each."""
    width = draw(st.integers(0, 6))
    rows = draw(st.lists(st.lists(st.integers(0, len(WORDS) - 1), max_size=width), max_size=8))
    return np.array([row + [-1] * (width - len(row)) for row in rows], dtype=np.int32).reshape(len(rows), width)


@settings(deadline=None)
@given(ids=sentences())
def test_what_is_written_is_read_back(ids):
    texts = sentence_text(ids, WORDS)
    assert texts == [" ".join(WORDS[i] for i in row if i >= 0) for row in ids]
    read = read_sentences(texts, WORDS)
    n_words = (ids >= 0).sum(axis=1)
    width = n_words.max(initial=0)
    np.testing.assert_array_equal(read.ids, ids[:, :width])
    np.testing.assert_array_equal(read.n_words, n_words)
    assert read.ids.dtype == np.int32 and not read.n_unknown.any()
    n_different = [len({i for i in row if i >= 0}) for row in ids]
    np.testing.assert_array_equal(read.n_repeated, n_words - n_different)
    np.testing.assert_array_equal(read.n_repeated, count_repeated(ids))


def test_more_sentences_than_are_written_at_a_time_are_all_there():
    ids = np.arange(10_000, dtype=np.int32)[:, None] % len(WORDS)
    assert sentence_text(ids, WORDS) == [WORDS[i % len(WORDS)] for i in range(10_000)]


def test_unknown_words_are_left_out_and_counted():
    read = read_sentences(["nonsense LYZ CD3 CD3D", "", "what is this"], WORDS)
    assert read.ids.tolist() == [[2, 0], [-1, -1], [-1, -1]]
    assert read.n_words.tolist() == [4, 0, 3] and read.n_unknown.tolist() == [2, 0, 3]


@pytest.mark.parametrize("text", ["LYZ CD3D.", "LYZ, CD3D", "LYZ CD3D .", " LYZ\n\tCD3D., "])
def test_marks_after_a_word_are_no_part_of_it(text):
    read = read_sentences([text], WORDS)
    assert read.ids.tolist() == [[2, 0]] and read.n_words.tolist() == [2] and read.n_unknown.tolist() == [0]


def test_marks_that_belong_to_a_name_stay():
    assert read_sentences(["NKX2.1. H2."], WORDS).ids.tolist() == [[5, 6]]


def test_capitals_tell_genes_apart():
    assert read_sentences(["ACTB Actb actb"], WORDS).ids.tolist() == [[4, 3]]


def test_names_are_kept_or_written_in_capitals():
    assert words_of(["Actb", "HLA-DRA_ENSG00000204287"]) == ["Actb", "HLA-DRA_ENSG00000204287"]
    assert words_of(["Actb", "C1orf112"], case="upper") == ["ACTB", "C1ORF112"]


@pytest.mark.parametrize(
    ("names", "case", "message"),
    [
        (["A", "Actb", "ACTB"], "upper", "genes 'Actb' and 'ACTB' would be the same word 'ACTB'.*case='keep'"),
        (["A", "B", "A"], "keep", "genes 0 and 2 have the same name 'A'"),
        (["A", "CD4 protein"], "keep", r"1 names of genes are empty or hold blanks.*\['CD4 protein'\]; rename"),
        (["A", ""], "keep", r"1 names of genes are empty or hold blanks.*\[''\]"),
        (["A"], "lower", "case='lower' is not known; choose from 'keep', 'upper'"),
    ],
)
def test_names_that_cannot_be_words_are_named(names, case, message):
    with pytest.raises(ValueError, match=message):
        words_of(names, case)


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        (np.array([0, 1]), r"whole numbers, cells x genes, got int64 of shape \(2,\)"),
        (np.ones((2, 2)), "whole numbers, cells x genes, got float64"),
        (np.array([[0, 7]]), "indices from 0 to 7, but the vocabulary has 7 words"),
        (np.array([[-2, 0]]), "indices from -2 to 0, but the vocabulary has 7 words"),
    ],
)
def test_indices_that_are_no_sentences_are_refused(ids, message):
    with pytest.raises(ValueError, match=message):
        sentence_text(ids, WORDS)


def test_what_is_no_text_is_refused():
    with pytest.raises(TypeError, match="got one text; put it into a list"):
        read_sentences("LYZ CD3D", WORDS)
    with pytest.raises(TypeError, match="sentence 1 is NoneType, not text"):
        read_sentences(["LYZ", None], WORDS)
    with pytest.raises(ValueError, match="the same name 'LYZ'"):
        read_sentences(["LYZ"], ["LYZ", "LYZ"])
