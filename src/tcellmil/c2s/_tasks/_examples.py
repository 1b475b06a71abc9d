"""Prompts and answers of a task for the cells of a table."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from tcellmil._checks import check_count, some
from tcellmil._log import warn
from tcellmil.c2s._tasks._fields import is_known, known_values
from tcellmil.c2s._tasks._task import CELL, CELLS, N_CELLS, N_GENES, Task, one_task
from tcellmil.c2s._tasks._template import GENE_COUNT, Field, GeneCount, Piece, fill, joined

DONOR, TISSUE = "donor", "tissue"


@dataclass(frozen=True)
class Example:
    """A prompt and its answer, as parts in their order.

    A part is text; the genes of a sentence, an array of indices from high to low; or ``GENE_COUNT``, where a text says
    how many genes the sentence has: that number is written when the sentence has its final length.

    Parameters
    ----------
    prompt, answer
        The parts; an answer that is to be found has none.
    n_genes
        Genes of the longest sentence.
    task
        Name of the task.
    rows
        Rows of the table, or of the gene sets, that the example is about.
    """

    prompt: list[Piece]
    answer: list[Piece]
    n_genes: int
    task: str
    rows: np.ndarray


def longest(pieces: Sequence[Piece]) -> int:
    """Genes of the longest sentence, 0 without one."""
    return max((len(piece) for piece in pieces if isinstance(piece, np.ndarray)), default=0)


def numbered(pieces: Sequence[Piece], n_genes: int) -> list[Piece]:
    """The pieces with the number of genes as text."""
    return joined(str(n_genes) if isinstance(piece, GeneCount) else piece for piece in pieces)


def text_of(pieces: Sequence[Piece], words: np.ndarray) -> str:
    """Numbered pieces as text; ``words`` is an array of objects."""
    return "".join(piece if isinstance(piece, str) else " ".join(words[piece]) for piece in pieces)


def example_text(example: Example, words: Sequence[str]) -> tuple[str, str]:
    """Prompt and answer as text.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.c2s import build_examples, example_text
    >>> table = pd.DataFrame({"cell_type": ["B cell"]})
    >>> [example] = build_examples("cell_type_annotation", table, [[1, 0, -1]], wording=0)
    >>> prompt, answer = example_text(example, ["CD74", "MS4A1"])
    >>> print(prompt)
    Label a cell by its 2 most expressed genes, highest first.
    Genes: MS4A1 CD74
    Cell type:
    >>> answer
    ' B cell'
    """
    words = np.asarray(words, dtype=object)
    return tuple(text_of(numbered(part, example.n_genes), words) for part in (example.prompt, example.answer))


def build_examples(
    task: Task | str,
    table: pd.DataFrame,
    ids: np.ndarray,
    *,
    columns: Mapping[str, str | None] | None = None,
    texts: Mapping[str, str] | None = None,
    n_cells: int | None = None,
    wording: int | None = None,
    answers: bool = True,
    seed: int = 0,
) -> list[Example]:
    """Examples of a task from the sentences of cells.

    A task of one cell has an example for each cell. One of several cells has as many as there are sets of ``n_cells``
    cells that share no cell, drawn at random; the cells of a set have one donor, one tissue where it is known, and one
    value of whatever else the prompt says of all of them.

    Parameters
    ----------
    task
        The task, or its name.
    table
        ``obs`` of the cells. A field of the task is read from the column of its name.
    ids
        ``(n_cells_of_table, n_genes)`` integers: genes of each cell, indices from high to low, -1 where it has fewer.
    columns
        Column of ``table`` to read a field from, where its name is another: ``{"cell_type": "louvain"}``. With ``None``
        an optional field is left out, although there is a column of its name.
    texts
        Text of a field that is the same for all cells: ``{"organism": "Homo sapiens", "abstract": "..."}``.
    n_cells
        Cells of a prompt, for a task of several cells; by default as the task says.
    wording
        Number of the wording to use; by default one is drawn for each example.
    answers
        Whether to make answers. Without, only the fields of the prompt are read, and of a task of one cell every cell
        has its example, in the order of the table.
    seed
        Of the draws. One seed gives the same examples.

    Raises
    ------
    KeyError
        If a column is missing that the task reads.
    TypeError
        If a column does not hold text.
    ValueError
        If the task is not known or is about gene sets, sentences do not fit the table or hold no gene, no example can
        be made, or without answers a cell has no value of a field.

    Warns
    -----
    UserWarning
        If cells are left out, because a value is missing or too few of a donor and tissue are there.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.c2s import build_examples
    >>> table = pd.DataFrame({"louvain": ["B cell", "NK cell"]})
    >>> ids = [[4, 2, 0], [1, 3, -1]]
    >>> for example in build_examples("cell_type_annotation", table, ids, columns={"cell_type": "louvain"}, wording=1):
    ...     print(example.n_genes, example.answer)
    3 [' B cell']
    2 [' NK cell']
    """
    task = one_task(task)
    if task.unit == "gene set":
        raise ValueError(f"task {task.name!r} is about gene sets; call gene_set_examples")
    ids, lengths = _checked(ids, table)
    several = task.unit == "cells"
    if n_cells is not None and (not several or check_count(n_cells, "n_cells") < 2):
        what = "needs at least 2 cells" if several else "is about one cell"
        raise ValueError(f"n_cells={n_cells} does not fit task {task.name!r}, which {what}")
    need = task.reads if answers else task.asks
    values = known_values(table, need, task.may_read, columns, texts, f"task {task.name!r}")
    if several:
        values |= known_values(
            table, (DONOR,), (TISSUE,), columns, texts, f"task {task.name!r}, which asks of a sample,"
        )
        need = dict.fromkeys([*need, DONOR])
    rows = _complete(values, need, task, table.index, strict=not answers)
    rng = np.random.default_rng(seed)
    sets = _sets(values, task, rows, n_cells or task.n_cells, rng) if several else rows[:, None]
    chosen = wordings_of(task, wording, len(sets), rng)
    sentences = [row[:length] for row, length in zip(ids, lengths, strict=True)]
    fields, examples = task.all_fields, []
    for which, cells in zip(chosen, sets, strict=True):
        of_cells = _cell_values(task, fields, values, sentences, cells)
        examples.append(example_of(task, which, of_cells, int(lengths[cells].max()), cells, answers))
    return examples


def prompt_with(task: Task | str, *, wording: int = 0, **values: str | int | np.ndarray | Sequence) -> Example:
    """A prompt with these values, whose answer is to be found.

    Parameters
    ----------
    task
        The task, or its name.
    wording
        Number of the wording.
    **values
        Value of each field: text; ``n_genes``; a sentence as ``cell`` or ``genes``, an array of indices. For ``cells``
        and the fields in ``{each:...}`` a list of them, one a cell.

    Raises
    ------
    KeyError
        If a field that the wording needs is not given.
    ValueError
        If there is no such wording.

    Examples
    --------
    >>> import numpy as np
    >>> example = prompt_with("cell_generation", n_genes=200, cell_type="B cell", organism="Homo sapiens")
    >>> print(example_text(example, [])[0])
    Write a cell of the given type as its 200 most expressed genes, highest first.
    Organism: Homo sapiens
    Cell type: B cell
    Genes:
    """
    task = one_task(task)
    [which] = wordings_of(task, wording, 1, np.random.default_rng(0))
    found: dict[Field, Piece | list[Piece] | None] = {}
    for name, value in values.items():
        if isinstance(value, list | tuple):
            found[Field(name, each=name != CELLS)] = _listed(task, value)
            found.setdefault(Field(N_CELLS), str(len(value)))
        else:
            found[Field(name)] = value if isinstance(value, str | np.ndarray) else str(value)
    n_genes = int(values.get(N_GENES, max(longest(_flat(value)) for value in [[], *found.values()])))
    if n_genes:
        found[Field(N_GENES)] = GENE_COUNT
    return example_of(task, which, found, n_genes, np.empty(0, dtype=np.int64), answers=False)


def wordings_of(task: Task, wording: int | None, n: int, rng: np.random.Generator) -> np.ndarray:
    """Number of the wording of each of ``n`` examples."""
    if wording is None:
        return rng.integers(len(task.wordings), size=n)
    if not 0 <= wording < len(task.wordings):
        raise ValueError(f"wording={wording!r}: task {task.name!r} has wordings 0 to {len(task.wordings) - 1}")
    return np.full(n, wording)


def example_of(
    task: Task, which: int, values: Mapping[Field, Piece | list[Piece]], n_genes: int, rows: np.ndarray, answers: bool
) -> Example:
    """The example with a wording, filled in."""
    answer = fill(task.answer, values) if answers else []
    return Example(fill(task.wordings[which], values), answer, n_genes, task.name, rows)


def _flat(value: Piece | list[Piece]) -> list[Piece]:
    return value if isinstance(value, list) else [value]


def _checked(ids: np.ndarray, table: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The sentences as int32, and how many genes each has."""
    ids = np.asarray(ids)
    if ids.ndim != 2 or ids.dtype.kind not in "iu" or len(ids) != len(table):
        raise ValueError(
            f"ids must be integers, a row for each of the {len(table)} rows of the table, got {ids.dtype} of shape "
            f"{ids.shape}"
        )
    real = ids >= 0
    lengths = real.sum(axis=1)
    if (real[:, 1:] & ~real[:, :-1]).any() or (ids < -1).any():
        raise ValueError("ids must be indices of genes, and behind them -1 to the end of the row")
    empty = np.flatnonzero(lengths == 0)
    if len(empty):
        raise ValueError(
            f"{len(empty)} cells have no gene in their sentence: {some(table.index[empty])}; leave them out"
        )
    return ids.astype(np.int32, copy=False), lengths


