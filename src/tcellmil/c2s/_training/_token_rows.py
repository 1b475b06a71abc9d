"""Examples as token ids: rows of different lengths, checked, and drawn in batches of similar length."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

#: Label of a token that the model is not taught: the prompt, and what fills rows up.
IGNORE = -100


@dataclass(frozen=True)
class TokenRows:
    """Rows of token ids, one behind the other.

    Parameters
    ----------
    input_ids
        Tokens of all rows, prompt and answer.
    labels
        The same tokens where they belong to an answer, :data:`IGNORE` elsewhere.
    starts
        ``(n_rows + 1,)``: row ``i`` is ``starts[i]:starts[i + 1]``.

    Examples
    --------
    >>> rows = TokenRows.of([[5, 6, 7], [8, 9]], [[-100, 6, 7], [-100, 9]])
    >>> len(rows), rows.lengths.tolist(), rows.n_answer.tolist()
    (2, [3, 2], [2, 1])
    """

    input_ids: np.ndarray
    labels: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, input_ids: Sequence[Sequence[int]], labels: Sequence[Sequence[int]]) -> TokenRows:
        """Put rows behind each other.

        Raises
        ------
        ValueError
            If there are no rows, or tokens and labels are not equally many.
        """
        lengths = np.array([len(row) for row in input_ids], dtype=np.int64)
        other = np.array([len(row) for row in labels], dtype=np.int64)
        if not np.array_equal(lengths, other):
            raise ValueError(
                f"input_ids have {len(lengths)} rows of {lengths.sum()} tokens, labels {len(other)} rows of "
                f"{other.sum()}; every token needs a label, {IGNORE} where it is not taught"
            )
        if not len(lengths):
            raise ValueError("there are no examples; give at least one")
        flat = (np.concatenate([np.asarray(row, dtype=np.int64) for row in rows]) for rows in (input_ids, labels))
        return cls(*flat, np.concatenate([[0], np.cumsum(lengths)]))

    def __len__(self) -> int:
        return len(self.starts) - 1

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each row."""
        return np.diff(self.starts)

    @cached_property
    def n_answer(self) -> np.ndarray:
        """Tokens of each row that are predicted; the first one of a row has nothing that it follows from."""
        taught = self.labels != IGNORE
        taught[self.starts[:-1][self.lengths > 0]] = False
        return np.diff(np.concatenate([[0], np.cumsum(taught)])[self.starts])

    def check(self, vocab_size: int, context: int, what: str) -> None:
        """Raise a ValueError unless a model of this size can be taught every row."""
        answers = self.labels != IGNORE
        wrong = np.unique(self.input_ids[(self.input_ids < 0) | (self.input_ids >= vocab_size)])
        if len(wrong):
            raise ValueError(f"{what} hold tokens {wrong[:5].tolist()}; the model has tokens 0 to {vocab_size - 1}")
        if (self.labels[answers] != self.input_ids[answers]).any():
            raise ValueError(f"{what} have labels that are neither the token at their place nor {IGNORE}")
        n_long, n_empty = int((self.lengths > context).sum()), int((self.n_answer == 0).sum())
        if n_long:
            raise ValueError(
                f"{n_long} of {len(self)} {what} have more than the {context} tokens that the model takes, up to "
                f"{self.lengths.max()}; use fewer genes in a sentence, or a model with a longer context"
            )
        if n_empty:
            raise ValueError(f"{n_empty} of {len(self)} {what} have no token of an answer behind another token")

    def batch(self, rows: np.ndarray, pad_id: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Rows as one array, filled up on the right, and what is to be predicted.

        Returns
        -------
        Tokens ``(n_rows, longest)``; indices into these, read row by row, of the tokens that an answer's token follows;
        and those answers' tokens.
        """
        lengths = self.lengths[rows]
        column = np.arange(lengths.max())
        real = column < lengths[:, None]
        at = np.where(real, self.starts[rows][:, None] + column, 0)
        labels = np.where(real, self.labels[at], IGNORE)
        row, follows = np.nonzero(labels[:, 1:] != IGNORE)
        return np.where(real, self.input_ids[at], pad_id), row * len(column) + follows, labels[row, follows + 1]

    def digest(self) -> str:
        """Text that differs where any token, label or length differs."""
        digest = hashlib.sha256()
        for values in (self.input_ids, self.labels, self.starts):
            digest.update(memoryview(np.ascontiguousarray(values, dtype="<i8")).cast("B"))
        return digest.hexdigest()


def token_batches(lengths: np.ndarray, batch_tokens: int, rng: np.random.Generator | None = None) -> list[np.ndarray]:
    """Rows in batches of similar length; a batch, filled up to its longest row, has at most ``batch_tokens`` tokens.

    Parameters
    ----------
    lengths
        Tokens of each row.
    batch_tokens
        A row that is longer is a batch of its own.
    rng
        Draws the order of the batches, and the order of rows of one length. Without it, short rows come first. The
        number of batches does not depend on it.

    Examples
    --------
    >>> [batch.tolist() for batch in token_batches(np.array([9, 3, 4, 3]), 12)]
    [[1, 3, 2], [0]]
    """
    order = np.arange(len(lengths)) if rng is None else rng.permutation(len(lengths))
    order = order[np.argsort(lengths[order], kind="stable")]
    sizes = np.maximum(lengths[order], 1)
    batches, start = [], 0
    while start < len(order):
        at_most = sizes[start : start + max(1, int(batch_tokens // sizes[start]))]
        n = max(1, int((np.arange(1, len(at_most) + 1) * at_most <= batch_tokens).sum()))
        batches.append(order[start : start + n])
        start += n
    return batches if rng is None else [batches[i] for i in rng.permutation(len(batches))]
