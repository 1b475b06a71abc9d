"""Rows of tokens: checked at the door, filled up, and drawn in batches within a budget."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tcellmil.c2s._training._token_rows import IGNORE, TokenRows, token_batches

LENGTHS = st.lists(st.integers(1, 40), min_size=1, max_size=60).map(np.array)


@settings(deadline=None)
@given(LENGTHS, st.integers(1, 200), st.one_of(st.none(), st.integers(0, 9)))
def test_batches_hold_every_row_once_within_the_budget(lengths, budget, seed):
    rng = None if seed is None else np.random.default_rng(seed)
    batches = token_batches(lengths, budget, rng)
    assert sorted(np.concatenate(batches).tolist()) == list(range(len(lengths)))
    for batch in batches:
        assert len(batch) * lengths[batch].max() <= budget or len(batch) == 1
    assert len(batches) == len(token_batches(lengths, budget))


def test_batches_of_one_seed_are_the_same_and_of_another_are_not():
    lengths = np.random.default_rng(0).integers(3, 9, 200)
    one, same, other = (np.concatenate(token_batches(lengths, 50, np.random.default_rng(seed))) for seed in (0, 0, 1))
    assert np.array_equal(one, same) and not np.array_equal(one, other)


def test_batches_hold_rows_of_similar_length():
    lengths = np.random.default_rng(0).integers(5, 500, 400)
    filled = sum(len(batch) * lengths[batch].max() for batch in token_batches(lengths, 4096, np.random.default_rng(0)))
    assert filled < 1.1 * lengths.sum()


@settings(deadline=None)
@given(st.lists(st.lists(st.booleans(), min_size=2, max_size=9), min_size=1, max_size=9))
def test_a_batch_names_each_answer_and_the_token_before_it(taught):
    ids = [[10 * i + j + 1 for j in range(len(row))] for i, row in enumerate(taught)]
    labels = [
        [t if flag else IGNORE for t, flag in zip(row, flags, strict=True)]
        for row, flags in zip(ids, taught, strict=True)
    ]
    rows = TokenRows.of(ids, labels)
    tokens, follows, targets = rows.batch(np.arange(len(rows)), pad_id=0)
    expected = [(i, j) for i, flags in enumerate(taught) for j, flag in enumerate(flags) if flag and j > 0]
    assert [divmod(int(at), tokens.shape[1]) for at in follows] == [(i, j - 1) for i, j in expected]
    assert targets.tolist() == [ids[i][j] for i, j in expected]
    assert rows.n_answer.tolist() == [sum(flags[1:]) for flags in taught]
    for i, row in enumerate(ids):
        assert tokens[i].tolist() == row + [0] * (tokens.shape[1] - len(row))


@pytest.mark.parametrize(
    ("ids", "labels", "message"),
    [
        ([[1, 2]], [[1]], "input_ids have 1 rows of 2 tokens, labels 1 rows of 1; every token needs a label"),
        ([[1, 2]], [], "input_ids have 1 rows of 2 tokens, labels 0 rows of 0"),
        ([], [], "there are no examples"),
        ([[1, 9]], [[1, 9]], r"examples hold tokens \[9\]; the model has tokens 0 to 8"),
        ([[1, -1]], [[1, -1]], r"examples hold tokens \[-1\]"),
        ([[1, 2]], [[1, 3]], "labels that are neither the token at their place nor -100"),
        ([[1, 2], [1] * 6], [[1, 2], [1] * 6], "1 of 2 examples have more than the 5 tokens that the model takes, up"),
        ([[1, 2], [1, 2]], [[1, IGNORE], [1, 2]], "1 of 2 examples have no token of an answer behind another"),
        ([[1, 2], []], [[1, 2], []], "1 of 2 examples have no token of an answer"),
    ],
)
def test_rows_that_cannot_be_taught_are_refused(ids, labels, message):
    with pytest.raises(ValueError, match=message):
        TokenRows.of(ids, labels).check(9, 5, "examples")


def test_a_digest_tells_rows_apart():
    rows = [([[1, 2], [3]], [[1, 2], [3]]), ([[1], [2, 3]], [[1], [2, 3]]), ([[1, 2], [3]], [[IGNORE, 2], [3]])]
    digests = [TokenRows.of(*row).digest() for row in rows]
    assert len(set(digests)) == 3 and digests[0] == TokenRows.of(*rows[0]).digest()
