"""Sentences as people and foreign tokenizers read them: from gene indices to words, and back."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np

from tcellmil._checks import check_choice, some

Case = Literal["keep", "upper"]
ROWS = 4096  # of text that is made at a time
PUNCTUATION = ".,"


@dataclass(frozen=True)
class Parsed:
    """Sentences as they were read.

    Parameters
    ----------
    ids
        Index of each word that is known, in order, ``(n_sentences, most words)``, int32, -1 after the last.
    n_words
        Words of each sentence, known or not.
    n_unknown
        Those that are not in the vocabulary.
    n_repeated
        Those that name a gene that the sentence has named before.
    """

    ids: np.ndarray
    n_words: np.ndarray
    n_unknown: np.ndarray
    n_repeated: np.ndarray


def words_of(names: Iterable[str], case: Case = "keep") -> list[str]:
    """Return the word of each gene: its name, which has to be one word and that of no other gene.

    Parameters
    ----------
    names
        Names of the genes.
    case
        ``"keep"``: words are the names. ``"upper"``: in capitals, as released C2S models write them.

    Returns
    -------
    A word for each gene.

    Raises
    ------
    ValueError
        If a name is empty or holds a blank, or two genes have the same word; both are named.

    Examples
    --------
    >>> from tcellmil.c2s import words_of
    >>> words_of(["Actb", "HLA-A"], case="upper")
    ['ACTB', 'HLA-A']
    """
    check_choice(case, get_args(Case), "case")
    names = [str(name) for name in names]
    broken = [name for name in names if name.split() != [name]]
    if broken:
        raise ValueError(
            f"{len(broken)} names of genes are empty or hold blanks, so that they are not one word: {some(broken)}; "
            "rename these genes, for example with adata.var_names.str.replace(' ', '-')"
        )
    words = [name.upper() for name in names] if case == "upper" else names
    first: dict[str, int] = {}
    for i, word in enumerate(words):
        j = first.setdefault(word, i)
        if i != j:
            _raise_same_word(names, words, j, i)
    return words


def sentence_text(ids: np.ndarray, words: Sequence[str]) -> list[str]:
    """Write sentences as text: words with a blank between them.

    Parameters
    ----------
    ids
        Indices of words, ``(n_sentences, n_genes)``; entries of -1 are left out.
    words
        The vocabulary.

    Returns
    -------
    A text for each sentence, ``""`` for one without words. A hundred thousand of 200 words take about a second.

    Raises
    ------
    ValueError
        If ``ids`` are not two-dimensional whole numbers, or point outside the vocabulary.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.c2s import sentence_text
    >>> sentence_text(np.array([[2, 0], [1, -1]]), ["CD3D", "LYZ", "IL7R"])
    ['IL7R CD3D', 'LYZ']
    """
    ids = checked_ids(ids, len(words))
    vocabulary = np.array([*map(str, words), ""], dtype=object)
    texts: list[str] = []
    for start in range(0, len(ids), ROWS):
        part = ids[start : start + ROWS]
        whole = (part >= 0).all(axis=1)
        rows = vocabulary[part].tolist()
        texts += [" ".join(row if full else filter(None, row)) for row, full in zip(rows, whole, strict=True)]
    return texts


def read_sentences(texts: Iterable[str], words: Sequence[str]) -> Parsed:
    """Read sentences: words between blanks, each looked up in the vocabulary.

    A full stop or a comma at the end of a word is no part of it, unless the vocabulary has the word so. Words that are
    not in the vocabulary are counted and left out, so that they take no place in the order of the genes. Capitals
    matter.

    Parameters
    ----------
    texts
        A text for each cell.
    words
        The vocabulary, such as that of :func:`words_of`.

    Returns
    -------
    What was read.

    Raises
    ------
    TypeError
        If a sentence is no text.
    ValueError
        If a word is in the vocabulary twice.

    Examples
    --------
    >>> from tcellmil.c2s import read_sentences
    >>> parsed = read_sentences(["IL7R nonsense CD3D IL7R."], ["CD3D", "LYZ", "IL7R"])
    >>> parsed.ids.tolist(), parsed.n_unknown.tolist(), parsed.n_repeated.tolist()
    ([[2, 0, 2]], [1], [1])
    """
    if isinstance(texts, str):
        raise TypeError("texts must be several sentences, got one text; put it into a list: [text]")
    index = {word: i for i, word in enumerate(words_of(words))}
    rows, counts = [], []
    for number, text in enumerate(texts):
        if not isinstance(text, str):
            raise TypeError(f"sentence {number} is {type(text).__name__}, not text: {text!r}")
        found = [index.get(word, -1) for word in text.split()]
        if -1 in found:
            found = [_index_of(word, index) for word in text.split() if word.strip(PUNCTUATION)]
        known = [i for i in found if i >= 0]
        rows.append(known)
        counts.append((len(found), len(found) - len(known), len(known) - len(set(known))))
    ids = np.full((len(rows), max(map(len, rows), default=0)), -1, dtype=np.int32)
    for number, row in enumerate(rows):
        ids[number, : len(row)] = row
    n_words, n_unknown, n_repeated = np.array(counts, dtype=np.int64).reshape(-1, 3).T
    return Parsed(ids, n_words, n_unknown, n_repeated)


def count_repeated(ids: np.ndarray) -> np.ndarray:
    """How many entries of each row are those of a gene that the row has before, ``(n_sentences,)``."""
    ordered = np.sort(ids, axis=1)
    return ((ordered[:, 1:] == ordered[:, :-1]) & (ordered[:, 1:] >= 0)).sum(axis=1)


def checked_ids(ids: np.ndarray, n_words: int) -> np.ndarray:
    """Return sentences as an array of whole numbers, or raise a ValueError where they do not fit the vocabulary."""
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise ValueError(
            f"sentences must be whole numbers, cells x genes, got {ids.dtype} of shape {ids.shape}; they are the "
            "indices of words, -1 after the last"
        )
    if ids.size and not (-1 <= ids.min() and ids.max() < n_words):
        raise ValueError(
            f"sentences have indices from {ids.min()} to {ids.max()}, but the vocabulary has {n_words:,} words: they "
            "are of another vocabulary"
        )
    return ids


def _index_of(word: str, index: dict[str, int]) -> int:
    i = index.get(word, -1)
    return i if i >= 0 else index.get(word.rstrip(PUNCTUATION), -1)


def _raise_same_word(names: list[str], words: list[str], i: int, j: int) -> None:
    n = len(words) - len(set(words))
    if names[i] == names[j]:
        raise ValueError(
            f"genes {i} and {j} have the same name {names[i]!r} ({n} such genes in all), so a sentence could not be "
            "read back; make names unique, or keep one of these genes"
        )
    raise ValueError(
        f"genes {names[i]!r} and {names[j]!r} would be the same word {words[i]!r} ({n} such genes in all); keep names "
        "as they are with case='keep', or keep the genes of one species"
    )
