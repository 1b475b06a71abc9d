"""What a model may write next, and what it has written: whole words only, or any text."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from ._spelling import WordTrie

if TYPE_CHECKING:
    import torch


def word_writer(trie: WordTrie, n_rows: int, n_words: int, end: int, device: torch.device) -> WordWriter:
    """The writer of whole words that does least for words of this kind."""
    kind = TokenWriter if trie.depth == 1 and trie.first == 0 else WordWriter
    return kind(trie, n_rows, n_words, end, device)


class WordWriter:
    """Lets every row write whole words of a tree, none twice, and the end token behind a whole word.

    Words that were written are taken out of the tree of their row, and a token is open as long as a word is left
    behind it, so that no row loses its way. All rows are handled at once.

    Parameters
    ----------
    trie
        The words.
    n_rows
        Rows of the batch.
    n_words
        Words that a row has at most.
    end
        Id of the end token.
    device
        Of the scores.
    """

    #: What there is of each row that goes on.
    _of_rows = ("_row", "done", "_closed", "_node", "_reached", "_written", "_left")

    def __init__(self, trie: WordTrie, n_rows: int, n_words: int, end: int, device: torch.device):
        import torch

        self._index, self._n_tokens, self._end = trie.index, trie.n_tokens, end
        self._edges, self._child_at, self._start, self._word_at, self._path = (
            torch.from_numpy(values).to(device) for values in (trie.edges, trie.child, trie.start, trie.word, trie.path)
        )
        self._token_at = self._edges % trie.n_tokens
        self._words = torch.full((n_rows, n_words), -1, device=device)
        self._n = torch.zeros(n_rows, dtype=torch.int64, device=device)
        self._row = torch.arange(n_rows, device=device)
        self.done = torch.zeros(n_rows, dtype=torch.bool, device=device)
        # (row, token): what can not begin a word. The end opens with the first word: a cell has a gene.
        self._closed = torch.ones((n_rows, trie.n_tokens), dtype=torch.bool, device=device)
        self._closed[:, self._token_at[: trie.start[1]]] = False
        self._begin(trie)

    def _begin(self, trie: WordTrie) -> None:
        """Set where each row is, the whole word it has reached and may still go on with, and words written and left."""
        import torch

        n_rows, device = len(self._row), self._row.device
        self._first_token = self._token_at[self._path[:, 0] - self._child_at[0]]
        self._node = torch.full((n_rows,), trie.first, device=device)
        self._reached = torch.full((n_rows,), -1, device=device)
        self._written = torch.zeros((n_rows, len(self._path)), dtype=torch.bool, device=device)
        self._left = torch.from_numpy(trie.n_below).to(device, torch.int32).repeat(n_rows, 1)

    def forbid(self, logits: torch.Tensor) -> None:
        """Set the scores ``(row, token)`` of what may not come next to minus infinity, in place."""
        inside = self._node != 0
        closed = self._closed | (inside & (self._reached < 0))[:, None]
        rows, edges = self._edges_below(inside.nonzero()[:, 0])
        is_open = self._left[rows, self._child_at[edges]] > 0
        closed[rows[is_open], self._token_at[edges[is_open]]] = False
        logits.masked_fill_(closed, float("-inf"))

    def advance(self, tokens: torch.Tensor) -> None:
        """Take in the next token of every row; rows that are done take in nothing."""
        import torch

        child = self._child(self._node, tokens)
        whole = ~self.done & (self._reached >= 0)
        self._count_reached(whole & (child < 0))
        self._take_back(whole & (child >= 0))
        self.done |= tokens == self._end
        child = torch.where(child < 0, self._child(torch.zeros_like(tokens), tokens), child)
        self._node = torch.where(self.done, 0, child)
        word = self._word_at[self._node]
        rows = (~self.done & (word >= 0)).nonzero()[:, 0]
        rows = rows[~self._written[rows, word[rows]]]
        self._reached[rows] = word[rows]
        self._mark(rows, written=True)
        self._count_reached((self._reached >= 0) & (self._start[self._node + 1] == self._start[self._node]))

    def stop(self, rows: torch.Tensor) -> int:
        """End rows (a mask) where they are, without a word that is not whole; returns how many had words to come."""
        self._count_reached(rows & (self._reached >= 0))
        n_cut = int((rows & ~self.done).sum())
        self.done |= rows
        return n_cut

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only; what the others have written stays."""
        for name in self._of_rows:
            setattr(self, name, getattr(self, name)[rows])

    def finish(self) -> np.ndarray:
        """Place of each word of all rows among the words that were given, ``(n_rows, n_words)``, -1 behind the last."""
        found = self._words.cpu().numpy()
        return np.where(found < 0, -1, self._index[found])

    def _child(self, node: torch.Tensor, token: torch.Tensor) -> torch.Tensor:
        """Node that a token leads to, or -1."""
        import torch

        edge = node * self._n_tokens + token
        at = torch.searchsorted(self._edges, edge).clamp(max=len(self._edges) - 1)
        return torch.where(self._edges[at] == edge, self._child_at[at], -1)

    def _edges_below(self, rows: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Edges that lead on from where rows are, and the row of each."""
        import torch

        start = self._start[self._node[rows]]
        n = self._start[self._node[rows] + 1] - start
        first = (start - n.cumsum(0) + n).repeat_interleave(n)
        return rows.repeat_interleave(n), first + torch.arange(len(first), device=first.device)

    def _count(self, rows: torch.Tensor, words: torch.Tensor) -> None:
        """Put down the next word of these rows."""
        place = self._row[rows]
        n = self._n[place]
        self._words[place, n] = words
        self._n[place] = n + 1
        self.done[rows] = n + 1 == self._words.shape[1]

    def _count_reached(self, rows: torch.Tensor) -> None:
        """The word that each of these rows (a mask) has reached is its next word."""
        rows = rows.nonzero()[:, 0]
        self._count(rows, self._reached[rows])
        self._reached[rows], self._node[rows] = -1, 0

    def _take_back(self, rows: torch.Tensor) -> None:
        """The word that each of these rows (a mask) has reached is the beginning of a longer one."""
        rows = rows.nonzero()[:, 0]
        self._mark(rows, written=False)
        self._reached[rows] = -1

    def _mark(self, rows: torch.Tensor, *, written: bool) -> None:
        """Take the words that rows have reached out of their trees, or put them back."""
        word = self._reached[rows]
        path = self._path[word]
        self._written[rows, word] = written
        self._left[rows[:, None], path] -= 1 if written else -1
        self._closed[rows, self._first_token[word]] = self._left[rows, path[:, 0]] == 0
        self._closed[rows, self._end] = False


class TokenWriter(WordWriter):
    """The same where every word is one token, so that no row is ever inside a word."""

    _of_rows = ("_row", "done", "_closed")

    def _begin(self, trie: WordTrie) -> None:
        self._word_of = self._edges.new_full((self._n_tokens,), -1)
        self._word_of[self._token_at] = self._word_at[self._child_at]

    def forbid(self, logits: torch.Tensor) -> None:
        """Set the scores ``(row, token)`` of what may not come next to minus infinity, in place."""
        logits.masked_fill_(self._closed, float("-inf"))

    def advance(self, tokens: torch.Tensor) -> None:
        """Take in the next token of every row; rows that are done take in nothing."""
        self.done |= tokens == self._end
        rows = (~self.done).nonzero()[:, 0]
        tokens = tokens[rows]
        self._closed[rows, tokens] = True
        self._closed[rows, self._end] = False
        self._count(rows, self._word_of[tokens])

    def stop(self, rows: torch.Tensor) -> int:
        """End rows (a mask) where they are; returns how many had words to come."""
        n_cut = int((rows & ~self.done).sum())
        self.done |= rows
        return n_cut


class TextWriter:
    """Lets every row write what it will, until the end token or the last of its words.

    Parameters
    ----------
    tokenizer
        A tokenizer of transformers.
    n_rows, n_words, end, device
        As in :class:`WordWriter`.
    n_tokens
        Tokens that a row has at most.
    """

    def __init__(self, tokenizer, n_rows: int, n_words: int, n_tokens: int, end: int, device: torch.device):
        import torch

        self._tokenizer, self._n_words, self._end, self._step = tokenizer, n_words, end, 0
        self._tokens = torch.full((n_rows, n_tokens), end, device=device)
        self._row = torch.arange(n_rows, device=device)
        self.done = torch.zeros(n_rows, dtype=torch.bool, device=device)
        self._next_look = n_words + 1

    def forbid(self, logits: torch.Tensor) -> None:
        """Nothing is forbidden."""

    def advance(self, tokens: torch.Tensor) -> None:
        """Take in the next token of every row; rows that are done take in nothing."""
        import torch

        self._tokens[self._row, self._step] = torch.where(self.done, self._end, tokens)
        self._step += 1
        self.done |= tokens == self._end
        if self._step >= self._next_look:
            self._look()

    def stop(self, rows: torch.Tensor) -> int:
        """End rows (a mask) where they are; returns how many had words to come."""
        self._look()
        n_cut = int((rows & ~self.done).sum())
        self.done |= rows
        return n_cut

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only; what the others have written stays."""
        self._row, self.done = self._row[rows], self.done[rows]

    def finish(self) -> list[list[int]]:
        """Token ids of all rows, up to the end token."""
        return [row[: row.index(self._end)] if self._end in row else row for row in self._tokens.tolist()]

    def _look(self) -> None:
        """End rows in which a word more than wanted has begun.

        A word has a token at least, which says when the next row can be so far.
        """
        rows = (~self.done).nonzero()[:, 0]
        if not len(rows):
            return
        texts = as_texts(self._tokenizer, self._tokens[self._row[rows], : self._step].tolist())
        n = [len(text.split()) for text in texts]
        self.done[rows] = self.done.new_tensor([has > self._n_words for has in n])
        most = max((has for has in n if has <= self._n_words), default=self._n_words)
        self._next_look = self._step + max(self._n_words + 1 - most, self._step // 16)


def as_texts(tokenizer, ids: Sequence[Sequence[int]]) -> list[str]:
    """Texts of token ids; special tokens are shown, so that nobody takes an unknown word for none."""
    return tokenizer.batch_decode(ids, skip_special_tokens=False, clean_up_tokenization_spaces=False)
