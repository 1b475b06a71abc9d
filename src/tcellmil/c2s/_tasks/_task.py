"""What a language model can be asked about cells and gene sets: tasks as data."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from difflib import get_close_matches
from functools import cache
from importlib.resources import files
from typing import Literal

import pandas as pd

from tcellmil._checks import check_choice, check_count, choices
from tcellmil.c2s._tasks._template import Field, fields_of, fill, literal_texts

Prompts = Literal["tcellmil", "cell2sentence"]

#: Tasks of this package, in the order in which they are listed; each has a file in the folder ``prompts``.
NAMES = (
    *("cell_language_modeling", "cell_type_annotation", "cell_generation", "sample_language_modeling"),
    *("tissue_annotation", "sample_cell_types", "sample_generation_by_tissue", "sample_generation_by_cell_types"),
    *("sample_generation_by_abstract", "abstract_of_cells", "gene_set_enumeration", "gene_set_naming"),
)
#: Fields that are made from the sentences.
CELL, CELLS, N_GENES, N_CELLS = "cell", "cells", "n_genes", "n_cells"
#: Fields of a gene set.
GENES, GENE_SET = "genes", "gene_set"
MADE = {CELL, CELLS, N_GENES, N_CELLS, GENES}
#: What stands in the item of one of several cells.
NUMBER, VALUE = "{number}", "{value}"

_registered: dict[str, Task] = {}


@dataclass(frozen=True)
class Task:
    r"""A question to a language model, and the answer it should give.

    Wordings and answer are text with fields in braces. Four are made from the sentences: ``{cell}``, the sentence of a
    cell; ``{cells}``, those of several cells; ``{n_genes}``, how many genes the sentence has (of several, the longest);
    ``{n_cells}``. Of a gene set there are ``{gene_set}``, its name, and ``{genes}``. Every other field is a column of
    ``obs``, or a text that holds for all cells. With several cells ``{each:cell_type}`` lists the column's value for
    every one, and of a field without ``each`` all cells of a prompt have the same value. A passage in square brackets,
    ``[ of {organism}]``, is left out where a field in it is not known. A brace or bracket itself is written twice.

    Write blanks around fields, and begin the answer with a blank or a line break: a tokenizer whose words are what
    stands between blanks knows no ``{cell}.`` with a full stop.

    Parameters
    ----------
    name
        Name of the task.
    wordings
        Prompts that ask the same in different words; one is drawn for each example.
    answer
        The answer.
    metric
        Function of :mod:`tcellmil.metrics` that compares an answer with the right one.
    n_cells
        Cells of a prompt; 1 with ``{cell}``, at least 2 with ``{cells}`` or ``{each:...}``.
    item, separator
        How ``{cells}`` and ``{each:...}`` write one of several cells, with ``{number}`` for 1, 2, ... and ``{value}``
        for its sentence or text; and what stands between two of them.

    Raises
    ------
    ValueError, TypeError
        If a template cannot be read, has an optional passage in its answer, or does not fit ``n_cells``.

    Examples
    --------
    >>> task = Task("disease", ["Genes of a cell[ of {tissue}]: {cell}\nDisease of the donor:"], " {disease}")
    >>> task.reads, task.may_read
    (('disease',), ('tissue',))
    """

    name: str
    wordings: Sequence[str]
    answer: str
    metric: str = "bert_score"
    n_cells: int = 1
    item: str = f"Cell {NUMBER}: {VALUE}"
    separator: str = "\n"

    def __post_init__(self) -> None:
        if isinstance(self.wordings, str):
            raise TypeError(f"wordings of task {self.name!r} must be a list of texts, got one; write [...] around it")
        object.__setattr__(self, "wordings", tuple(self.wordings))
        for text in (self.name, self.answer, self.metric, self.item, *self.wordings):
            if not isinstance(text, str) or not text.strip():
                raise TypeError(f"name, wordings, answer, metric and item of a task are texts, got {text!r}")
        if not self.wordings:
            raise ValueError(f"task {self.name!r} has no wording")
        object.__setattr__(self, "n_cells", check_count(self.n_cells, "n_cells"))
        if fields_of(self.answer)[1]:
            raise ValueError(f"the answer of task {self.name!r} has a passage in square brackets, but must be complete")
        _check_fields(self)

    @property
    def reads(self) -> tuple[str, ...]:
        """Columns of ``obs``, or texts, that must be known."""
        return tuple(dict.fromkeys([*self.asks, *self.answers]))

    @property
    def may_read(self) -> tuple[str, ...]:
        """Columns of ``obs``, or texts, that are said where they are known."""
        return tuple(name for name in _columns(self._fields(1)) if name not in self.reads)

    @property
    def asks(self) -> tuple[str, ...]:
        """The part of :attr:`reads` that a prompt needs."""
        return _columns(self._fields(0))

    @property
    def answers(self) -> tuple[str, ...]:
        """The part of :attr:`reads` that an answer needs."""
        return _columns(fields_of(self.answer)[0])

    @property
    def unit(self) -> Literal["cell", "cells", "gene set"]:
        """What an example is about."""
        if {GENES, GENE_SET} & {field.name for field in self.all_fields}:
            return "gene set"
        return "cell" if self.n_cells == 1 else "cells"

    @property
    def all_fields(self) -> tuple[Field, ...]:
        """Every field of the wordings and the answer."""
        return tuple(dict.fromkeys([*self._fields(0), *self._fields(1), *fields_of(self.answer)[0]]))

    def texts(self) -> tuple[str, ...]:
        """What prompts and answers say besides their fields, for the vocabulary of a tokenizer."""
        items = [text for n in range(1, self.n_cells + 1) for text in self.around(n)] if self.unit == "cells" else []
        templates = (*self.wordings, self.answer)
        return tuple(dict.fromkeys([*(text for t in templates for text in literal_texts(t)), *items]))

    def around(self, number: int) -> tuple[str, str]:
        """What stands in front of one of several cells and behind it; the first has number 1."""
        before, _, behind = self.item.replace(NUMBER, str(number)).partition(VALUE)
        return (self.separator if number > 1 else "") + before, behind

    def answer_with(self, **values: str) -> str:
        """The answer with these values, where it holds no sentence: how a label is written.

        Examples
        --------
        >>> resolve_tasks("cell_type_annotation")[0].answer_with(cell_type="B cell")
        ' B cell'
        """
        pieces = fill(self.answer, {Field(name): value for name, value in values.items()})
        return "".join(pieces)

    def as_dict(self) -> dict[str, object]:
        """The task as text and numbers."""
        return asdict(self) | {"wordings": list(self.wordings)}

    @classmethod
    def from_dict(cls, values: Mapping[str, object]) -> Task:
        """The task that :meth:`as_dict` describes."""
        return cls(**values)

    def _fields(self, kind: int) -> dict[Field, None]:
        return {field: None for wording in self.wordings for field in fields_of(wording)[kind]}


def _columns(fields: Iterable[Field]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(field.name for field in fields if field.name not in MADE))


def _check_fields(task: Task) -> None:
    """Raise a ValueError where fields and the number of cells contradict each other."""
    fields = task.all_fields
    names = {field.name for field in fields}
    made = [field.name for field in fields if field.each and field.name in MADE | {GENE_SET}]
    if made:
        raise ValueError(f"task {task.name!r} has {{each:{made[0]}}}; each: is for columns of obs")
    if task.item.count(VALUE) != 1:
        raise ValueError(f"item {task.item!r} of task {task.name!r} must hold {VALUE} once, and {NUMBER} where wanted")
    several = {CELLS, N_CELLS} & names or any(field.each for field in fields)
    of_sets = {GENES, GENE_SET} & names
    if of_sets and (several or CELL in names or task.n_cells > 1):
        raise ValueError(f"task {task.name!r} is about gene sets and about cells; make two of it")
    if several and task.n_cells == 1:
        raise ValueError(f"task {task.name!r} is about several cells; say how many: n_cells=2 or more")
    if CELL in names and task.n_cells > 1:
        raise ValueError(f"task {task.name!r} has n_cells={task.n_cells} and the field {{cell}}; write {{cells}}")
    if not of_sets and not {CELL, CELLS} & names:
        raise ValueError(f"task {task.name!r} has no sentence; write {{cell}}, {{cells}} or {{genes}} where it belongs")


@cache
def _own() -> dict[str, Task]:
    folder = files("tcellmil.c2s") / "prompts"
    return {name: Task(name, **json.loads((folder / f"{name}.json").read_text("utf-8"))) for name in NAMES}


def register_task(task: Task) -> Task:
    r"""Make a task known by its name, and return it.

    Raises
    ------
    TypeError
        If it is no :class:`Task`.
    ValueError
        If another task has its name.

    Examples
    --------
    >>> from tcellmil.c2s import Task, register_task, resolve_tasks
    >>> task = register_task(Task("sex", ["Genes of a cell: {cell}\nSex of the donor:"], " {sex}"))
    >>> resolve_tasks("sex") == (task,)
    True
    """
    if not isinstance(task, Task):
        raise TypeError(f"task must be a tcellmil.c2s.Task, got {type(task).__name__}")
    before = {**_own(), **_registered}.get(task.name)
    if before not in (None, task):
        raise ValueError(f"there is another task {task.name!r} already; give this one a name of its own")
    _registered[task.name] = task
    return task


def resolve_tasks(tasks: str | Task | Iterable[str | Task], prompts: Prompts = "tcellmil") -> tuple[Task, ...]:
    """Tasks by their names.

    Parameters
    ----------
    tasks
        Name, :class:`Task`, or several of them.
    prompts
        Whose wordings to use. ``"cell2sentence"`` reads those of the installed package cell2sentence, with which the
        released checkpoints were trained; a :class:`Task` that is given as such keeps its own.

    Raises
    ------
    ImportError
        If cell2sentence is to be read and is not installed.
    TypeError
        If something else is given.
    ValueError
        If a name is not known or comes twice, there is none, or cell2sentence has no wordings for a task.

    Examples
    --------
    >>> [task.name for task in resolve_tasks(["cell_type_annotation", "cell_generation"])]
    ['cell_type_annotation', 'cell_generation']
    """
    check_choice(prompts, choices(Prompts), "prompts")
    given = [tasks] if isinstance(tasks, str | Task) else list(tasks)
    if not given:
        raise ValueError("tasks is empty; name at least one")
    own = {**_own(), **_registered}
    found = tuple(_resolved(task, own, prompts) for task in given)
    names = [task.name for task in found]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise ValueError(f"tasks has {twice[0]!r} more than once")
    return found


def _resolved(task: str | Task, own: Mapping[str, Task], prompts: Prompts) -> Task:
    if isinstance(task, Task):
        return task
    if not isinstance(task, str):
        raise TypeError(f"a task is a name or a tcellmil.c2s.Task, got {task!r}")
    if task not in own:
        close = get_close_matches(task, own, n=1)
        meant = f"; did you mean {close[0]!r}? There" if close else "; there"
        raise ValueError(f"task {task!r} is not known{meant} are {', '.join(map(repr, own))}")
    if prompts == "tcellmil":
        return own[task]
    from tcellmil.c2s._tasks._cell2sentence import task_of_cell2sentence

    return task_of_cell2sentence(own[task])


def one_task(task: Task | str) -> Task:
    """A task by its name, or as it is."""
    return resolve_tasks(task)[0]


def list_tasks() -> pd.DataFrame:
    """Table of the tasks that are known.

    Returns
    -------
    DataFrame with a row a task, by its name: ``unit``, what an example is about; ``reads``, the columns that must be
    known; ``may_read``, those that are said where they are known; ``answer``; ``metric``; ``n_wordings``.

    Examples
    --------
    >>> list_tasks().loc[["cell_type_annotation", "tissue_annotation"], ["unit", "reads", "answer"]]
                           unit         reads        answer
    name
    cell_type_annotation   cell  cell_type   {cell_type}
    tissue_annotation     cells     tissue      {tissue}
    """
    rows = [
        {
            "name": task.name,
            "unit": task.unit,
            "reads": ", ".join(task.reads),
            "may_read": ", ".join(task.may_read),
            "answer": task.answer,
            "metric": task.metric,
            "n_wordings": len(task.wordings),
        }
        for task in {**_own(), **_registered}.values()
    ]
    return pd.DataFrame(rows).set_index("name")
