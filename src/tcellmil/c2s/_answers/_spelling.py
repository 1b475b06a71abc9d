"""How a tokenizer spells answers, and the words of a vocabulary as a tree of tokens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from tcellmil._checks import some
from tcellmil._log import warn


@dataclass(frozen=True)
class Spelled:
    """Token ids of several texts, one behind the other, and how many each has."""

    ids: np.ndarray
    lengths: np.ndarray

    @classmethod
    def of(cls, rows: Sequence[Sequence[int]]) -> Spelled:
        """Put rows behind each other."""
        lengths = np.fromiter(map(len, rows), dtype=np.int64, count=len(rows))
        return cls(np.fromiter(chain.from_iterable(rows), dtype=np.int64, count=lengths.sum()), lengths)

    def rows(self) -> list[np.ndarray]:
        """Token ids of each text."""
        return np.split(self.ids, self.lengths.cumsum()[:-1])

    def have(self, token: int) -> np.ndarray:
        """Whether each text has this token."""
        which = np.repeat(np.arange(len(self.lengths)), self.lengths)
        return np.bincount(which[self.ids == token], minlength=len(self.lengths)) > 0

    def of_texts(self, texts: np.ndarray) -> Spelled:
        """Those of some texts (a mask)."""
        return Spelled(self.ids[np.repeat(texts, self.lengths)], self.lengths[texts])

    def __add__(self, other: Spelled) -> Spelled:
        return Spelled(*(np.concatenate(p) for p in ((self.ids, other.ids), (self.lengths, other.lengths))))


def spell(tokenizer, texts: Sequence[str], *, after_blank: bool = False) -> Spelled:
    """Token ids of each text, as at the start of a text or as behind a blank; special tokens are not added."""
    if not after_blank:
        return Spelled.of(_ids(tokenizer, list(texts)))
    # Behind one of the texts: a tokenizer without a token of the unknown takes no other.
    (head,) = _ids(tokenizer, [texts[0]])
    whole = _ids(tokenizer, [f"{texts[0]} {text}" for text in texts])
    merged = [text for text, ids in zip(texts, whole, strict=True) if ids[: len(head)] != head]
    if merged:
        raise ValueError(
            f"the tokenizer merges letters across a blank, at {some(merged)}: what follows a blank has no spelling of "
            "its own; use a tokenizer that splits at blanks"
        )
    return Spelled.of([ids[len(head) :] for ids in whole])


def _ids(tokenizer, texts: list[str]) -> list[list[int]]:
    only_ids = {"add_special_tokens": False, "return_attention_mask": False, "return_token_type_ids": False}
    return tokenizer(texts, **only_ids)["input_ids"]


@dataclass(frozen=True)
class WordTrie:
    """Spellings of words as a tree: a word is a path of tokens from a root.

    Node 0 is the root of words behind a blank; the first word of an answer may be spelled in another way, from a root
    of its own. Edges are sorted by ``node * n_tokens + token``.

    Parameters
    ----------
    n_tokens
        Tokens of the model.
    edges
        ``(n_edges,)`` int64: node and token of each edge, as one number.
    child
        ``(n_edges,)``: node that each edge leads to.
    start
        ``(n_nodes + 1,)``: the edges of a node are ``start[node]`` to ``start[node + 1]``.
    word
        ``(n_nodes,)``: the word that ends at a node, or -1.
    n_below
        ``(n_nodes + 1,)``: words that end at a node or below it; the last entry is that of no node.
    path
        ``(n_words, depth)``: nodes of each word behind a blank, without the root, padded with ``n_nodes``.
    first
        Root of the first word.
    depth
        Tokens of the longest word, wherever it stands.
    index
        ``(n_words,)``: place of each word among the words that were given.
    """

    n_tokens: int
    edges: np.ndarray
    child: np.ndarray
    start: np.ndarray
    word: np.ndarray
    n_below: np.ndarray
    path: np.ndarray
    first: int
    depth: int
    index: np.ndarray

    @property
    def lengths(self) -> np.ndarray:
        """Tokens of each word behind a blank."""
        return (self.path < len(self.word)).sum(axis=1)

    @classmethod
    def of(cls, tokenizer, words: Sequence[str], n_tokens: int, end: int, *, after_blank: bool = False) -> WordTrie:
        """The tree of words that the tokenizer knows.

        Parameters
        ----------
        tokenizer
            A tokenizer of transformers.
        words
            Different words without blanks.
        n_tokens
            Tokens of the model.
        end
            Id of the end token.
        after_blank
            Whether the first word of an answer, too, is spelled as behind a blank.

        Raises
        ------
        ValueError
            If the tokenizer knows none of the words, or spells words so that they can not be told apart.
        """
        following = spell(tokenizer, words, after_blank=True)
        first = following if after_blank else spell(tokenizer, words)
        known = _known(tokenizer, words, first, following)
        names = [word for word, is_known in zip(words, known, strict=True) if is_known]
        first, following = first.of_texts(known), following.of_texts(known)
        alike = np.array_equal(first.lengths, following.lengths) and np.array_equal(first.ids, following.ids)
        spelled = following if alike else following + first
        _check_spelled(spelled, names, n_tokens, end)
        root = np.arange(len(spelled.lengths)) // len(names)
        nodes, edges, child = _tree(spelled, root, n_tokens)
        n_nodes = 1 + child[-1]
        last = nodes[np.arange(len(nodes)), spelled.lengths]
        _check_told_apart(last, names)
        word = np.full(n_nodes, -1)
        word[last] = np.arange(len(last)) % len(names)
        _check_ends(edges, word, n_tokens, names)
        path = nodes[: len(names), 1:]
        return cls(
            n_tokens=n_tokens,
            edges=edges,
            child=child,
            start=np.searchsorted(edges, np.arange(n_nodes + 1) * n_tokens),
            word=word,
            n_below=np.bincount(nodes[nodes >= 0], minlength=n_nodes + 1),
            path=np.where(path < 0, n_nodes, path),
            first=0 if alike else 1,
            depth=nodes.shape[1] - 1,
            index=np.flatnonzero(known),
        )


def _tree(spelled: Spelled, root: np.ndarray, n_tokens: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Nodes of each path ``(path, depth + 1)``, -1 behind its end; and edges with the nodes they lead to."""
    lengths = spelled.lengths
    tokens = np.full((len(lengths), lengths.max()), -1)
    tokens[np.arange(lengths.max()) < lengths[:, None]] = spelled.ids
    nodes = np.full((len(lengths), lengths.max() + 1), -1)
    nodes[:, 0], n_nodes = root, root.max() + 1
    edges, child = [], []
    for depth in range(lengths.max()):
        rows = np.flatnonzero(lengths > depth)
        edge, of_row = np.unique(nodes[rows, depth] * n_tokens + tokens[rows, depth], return_inverse=True)
        nodes[rows, depth + 1] = n_nodes + of_row
        edges.append(edge)
        child.append(n_nodes + np.arange(len(edge)))
        n_nodes += len(edge)
    return nodes, np.concatenate(edges), np.concatenate(child)


