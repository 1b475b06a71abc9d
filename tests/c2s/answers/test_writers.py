"""Any words, any scores: rows write whole words, none twice, and never come to a token with no way on."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s._answers._spelling import WordTrie
from tcellmil.c2s._answers._writers import TokenWriter, WordWriter, word_writer

END, N_TOKENS = 0, 13


class Letters:
    """Spells words of the letters a to d, a token a letter; others for first ones, behind a blank and at the start."""

    unk_token_id = None

    def __call__(self, texts, add_special_tokens, **_):
        assert add_special_tokens is False
        return {"input_ids": [self.spell(text) for text in texts]}

    def spell(self, text):
        ids = []
        for i, word in enumerate(text.split()):
            first = 9 if i == 0 else 5
            ids += [first + "abcd".index(word[0])] if word != "x" else [END]
            ids += [1 + "abcd".index(letter) for letter in word[1:]]
        return ids


def read(tokens):
    """Words that tokens spell, by where words begin."""
    words = []
    for token in tokens:
        if token >= 5:
            words.append("abcd"[(token - 5) % 4])
        else:
            words[-1] += "abcd"[token - 1]
    return words


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.text("abcd", min_size=1, max_size=4), min_size=1, max_size=20, unique=True),
    st.integers(1, 22),
    st.booleans(),
    st.floats(-3, 3),
    st.integers(0, 10_000),
)
def test_rows_write_whole_words_and_none_twice(words, n_words, after_blank, end_score, seed):
    import torch

    rng, n_rows = np.random.default_rng(seed), 4
    trie = WordTrie.of(Letters(), words, N_TOKENS, END, after_blank=after_blank)
    writer = WordWriter(trie, n_rows, n_words, END, torch.device("cpu"))
    tokens, here = [[] for _ in range(n_rows)], np.arange(n_rows)
    for _ in range(n_words * trie.depth + 1):
        scores = torch.from_numpy(rng.normal(size=(len(here), N_TOKENS)))
        scores[:, END] += end_score
        writer.forbid(scores)
        live = ~writer.done
        assert bool(scores[live].isfinite().any(dim=1).all())
        token = scores.argmax(dim=1)
        writer.advance(token)
        for row, t, is_live in zip(here, token.tolist(), live.tolist(), strict=True):
            if is_live and t != END:
                tokens[row].append(t)
        if rng.random() < 0.3:
            left = (~writer.done).nonzero()[:, 0]
            writer.keep(left)
            here = here[left.numpy()]
        if bool(writer.done.all()):
            break
    assert bool(writer.done.all())
    for found, spelled in zip(writer.finish(), tokens, strict=True):
        own = [words[i] for i in found if i >= 0]
        assert 1 <= len(own) <= n_words and len(set(own)) == len(own)
        # The token that shows that the last word is whole may begin a further one.
        assert read(spelled)[: len(own)] == own and len(read(spelled)) <= len(own) + 1


def test_rows_that_are_stopped_keep_their_whole_words_only():
    import torch

    words = ["ab", "abc", "d"]
    writer = WordWriter(WordTrie.of(Letters(), words, N_TOKENS, END, after_blank=True), 3, 3, END, torch.device("cpu"))
    for column in ([8, 5, 5], [5, 2, 2], [2, 3, 8]):
        writer.advance(torch.tensor(column))
    writer.stop(torch.tensor([True, True, True]))
    assert writer.finish().tolist() == [[2, 0, -1], [1, -1, -1], [0, 2, -1]]


def test_a_word_of_the_end_token_or_of_foreign_tokens_is_refused():
    with pytest.raises(ValueError, match="the spelling of 'x' holds the end token"):
        WordTrie.of(Letters(), ["a", "x"], N_TOKENS, END)
    with pytest.raises(ValueError, match="spells 'd' with token id 12, but the model has the ids 0 to 11"):
        WordTrie.of(Letters(), ["a", "d"], 12, END)


def test_a_tokenizer_that_merges_across_blanks_is_refused():
    class Merging(Letters):
        def spell(self, text):
            return [1] if text == "x" else [2] if " " in text else super().spell(text)

    with pytest.raises(ValueError, match=r"merges letters across a blank, at \['a', 'b'\]"):
        WordTrie.of(Merging(), ["a", "b"], N_TOKENS, END)


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(1, 14), st.floats(-2, 2), st.integers(0, 10_000))
def test_words_of_one_token_are_written_as_by_the_tree(n_genes, n_words, end_score, seed):
    """The short way for words of one token, beside the one for all words."""
    import torch

    class Numbers:
        unk_token_id = None

        def __call__(self, texts, **_):
            return {"input_ids": [[12 if word == "x" else int(word) for word in text.split()] for text in texts]}

    trie = WordTrie.of(Numbers(), [str(i) for i in range(n_genes, 0, -1)], N_TOKENS + 1, END)
    short, long = (kind(trie, 5, n_words, END, torch.device("cpu")) for kind in (word_writer, WordWriter))
    assert type(short) is TokenWriter
    rng = np.random.default_rng(seed)
    while not bool(short.done.all()):
        scores = torch.from_numpy(rng.normal(size=(5, N_TOKENS + 1)))
        scores[:, END] += end_score
        own = scores.clone()
        short.forbid(scores)
        long.forbid(own)
        assert torch.equal(scores[~short.done], own[~short.done])
        for writer in (short, long):
            writer.advance(scores.argmax(dim=1))
        assert torch.equal(short.done, long.done)
    assert np.array_equal(short.finish(), long.finish())
