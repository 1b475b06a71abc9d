"""Tokens of sentences, from a table of the tokens of each gene."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

import numba
import numpy as np

from tcellmil._checks import some
from tcellmil._log import warn
from tcellmil.c2s._tasks._examples import text_of
from tcellmil.c2s._tasks._template import Piece

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: What stands in front of a text of which the tokens in the middle of a text are wanted.
_ANCHOR = "A"
#: Words of a sentence with which the table is made and checked.
_CHECKED = 64
#: Every so many texts one is tokenised as a whole too, and compared.
_EVERY = 256
#: Most texts whose tokens are kept.
_KEPT = 1 << 16
#: Sentences that the tokenizer gets at once.
_CHUNK = 1024
#: Token ids and nothing else: the other lists take the tokenizer most of its time.
_ONLY_IDS = {
    "add_special_tokens": False,
    "return_attention_mask": False,
    "return_token_type_ids": False,
    "verbose": False,
}


class TokenIds(NamedTuple):
    """Tokens of texts, one behind the other: those of text ``i`` are ``tokens[starts[i]:starts[i + 1]]``."""

    tokens: np.ndarray
    starts: np.ndarray


class GeneTable:
    """Tokens of each gene, behind a blank and at the beginning of a text: sentences become tokens by a gather.

    A tokenizer that splits text at blanks spells a gene always in the same way. Whether it does is checked once for
    every gene, when the table is made; for the texts around sentences when one is met for the first time; and now and
    then after that. Where it does not, because it merges across blanks, the table warns and leaves everything to the
    tokenizer: the tokens are the tokenizer's own in either case.

    Parameters
    ----------
    tokenizer
        A tokenizer of transformers.
    words
        Words of the genes, without blanks.

    Attributes
    ----------
    words
        ``(n_words,)`` array of the words.
    exact
        Whether tokens come from the table.
    starts, tokens
        Tokens of the words: of word ``i`` behind a blank ``tokens[starts[i]:starts[i + 1]]``, at the beginning of a
        text those of ``n_words + i``.
    unknown
        ``(n_words,)`` bool: words of which the tokenizer knows a part only, or nothing.
    begin, end
        Tokens that it puts in front of a text, and the one that ends a text.

    Raises
    ------
    ValueError
        If a word is empty, holds a blank or comes twice, the tokenizer has no end token, or it knows none of the words.

    Warns
    -----
    UserWarning
        If some words are not known, or the table cannot be used.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from transformers import PreTrainedTokenizerFast
    >>> model = models.WordLevel({"<eos>": 0, "<unk>": 1, "HLA-A": 2, "CD3D": 3}, unk_token="<unk>")
    >>> backend = Tokenizer(model)
    >>> backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", unk_token="<unk>")
    >>> table = GeneTable(tokenizer, ["CD3D", "HLA-A"])
    >>> encode_sentences(np.array([[1, 0], [0, -1]]), table)
    TokenIds(tokens=array([2, 3, 3], dtype=int32), starts=array([0, 2, 3]))
    """

    def __init__(self, tokenizer: PreTrainedTokenizerBase, words: Sequence[str]) -> None:
        self.tokenizer = tokenizer
        self.words = _checked_words(words)
        if tokenizer.eos_token_id is None:
            raise ValueError(
                "the tokenizer has no end token, so that an answer would never end; set tokenizer.eos_token to a token "
                "of its vocabulary"
            )
        self.end = int(tokenizer.eos_token_id)
        self.begin = self._begin()
        self.exact = True
        self._texts: dict[tuple[str, bool], np.ndarray | None] = {}
        self._n_texts = 0
        behind = self._behind_blanks()
        at_start = self.whole(list(self.words))
        if behind is None:
            self._leave_to_tokenizer("merges a gene with what stands before the blank in front of it")
            behind = [np.empty(0, dtype=np.int32) for _ in self.words]
        spelled = [*behind, *at_start]
        self.starts = np.concatenate([[0], np.cumsum([len(ids) for ids in spelled])])
        self.tokens = np.concatenate(spelled)
        self.unknown = self._unknown(at_start)
        self._check_all_words()

    def __len__(self) -> int:
        return len(self.words)

    def whole(self, texts: list[str]) -> list[np.ndarray]:
        """Tokens of whole texts from the tokenizer itself, without special ones."""
        if not texts:
            return []
        return [np.asarray(row, dtype=np.int32) for row in self.tokenizer(texts, **_ONLY_IDS)["input_ids"]]

    def text(self, pieces: Sequence[Piece]) -> np.ndarray:
        """Tokens of a text of numbered pieces, as the tokenizer gives them for the whole of it."""
        if self.exact:
            n_known, self._n_texts = len(self._texts), self._n_texts + 1
            tokens = self._joined(pieces)
            if tokens is not None and len(self._texts) == n_known and self._n_texts % _EVERY:
                return tokens
            [expected] = self.whole([text_of(pieces, self.words)])
            if tokens is None or not np.array_equal(tokens, expected):
                self._leave_to_tokenizer("spells a text around a sentence in another way than by itself")
            return expected
        return self.whole([text_of(pieces, self.words)])[0]

    def check(self, ids: np.ndarray) -> bool:
        """Whether these sentences have the tokens that the tokenizer gives; if not, the table is not used any more."""
        if self.exact:
            tokens, starts = _gathered(ids, self)
            expected = self.whole(_sentences(ids, self.words))
            same = np.array_equal(starts[1:], np.cumsum([len(row) for row in expected]))
            if not same or not np.array_equal(tokens, np.concatenate([np.empty(0, dtype=np.int32), *expected])):
                self._leave_to_tokenizer("spells some genes otherwise when they stand in a sentence")
        return self.exact

    def _joined(self, pieces: Sequence[Piece]) -> np.ndarray | None:
        """Tokens of the pieces put together, ``None`` where one has letters of a text and of its neighbour."""
        parts = [np.empty(0, dtype=np.int32)]
        for i, piece in enumerate(pieces):
            if isinstance(piece, str):
                # The blank in front of a gene belongs to the gene.
                text = piece[:-1] if i + 1 < len(pieces) and piece.endswith(" ") else piece
                ids = self._text_tokens(text, i > 0)
                if ids is None:
                    return None
                parts.append(ids)
            else:
                at_start = not (i and pieces[i - 1].endswith(" "))
                genes = self.checked(piece, lowest=0)
                parts.append(_gather_one(genes, self.starts, self.tokens, len(self.words), at_start))
        return np.concatenate(parts)

    def checked(self, ids: np.ndarray, lowest: int = -1) -> np.ndarray:
        """Indices as the kernels take them, which trust them."""
        ids = np.asarray(ids)
        if ids.dtype.kind not in "iu":
            raise ValueError(f"ids must be integers, got {ids.dtype}")
        if ids.size and not (lowest <= ids.min() and ids.max() < len(self)):
            raise ValueError(
                f"ids hold {ids.min()} to {ids.max()}; the table has the words 0 to {len(self) - 1}, and -1 is no word"
            )
        return np.ascontiguousarray(ids, dtype=np.int32)

    def _text_tokens(self, text: str, behind_gene: bool) -> np.ndarray | None:
        key = (text, behind_gene)
        if key not in self._texts:
            if len(self._texts) >= _KEPT:
                self._texts.clear()
            spelled = self._spelled([_ANCHOR + text]) if behind_gene else self.whole([text])
            self._texts[key] = None if spelled is None else spelled[0]
        return self._texts[key]

    def _spelled(self, texts: list[str]) -> list[np.ndarray] | None:
        """Tokens of texts that begin with the anchor, without its own; ``None`` where one token has parts of both."""
        if not self.tokenizer.is_fast:
            return None
        encoded = self.tokenizer(texts, return_offsets_mapping=True, **_ONLY_IDS)
        found = []
        for ids, offsets in zip(encoded["input_ids"], encoded["offset_mapping"], strict=True):
            n_anchor = sum(start < len(_ANCHOR) for start, _ in offsets)
            if any(end > len(_ANCHOR) for _, end in offsets[:n_anchor]):
                return None
            found.append(np.asarray(ids[n_anchor:], dtype=np.int32))
        return found

    def _behind_blanks(self) -> list[np.ndarray] | None:
        """Tokens of every word with the blank in front of it; ``None`` where one token has parts of two words."""
        if not self.tokenizer.is_fast:
            return None
        parts = [self.words[start : start + _CHECKED] for start in range(0, len(self.words), _CHECKED)]
        texts = [" ".join([_ANCHOR, *part]) for part in parts]
        encoded = self.tokenizer(texts, return_offsets_mapping=True, **_ONLY_IDS)
        found = []
        for part, ids, offsets in zip(parts, encoded["input_ids"], encoded["offset_mapping"], strict=True):
            ends = np.cumsum([len(_ANCHOR), *(1 + len(word) for word in part)])
            start, end = np.array(offsets, dtype=np.int64).reshape(-1, 2).T
            word = np.searchsorted(ends, end)
            if (start < np.concatenate([[0], ends])[word]).any():
                return None
            of_words = np.searchsorted(word, np.arange(1, len(part) + 2))
            found += [np.array(ids[a:b], dtype=np.int32) for a, b in zip(of_words, of_words[1:], strict=False)]
        return found

    def _begin(self) -> np.ndarray:
        """Special tokens in front of a text."""
        [plain] = self.whole([_ANCHOR])
        ids = np.asarray(self.tokenizer([_ANCHOR], verbose=False)["input_ids"][0], dtype=np.int32)
        ends = np.arange(len(plain), len(ids) + 1)
        at = next((end for end in ends if np.array_equal(ids[end - len(plain) : end], plain)), len(plain))
        return ids[: at - len(plain)]

    def _unknown(self, spelled: list[np.ndarray]) -> np.ndarray:
        mark = self.tokenizer.unk_token_id
        lengths = np.array([len(ids) for ids in spelled])
        unknown = lengths == 0
        if mark is not None:
            unknown[np.repeat(np.arange(len(spelled)), lengths)[np.concatenate(spelled) == mark]] = True
        names = some(self.words[unknown])
        if unknown.all():
            raise ValueError(
                f"the tokenizer knows none of the {len(self.words)} genes, {names}; the model was made for other "
                "genes, or for names of another kind"
            )
        if unknown.any():
            n = f"{unknown.sum()} of {len(self.words)} genes"
            warn(f"the tokenizer does not know {n}, {names}; to it they are all one")
        return unknown

    def _check_all_words(self) -> None:
        """Check the table on sentences in which every word comes twice, once at least behind another."""
        order = np.random.default_rng(0).permutation(len(self.words)).astype(np.int32)
        for shift in (0, 1):
            rows = np.full((-(-len(order) // _CHECKED), _CHECKED), -1, dtype=np.int32)
            rows.ravel()[: len(order)] = np.roll(order, shift)
            self.check(rows)

    def _leave_to_tokenizer(self, fault: str) -> None:
        self.exact = False
        warn(f"the tokenizer {fault}, so it splits every text itself; that is right, and slow")


def encode_sentences(ids: np.ndarray, table: GeneTable) -> TokenIds:
    """Tokens of sentences, each a text of its own: those that the tokenizer gives for the words with blanks in between.

    Parameters
    ----------
    ids
        ``(n_cells, n_genes)`` integers: indices of the table's words, -1 where a cell has fewer genes.
    table
        Tokens of the words.

    Returns
    -------
    Tokens of all sentences, int32, and where each begins, ``(n_cells + 1,)``.

    Raises
    ------
    ValueError
        If ``ids`` are not such integers.

    Notes
    -----
    A gather: 100,000 sentences of 200 genes take well under a second, where the tokenizer takes a minute or so.

    Examples
    --------
    See :class:`GeneTable`.
    """
    if np.ndim(ids) != 2:
        raise ValueError(f"ids must be (n_cells, n_genes), got shape {np.shape(ids)}")
    ids = table.checked(ids)
    if table.exact:
        return _gathered(ids, table)
    rows = [np.empty(0, dtype=np.int32)]
    for start in range(0, len(ids), _CHUNK):
        rows += table.whole(_sentences(ids[start : start + _CHUNK], table.words))
    starts = np.cumsum([len(row) for row in rows])
    return TokenIds(np.concatenate(rows), starts)


def _gathered(ids: np.ndarray, table: GeneTable) -> TokenIds:
    starts = np.concatenate([[0], np.cumsum(_n_tokens(ids, table.starts, len(table)))])
    tokens = np.empty(starts[-1], dtype=np.int32)
    _gather(ids, table.starts, table.tokens, len(table), starts, tokens)
    return TokenIds(tokens, starts)


def _sentences(ids: np.ndarray, words: np.ndarray) -> list[str]:
    from tcellmil.c2s._text import sentence_text

    return list(sentence_text(ids, words))


def _checked_words(words: Sequence[str]) -> np.ndarray:
    words = np.array([str(word) for word in words], dtype=object)
    wrong = [word for word in words if word.split() != [word]]
    if wrong or not len(words):
        raise ValueError(f"words {some(wrong)} are empty or hold blanks, so that a sentence could not be read back")
    if len(set(words)) < len(words):
        raise ValueError(f"{len(words) - len(set(words))} words come twice; a word must be one gene")
    return words


@numba.njit(parallel=True, nogil=True, cache=True)
def _n_tokens(ids, starts, n_words):  # pragma: no cover
    """How many tokens each sentence has."""
    n = np.zeros(ids.shape[0], dtype=np.int64)
    for row in numba.prange(ids.shape[0]):
        first = n_words
        for gene in ids[row]:
            if gene >= 0:
                n[row] += starts[first + gene + 1] - starts[first + gene]
                first = 0
    return n


@numba.njit(parallel=True, nogil=True, cache=True)
def _gather(ids, starts, tokens, n_words, begins, result):  # pragma: no cover
    """Fill the last one; the first gene of a sentence is spelled as at the beginning of a text."""
    for row in numba.prange(ids.shape[0]):
        at, first = begins[row], n_words
        for gene in ids[row]:
            if gene >= 0:
                for place in range(starts[first + gene], starts[first + gene + 1]):
                    result[at] = tokens[place]
                    at += 1
                first = 0


@numba.njit(nogil=True, cache=True)
def _gather_one(genes, starts, tokens, n_words, at_start):  # pragma: no cover
    """Tokens of one sentence."""
    n, first = 0, n_words if at_start else 0
    for gene in genes:
        n += starts[first + gene + 1] - starts[first + gene]
        first = 0
    result = np.empty(n, dtype=np.int32)
    at, first = 0, n_words if at_start else 0
    for gene in genes:
        for place in range(starts[first + gene], starts[first + gene + 1]):
            result[at] = tokens[place]
            at += 1
        first = 0
    return result
