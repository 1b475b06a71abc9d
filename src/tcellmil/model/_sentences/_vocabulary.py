"""What a tokenizer made for an AnnData has to know, and how long its texts become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from tcellmil.c2s import Task

#: Contexts are whole multiples of this.
STEP = 64


@dataclass(frozen=True)
class Said:
    """Texts of tasks.

    Parameters
    ----------
    wordings
        What prompts and answers say besides their fields.
    values
        Texts of each field.
    numbers
        Numbers of genes and cells, as text.
    """

    wordings: list[str]
    values: dict[str, list[str]]
    numbers: list[str]

    def all(self) -> Iterator[str]:
        """Every text."""
        yield from self.wordings
        yield from (text for texts in self.values.values() for text in texts)
        yield from self.numbers

    def longest(self, name: str) -> int:
        """Words of the longest value of a field."""
        return max((len(text.split()) for text in self.values.get(name, [])), default=1)


def texts_of(
    tasks: Sequence[Task],
    obs: pd.DataFrame,
    columns: Mapping[str, str] | None,
    texts: Mapping[str, str] | None,
    n_genes: int,
) -> Said:
    """What tasks say about these cells; fields that are no column and no text are left to :func:`build_examples`."""
    columns, texts = dict(columns or {}), dict(texts or {})
    values: dict[str, list[str]] = {name: [text] for name, text in texts.items()}
    for task in tasks:
        for name in (*task.reads, *task.may_read):
            column = columns.get(name, name)
            if name not in values and column in obs:
                values[name] = [str(value) for value in obs[column].dropna().unique()]
    most = max(n_genes, *(task.n_cells for task in tasks))
    wordings = [text for task in tasks for text in task.texts()]
    return Said(wordings, values, [str(number) for number in range(1, most + 1)])


def context_of(tasks: Sequence[Task], said: Said, n_genes: int) -> int:
    """Tokens of the longest example, where a word is a token."""
    longest = 0
    for task in tasks:
        wording = sum(len(text.split()) for text in task.texts())  # of all wordings together: more than one needs
        fields = sum(said.longest(name) * task.n_cells for name in (*task.reads, *task.may_read))
        longest = max(longest, task.n_cells * n_genes + wording + fields + 2)
    return STEP * -(-longest // STEP)
