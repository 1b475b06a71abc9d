"""What a tokenizer made for an AnnData has to know, and how long its texts become."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pandas as pd

from tcellmil.c2s import Task
from tcellmil.c2s._tasks._task import GENE_SET

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
    n_genes, n_in_set
        Genes of the longest sentence, and of the largest gene set.
    n_cells
        Most cells of a prompt.
    """

    wordings: list[str]
    values: dict[str, list[str]]
    n_genes: int
    n_in_set: int
    n_cells: int

    def all(self) -> Iterator[str]:
        """Every text."""
        yield from self.wordings
        yield from (text for texts in self.values.values() for text in texts)
        yield from map(str, range(1, max(self.n_genes, self.n_in_set, self.n_cells) + 1))

    def longest(self, name: str) -> int:
        """Words of the longest value of a field."""
        return max((len(text.split()) for text in self.values.get(name, [])), default=1)


def texts_of(
    tasks: Sequence[Task],
    obs: pd.DataFrame,
    columns: Mapping[str, str] | None,
    texts: Mapping[str, str] | None,
    n_genes: int,
    gene_sets: pd.DataFrame | None,
) -> Said:
    """What tasks say about these cells; fields that are no column and no text are left to :func:`build_examples`.

    ``gene_sets`` are those of :func:`check_gene_sets`.
    """
    columns, texts = dict(columns or {}), dict(texts or {})
    values: dict[str, list[str]] = {name: [text] for name, text in texts.items()}
    for task in tasks:
        for name in (*task.reads, *task.may_read):
            column = columns.get(name, name)
            if name not in values and column in obs:
                values[name] = [str(value) for value in obs[column].dropna().unique()]
    n_in_set = 0
    if gene_sets is not None:
        values[GENE_SET] = [str(name) for name in gene_sets["source"].unique()]
        n_in_set = int(gene_sets["source"].value_counts().max())
    wordings = [text for task in tasks for text in task.texts()]
    return Said(wordings, values, n_genes, n_in_set, max(task.n_cells for task in tasks))


def context_of(tasks: Sequence[Task], said: Said) -> int:
    """Tokens of the longest example, where a word is a token."""
    longest = 0
    for task in tasks:
        wording = sum(len(text.split()) for text in task.texts())  # of all wordings together: more than one needs
        fields = sum(said.longest(name) * task.n_cells for name in (*task.reads, *task.may_read))
        n_genes = said.n_in_set if task.unit == "gene set" else task.n_cells * said.n_genes
        longest = max(longest, n_genes + wording + fields + 2)
    return STEP * -(-longest // STEP)
