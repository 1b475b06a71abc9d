import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s import GeneTable, encode_sentences

pytestmark = pytest.mark.filterwarnings("error::UserWarning")
KINDS = ("word_tokenizer", "byte_tokenizer", "sentencepiece_tokenizer")


@pytest.fixture(scope="module", params=KINDS)
def tokenizer(request):
    made = request.getfixturevalue(request.param)
    if request.param == "word_tokenizer":
        made = made("Label a cell by its genes, highest first. Genes: Cell type: B cell 1 2 3")
    return made
    return (
        made("Label a cell by its genes, highest first. Genes: Cell type: B cell 1 2 3")
        if callable(made) and not hasattr(made, "eos_token_id")
        else made
    )


@pytest.fixture(scope="module")
def table(tokenizer, gene_words):
    return GeneTable(tokenizer, gene_words)


def by_tokenizer(tokenizer, ids, words):
    """Tokens of each sentence, one after another, from the tokenizer."""
    texts = [" ".join(words[gene] for gene in row if gene >= 0) for row in ids]
    return [tokenizer(text, add_special_tokens=False)["input_ids"] for text in texts]


def rows_of(encoded):
    return [encoded.tokens[a:b].tolist() for a, b in zip(encoded.starts[:-1], encoded.starts[1:], strict=True)]


def sentences(n_words, *, max_cells=6, max_genes=12):
    """Rows of different genes, filled up with -1."""
    row = st.lists(st.integers(0, n_words - 1), max_size=max_genes)
    return st.lists(row, max_size=max_cells).map(
        lambda rows: np.array([r + [-1] * (max_genes - len(r)) for r in rows], dtype=np.int32).reshape(-1, max_genes)
    )


@settings(deadline=None, max_examples=60)
@given(ids=sentences(60))
def test_sentences_have_the_tokens_of_the_tokenizer(table, tokenizer, gene_words, ids):
    assert table.exact
    encoded = encode_sentences(ids, table)
    assert rows_of(encoded) == by_tokenizer(tokenizer, ids, gene_words)
    assert encoded.starts[-1] == len(encoded.tokens)


def test_any_kind_of_integers_in_any_layout_will_do(table, tokenizer, gene_words):
    ids = np.array([[5, 3, -1], [0, 1, 2]])
    expected = by_tokenizer(tokenizer, ids, gene_words)
    for other in (ids.tolist(), ids.astype(np.int16), np.asfortranarray(ids), np.repeat(ids, 2, axis=1)[:, ::2]):
        assert rows_of(encode_sentences(other, table)) == expected


def test_no_cells_and_no_genes_have_no_tokens(table):
    assert rows_of(encode_sentences(np.empty((0, 5), dtype=int), table)) == []
    assert rows_of(encode_sentences(np.full((2, 5), -1), table)) == [[], []]


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([[0, 60]], "ids hold 0 to 60; the table has the words 0 to 59, and -1 is no word"),
        ([[0, -2]], "ids hold -2 to 0"),
        ([[0.0, 1.0]], "ids must be integers, got float64"),
        ([0, 1], r"ids must be \(n_cells, n_genes\), got shape \(2,\)"),
    ],
)
def test_ids_that_the_table_does_not_have_are_refused(table, ids, message):
    with pytest.raises(ValueError, match=message):
        encode_sentences(ids, table)


def test_a_text_around_sentences_has_the_tokens_of_the_whole(table, tokenizer, gene_words):
    for pieces in (
        ["Genes: ", np.array([4, 2, 9]), "\nCell type:"],
        ["Genes:\n", np.array([4, 2, 9])],
        [np.array([4]), "\n\nCell 2: ", np.array([7, 8])],
        [" ", np.array([11, 3]), "\nB cell, B cell"],
        ["Genes:  ", np.array([11, 3])],
        ["Label a cell"],
        [],
    ):
        text = "".join(p if isinstance(p, str) else " ".join(gene_words[i] for i in p) for p in pieces)
        for _ in range(2):
            assert table.text(pieces).tolist() == tokenizer(text, add_special_tokens=False)["input_ids"], text


def test_a_text_may_not_hold_genes_that_are_not_there(table):
    with pytest.raises(ValueError, match="ids hold -1 to 3"):
        table.text(["Genes: ", np.array([3, -1])])


def test_special_tokens_in_front_of_a_text_are_known(sentencepiece_tokenizer, byte_tokenizer, gene_words):
    assert GeneTable(sentencepiece_tokenizer, gene_words).begin.tolist() == [sentencepiece_tokenizer.bos_token_id]
    assert GeneTable(byte_tokenizer, gene_words).begin.tolist() == []


def test_a_tokenizer_that_merges_across_blanks_is_asked_itself(merging_tokenizer, gene_words):
    """The first is a gene by itself, the others are parts of one token."""
    ids = np.array([[2, 5, 0, 10], [5, 0, -1, -1], [10, 2, 5, -1]])
    assert len(merging_tokenizer("MT-ND4 CD3D HLA-A A", add_special_tokens=False)["input_ids"]) < 4
    with pytest.warns(UserWarning, match="(merges a gene|spells some genes) .* that is right, and slow") as seen:
        table = GeneTable(merging_tokenizer, gene_words)
    assert len(seen) == 1 and not table.exact
    assert rows_of(encode_sentences(ids, table)) == by_tokenizer(merging_tokenizer, ids, gene_words)
    pieces = ["Genes: ", np.array([2, 5, 0]), "\nCell type:"]
    expected = merging_tokenizer("Genes: MT-ND4 CD3D HLA-A\nCell type:", add_special_tokens=False)["input_ids"]
    assert table.text(pieces).tolist() == expected
    assert not table.check(ids)


