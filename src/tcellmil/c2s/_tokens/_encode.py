"""Examples as token ids: a prompt that is too long loses genes, an answer never loses a token."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from tcellmil._checks import check_count
from tcellmil._log import warn
from tcellmil.c2s._tasks._examples import Example, longest, numbered
from tcellmil.c2s._tasks._template import Piece
from tcellmil.c2s._tokens._gene_table import GeneTable
from tcellmil.c2s._training._token_rows import IGNORE


class Encoded(NamedTuple):
    """Tokens of prompt and answer, their labels, and how many genes the prompt has lost."""

    input_ids: np.ndarray
    labels: np.ndarray
    n_genes_cut: int


@dataclass(frozen=True)
class EncodedExamples:
    """Tokens of examples: a row each of ``input_ids`` and ``labels``, and how many prompts and genes were cut."""

    input_ids: list[np.ndarray]
    labels: list[np.ndarray]
    n_genes_cut: int
    n_prompts_cut: int


def encode_example(example: Example, table: GeneTable, context: int) -> Encoded:
    """Tokens of a prompt and its answer with the end token, at most ``context`` of them.

    A prompt that is too long loses genes from the end of its sentences, the longest first, and says the number that is
    left. The answer is whole, always. Prompt and answer become tokens apart from each other, as they are when the model
    is asked.

    Parameters
    ----------
    example
        Prompt and answer.
    table
        The tokenizer, with its tokens of the genes.
    context
        Tokens that the model takes.

    Returns
    -------
    ``input_ids`` and ``labels``, int32, of one length; labels are -100 on the prompt. And ``n_genes_cut``.

    Raises
    ------
    ValueError
        If the context is too short, even with one gene of every cell.

    Examples
    --------
    See :func:`encode_examples`.
    """
    context = check_count(context, "context")
    answer = np.append(table.text(numbered(example.answer, example.n_genes)), np.int32(table.end))
    prompt, n_cut = encode_prompt(example, table, context, reserved=len(answer))
    labels = np.concatenate([np.full(len(prompt), IGNORE, dtype=np.int32), answer])
    return Encoded(np.concatenate([prompt, answer]), labels, n_cut)


def encode_prompt(example: Example, table: GeneTable, context: int, *, reserved: int = 0) -> tuple[np.ndarray, int]:
    """Tokens of a prompt, with room for ``reserved`` tokens of an answer, and how many genes were cut.

    Raises
    ------
    ValueError
        If the context is too short, even with one gene of every cell.
    """
    room = check_count(context, "context") - reserved
    most = longest(example.prompt)

    def tokens(n_genes: int) -> np.ndarray:
        return _prompt(example, table, n_genes)

    prompt = tokens(most)
    if len(prompt) <= room:
        return prompt, 0
    shortest = tokens(1) if most else prompt
    if len(shortest) > room:
        of_one = ", with one gene of every cell," if most else ""
        fewer = "fewer cells in a prompt" if most else "fewer genes in a sentence, or fewer cells in a prompt"
        raise ValueError(
            f"the context of {context} tokens is too short for task {example.task!r}: its prompt has {len(shortest)} "
            f"tokens{of_one} and its answer {reserved}. Use a model with a longer context, or {fewer}"
        )
    n_genes, prompt = _most_that_fit(tokens, shortest, most, room)
    return prompt, sum(max(0, len(piece) - n_genes) for piece in example.prompt if isinstance(piece, np.ndarray))


def fits(example: Example, table: GeneTable, context: int) -> bool:
    """Whether a context takes the answer behind a prompt with one gene of every cell."""
    answer = table.text(numbered(example.answer, example.n_genes))
    return len(_prompt(example, table, 1)) + len(answer) + 1 <= context


def encode_examples(examples: Sequence[Example], table: GeneTable, context: int) -> EncodedExamples:
    r"""Tokens of examples, as :func:`encode_example` gives them.

    Warns
    -----
    UserWarning
        If prompts were cut: how many, and how many genes they have lost.

    Examples
    --------
    >>> import pandas as pd
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from transformers import PreTrainedTokenizerFast
    >>> from tcellmil.c2s import GeneTable, Task, build_examples, encode_examples
    >>> words = ["<eos>", "<unk>", "CD74", "MS4A1", "Genes:", "Type:", "B", "cell"]
    >>> model = models.WordLevel({word: i for i, word in enumerate(words)}, unk_token="<unk>")
    >>> backend = Tokenizer(model)
    >>> backend.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, eos_token="<eos>", unk_token="<unk>")
    >>> task = Task("type", ["Genes: {cell}\nType:"], " {cell_type}")
    >>> examples = build_examples(task, pd.DataFrame({"cell_type": ["B cell"]}), [[1, 0]])
    >>> rows = encode_examples(examples, GeneTable(tokenizer, words[2:4]), context=10)
    >>> rows.input_ids[0].tolist(), rows.labels[0].tolist(), rows.n_genes_cut
    ([4, 3, 2, 5, 6, 7, 0], [-100, -100, -100, -100, 6, 7, 0], 0)
    """
    encoded = [encode_example(example, table, context) for example in examples]
    cut = [row.n_genes_cut for row in encoded if row.n_genes_cut]
    if cut:
        warn(
            f"{len(cut)} of {len(encoded)} prompts are longer than the context of {context} tokens: they lose "
            f"{sum(cut):,} genes from the ends of their sentences, up to {max(cut)} a prompt"
        )
    return EncodedExamples([row.input_ids for row in encoded], [row.labels for row in encoded], sum(cut), len(cut))


def _prompt(example: Example, table: GeneTable, n_genes: int) -> np.ndarray:
    """Tokens of a prompt with at most so many genes in a sentence."""
    said = n_genes if longest(example.prompt) else example.n_genes
    return np.concatenate([table.begin, table.text(numbered(_cut(example.prompt, n_genes), said))])


def _cut(pieces: Sequence[Piece], n_genes: int) -> list[Piece]:
    """The pieces with at most so many genes in a sentence."""
    return [piece[:n_genes] if isinstance(piece, np.ndarray) else piece for piece in pieces]


def _most_that_fit(
    tokens: Callable[[int], np.ndarray], shortest: np.ndarray, most: int, room: int
) -> tuple[int, np.ndarray]:
    """How many genes a sentence may have, and the prompt that they make; ``most`` are too many, one is not."""
    fits, prompt = 1, shortest
    while most - fits > 1:
        middle = (fits + most) // 2
        candidate = tokens(middle)
        if len(candidate) <= room:
            fits, prompt = middle, candidate
        else:
            most = middle
    return fits, prompt
