"""Wordings of the package cell2sentence, read where it is installed: released checkpoints were trained with them."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from tcellmil.c2s._tasks._task import CELL, CELLS, N_CELLS, N_GENES, NUMBER, VALUE, Task

#: File with the wordings of each task that the package has.
FILES = {
    "cell_type_annotation": "single_cell_cell_type_prediction_prompts.json",
    "cell_generation": "single_cell_cell_type_conditional_generation_prompts.json",
    "tissue_annotation": "multi_cell_tissue_prediction_prompts.json",
    "sample_generation_by_tissue": "multi_cell_tissue_conditional_generation.json",
    "abstract_of_cells": "multi_cell_natural_lang_interpretation_prompts.json",
}
#: Its names of our fields.
FIELDS = {"num_genes": N_GENES, "num_cells": N_CELLS, "cell_sentence": CELL, "multi_cell_sentences": CELLS}
#: It writes the number of a cell on a line of its own, and ends every cell.
ITEM = f"Cell {NUMBER}:\n{VALUE}.\n"
MAX_BYTES = 1 << 22


def task_of_cell2sentence(task: Task) -> Task:
    """The task in the words of the installed cell2sentence, whose code is not run.

    The organism, which its wordings demand, is left out where it is not known. Prompt and answer become tokens apart
    from each other and without a blank in between, as they do there.

    Raises
    ------
    ImportError
        If cell2sentence is not installed.
    ValueError
        If it has no wordings for the task, or its file is not as expected.
    """
    spec = find_spec("cell2sentence")
    if spec is None or not spec.origin:
        raise ImportError(
            "prompts='cell2sentence' reads the wordings of that package, which is not installed; install it with: "
            "pip install cell2sentence"
        )
    if task.name not in FILES:
        raise ValueError(f"cell2sentence has no wordings for {task.name!r}; it has {', '.join(map(repr, FILES))}")
    path = Path(spec.origin).parent / "prompts" / FILES[task.name]
    if not path.is_file():
        raise ValueError(f"the installed cell2sentence has no file {path}; install cell2sentence 1.2")
    wordings, (answer, *_) = _read(path)
    try:
        return replace(task, wordings=[_ours(w) for w in wordings], answer=_ours(answer), item=ITEM, separator="")
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} has wordings of another kind: {error}; install cell2sentence 1.2") from error


def _read(path: Path) -> tuple[list[str], list[str]]:
    if path.stat().st_size > MAX_BYTES:
        raise ValueError(f"{path} has {path.stat().st_size:,} bytes, too many for wordings of a task")
    try:
        content = json.loads(path.read_text("utf-8"))
        texts = content["model_input"], content["response"]
    except (ValueError, KeyError, TypeError, RecursionError) as error:
        raise ValueError(f"{path} cannot be read as wordings: {type(error).__name__} {error}") from error
    if not all(isinstance(part, list) and part and all(isinstance(t, str) for t in part) for part in texts):
        raise ValueError(f"{path} cannot be read as wordings: 'model_input' and 'response' are not lists of texts")
    return texts


def _ours(template: str) -> str:
    """The template with our names of fields; a field that is no result is optional, with the blank that follows it."""
    template = re.sub(r"[\[\]]", lambda mark: mark.group() * 2, template)
    template = re.sub(r"\{(\w+)\}", lambda field: f"{{{FIELDS.get(field[1], field[1])}}}", template)
    return template.replace("{organism} ", "[{organism} ]")