def _complete(
    values: Mapping[str, np.ndarray], need: Collection[str], task: Task, index: pd.Index, *, strict: bool
) -> np.ndarray:
    """Rows of which everything is known that must be."""
    known = np.ones(len(index), dtype=bool)
    for name in need:
        known &= is_known(values[name])
    n = int((~known).sum())
    if n and strict:
        raise ValueError(
            f"{n} cells have no {' or no '.join(need)}, which a prompt of task {task.name!r} needs: "
            f"{some(index[~known])}; fill it in, or leave these cells out"
        )
    if not known.any():
        raise ValueError(f"no cell has {' and '.join(need) or 'a sentence'}, which task {task.name!r} needs")
    if n:
        warn(f"{n} of {len(index)} cells have no {' or no '.join(need)} and are left out of task {task.name!r}")
    return np.flatnonzero(known)


def _sets(
    values: Mapping[str, np.ndarray], task: Task, rows: np.ndarray, n_cells: int, rng: np.random.Generator
) -> list[np.ndarray]:
    """Sets of rows that share no row, each of one donor, one tissue and one value of what is said of all its cells."""
    of_all = [field.name for field in task.all_fields if not field.each]
    keys = [name for name in dict.fromkeys([DONOR, TISSUE, *of_all]) if name in values]
    table = pd.DataFrame({name: np.where(is_known(values[name]), values[name], "")[rows] for name in keys})
    sets, n_few = [], 0
    for places in table.groupby(keys, sort=False).indices.values():
        drawn = rows[rng.permutation(places)]
        n_sets = len(drawn) // n_cells
        n_few += 0 if n_sets else len(drawn)
        sets.extend(drawn[: n_sets * n_cells].reshape(n_sets, n_cells))
    same = " and ".join(keys)
    if not sets:
        raise ValueError(
            f"task {task.name!r} puts {n_cells} cells of one {same} into a prompt, but no group has so many; "
            "lower n_cells"
        )
    if n_few:
        few = f"groups ({same}) of fewer than {n_cells}"
        warn(f"{n_few} of {len(rows)} cells are in {few}, left out of task {task.name!r}")
    return sets


def _cell_values(
    task: Task,
    fields: Sequence[Field],
    values: Mapping[str, np.ndarray],
    sentences: Sequence[np.ndarray],
    cells: np.ndarray,
) -> dict[Field, Piece | list[Piece]]:
    """Value of each field for the cells of one example, where it is known."""
    found: dict[Field, Piece | list[Piece]] = {}
    for field in fields:
        if field.name == CELL:
            found[field] = sentences[cells[0]]
        elif field.name == CELLS:
            found[field] = _listed(task, [sentences[cell] for cell in cells])
        elif field.name == N_GENES:
            found[field] = GENE_COUNT
        elif field.name == N_CELLS:
            found[field] = str(len(cells))
        elif field.name in values:
            known = values[field.name][cells if field.each else cells[:1]].tolist()
            if None not in known:
                found[field] = _listed(task, known) if field.each else known[0]
    return found


def _listed(task: Task, values: Sequence[Piece]) -> list[Piece]:
    """The value of each cell, as the task writes one of several."""
    pieces: list[Piece] = []
    for number, value in enumerate(values, start=1):
        before, behind = task.around(number)
        pieces += [before, value, behind]
    return pieces