def test_a_text_that_grows_into_a_gene_is_left_to_the_tokenizer(word_tokenizer, gene_words):
    """A tokenizer of words does not know ``CD3D.`` with its full stop."""
    tokenizer = word_tokenizer("Genes: Cell type:")
    table = GeneTable(tokenizer, gene_words)
    with pytest.warns(UserWarning, match="spells a text around a sentence in another way"):
        tokens = table.text(["Genes: ", np.array([5]), ".\nCell type:"])
    assert tokens.tolist() == tokenizer("Genes: CD3D.\nCell type:", add_special_tokens=False)["input_ids"]
    assert tokenizer.unk_token_id in tokens
    assert not table.exact


def test_a_sample_of_real_sentences_can_be_checked(byte_tokenizer, gene_words):
    table = GeneTable(byte_tokenizer, gene_words)
    ids = np.random.default_rng(0).integers(60, size=(20, 30))
    assert table.check(ids)
    table.tokens = table.tokens[::-1].copy()
    with pytest.warns(UserWarning, match="spells some genes otherwise when they stand in a sentence"):
        assert not table.check(ids)
    assert rows_of(encode_sentences(ids, table)) == by_tokenizer(byte_tokenizer, ids, gene_words)


def test_texts_are_compared_again_now_and_then(byte_tokenizer, gene_words):
    table = GeneTable(byte_tokenizer, gene_words)
    pieces = ["Genes: ", np.array([5, 3, 2]), "\n"]
    expected = table.text(pieces)
    table.tokens = table.tokens[::-1].copy()
    with pytest.warns(UserWarning, match="spells a text around a sentence"):
        for _ in range(300):
            table.text(pieces)
    assert np.array_equal(table.text(pieces), expected)


def test_texts_that_are_kept_are_limited(byte_tokenizer, gene_words, monkeypatch):
    monkeypatch.setattr("tcellmil.c2s._tokens._gene_table._KEPT", 3)
    table = GeneTable(byte_tokenizer, gene_words)
    for number in range(20):
        text = f"B {number} cell"
        assert table.text([text]).tolist() == byte_tokenizer(text)["input_ids"]
    assert len(table._texts) <= 3 and table.exact


def test_a_tokenizer_without_an_end_token_is_refused(word_tokenizer, gene_words):
    with pytest.raises(ValueError, match="has no end token, .* set tokenizer.eos_token"):
        GeneTable(word_tokenizer(eos_token=None), gene_words)


def test_genes_that_the_tokenizer_does_not_know_are_counted(word_tokenizer, gene_words):
    tokenizer = word_tokenizer(genes=gene_words[3:])
    with pytest.warns(UserWarning, match=r"does not know 3 of 60 genes, \['HLA-A', 'HLA-DRB1', 'MT-ND4'\]"):
        table = GeneTable(tokenizer, gene_words)
    assert np.flatnonzero(table.unknown).tolist() == [0, 1, 2]
    with pytest.raises(ValueError, match="knows none of the 60 genes"):
        GeneTable(word_tokenizer(genes=["x"]), gene_words)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["A", "B C"], r"words \['B C'\] are empty or hold blanks"),
        (["A", ""], r"words \[''\] are empty"),
        ([], "are empty or hold blanks"),
        (["A", "A"], "1 words come twice"),
    ],
)
def test_words_that_are_no_genes_are_refused(byte_tokenizer, words, message):
    with pytest.raises(ValueError, match=message):
        GeneTable(byte_tokenizer, words)


def test_a_slow_tokenizer_is_asked_itself(byte_tokenizer, gene_words):
    class Slow:
        is_fast, eos_token_id, unk_token_id = False, 0, None

        def __call__(self, texts, **options):
            assert "return_offsets_mapping" not in options
            return byte_tokenizer(texts, **options)

    with pytest.warns(UserWarning, match="splits every text itself"):
        table = GeneTable(Slow(), gene_words)
    ids = np.array([[5, 3]])
    assert rows_of(encode_sentences(ids, table)) == by_tokenizer(byte_tokenizer, ids, gene_words)


def test_a_table_is_the_same_on_one_thread_and_two(byte_tokenizer, gene_words):
    import numba

    table = GeneTable(byte_tokenizer, gene_words)
    ids = np.random.default_rng(0).integers(-1, 60, size=(500, 20))
    before, n_most = numba.get_num_threads(), numba.config.NUMBA_NUM_THREADS
    results = []
    for n_threads in {1, n_most}:
        numba.set_num_threads(n_threads)
        results.append(encode_sentences(ids, table))
    numba.set_num_threads(before)
    assert all(np.array_equal(results[0].tokens, other.tokens) for other in results)


def test_no_warning_where_all_is_well(byte_tokenizer, gene_words):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert GeneTable(byte_tokenizer, gene_words).exact