def _known(tokenizer, words: Sequence[str], *spellings: Spelled) -> np.ndarray:
    """Whether each word is spelled without the token of the unknown; a warning tells how many are not."""
    unknown = tokenizer.unk_token_id
    known = np.ones(len(words), dtype=bool)
    for spelled in spellings:
        known &= spelled.lengths > 0
        if unknown is not None:
            known &= ~spelled.have(unknown)
    if not known.any():
        raise ValueError(
            f"the tokenizer knows none of the {len(words)} words, such as {some(words)}; the model was made for other "
            "genes, or for names of another kind"
        )
    if not known.all():
        strange = [word for word, is_known in zip(words, known, strict=True) if not is_known]
        n = f"{len(strange)} of {len(words)} words"
        warn(f"the tokenizer does not know {n}, which are never written: {some(strange)}")
    return known


def _check_spelled(spelled: Spelled, names: list[str], n_tokens: int, end: int) -> None:
    """Raise where a spelling holds the end token, or a token that the model does not have."""
    ends = np.flatnonzero(spelled.have(end))
    if len(ends):
        name = names[ends[0] % len(names)]
        raise ValueError(f"the spelling of {name!r} holds the end token, so that it can not be written; leave it out")
    if spelled.ids.max() >= n_tokens:
        name = names[np.flatnonzero(spelled.have(spelled.ids.max()))[0] % len(names)]
        raise ValueError(
            f"the tokenizer spells {name!r} with token id {spelled.ids.max()}, but the model has the ids 0 to "
            f"{n_tokens - 1}; use the tokenizer that belongs to the model"
        )


def _check_told_apart(last: np.ndarray, names: list[str]) -> None:
    """Raise where two words end at one node."""
    node, n = np.unique(last, return_counts=True)
    if (n > 1).any():
        twins = [names[i % len(names)] for i in np.flatnonzero(last == node[n > 1][0])]
        raise ValueError(
            f"the tokenizer spells {some(twins)} alike, so they can not be told apart; leave out all but one, or use a "
            "tokenizer that keeps case and every sign"
        )


def _check_ends(edges: np.ndarray, word: np.ndarray, n_tokens: int, names: list[str]) -> None:
    """Raise where a token may both go on with a word and begin the next one."""
    node, token = np.divmod(edges, n_tokens)
    unclear = (word[node] >= 0) & np.isin(token, token[node == 0])
    if unclear.any():
        name = names[word[node[unclear][0]]]
        raise ValueError(
            f"the tokenizer does not mark where a word begins: behind {name!r} one token may go on with the word or "
            "begin another; use a tokenizer that spells words behind a blank in a way of their own"
        )
