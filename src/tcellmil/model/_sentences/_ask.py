"""Cells and labels as a language model is asked about them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_column, some
from tcellmil._order import names_in_order
from tcellmil.c2s import (
    GeneTable,
    LanguageModel,
    Task,
    build_examples,
    encode_prompt,
    generate_sentences,
    label_log_probabilities,
    prompt_with,
)

from ._cells import Cells

if TYPE_CHECKING:
    import pandas as pd
    import torch

    from tcellmil.c2s import Generated

#: The field of an answer that is a cell.
CELL = "{cell}"


def labels_of(obs: pd.DataFrame, column: str) -> list[str]:
    """Values of a column, in their order.

    Raises
    ------
    KeyError
        If there is no such column.
    TypeError
        If it holds anything but text.
    """
    values = check_column(obs, column, "label_key").dropna()
    wrong = [value for value in values.unique() if not isinstance(value, str)]
    if wrong:
        raise TypeError(
            f"label_key={column!r} must hold text, got {some(wrong)}; make it text: adata.obs[{column!r}].astype(str)"
        )
    return list(names_in_order(values))


def prompts_of(
    task: Task,
    cells: Cells,
    lm: LanguageModel,
    table: GeneTable,
    record: Mapping,
    *,
    wording: int = 0,
    reserved: int = 0,
) -> list[np.ndarray]:
    """Tokens of the prompt of each cell in one wording, with room for an answer.

    Raises
    ------
    ValueError
        If the task is not about one cell, or the context is too short.
    """
    if task.unit != "cell":
        raise ValueError(f"task {task.name!r} is about {task.unit}; this needs one about a single cell")
    columns = {
        field: column
        for field, column in record.get("columns", {}).items()
        if field in task.asks or column is None or column in cells.table
    }
    about = {"columns": columns, "texts": record.get("texts")}
    examples = build_examples(task, cells.table, cells.ids, **about, wording=wording, answers=False)
    return [encode_prompt(example, table, lm.context, reserved=reserved)[0] for example in examples]


def score_labels(
    task: Task,
    cells: Cells,
    labels: Sequence[str],
    lm: LanguageModel,
    table: GeneTable,
    record: Mapping,
    *,
    n_wordings: int | None = 1,
    progress: bool,
) -> np.ndarray:
    """``(n_cells, n_labels)``: log-probability of each label, whole, as an answer about each cell.

    Of several wordings, it is the mean.
    """
    (field,) = task.answers
    answers = [task.answer_with(**{field: label}) if isinstance(label, str) else label for label in labels]
    longest = max((len(table.whole([text])[0]) for text in answers if isinstance(text, str)), default=0) + 1
    scores = []
    for wording in range(len(task.wordings) if n_wordings is None else min(n_wordings, len(task.wordings))):
        prompts = prompts_of(task, cells, lm, table, record, wording=wording, reserved=longest)
        scores.append(label_log_probabilities(lm.model, lm.tokenizer, prompts, answers, progress=progress))
    return np.mean(scores, axis=0)


def write_cells(
    task: Task,
    conditions: pd.DataFrame,
    lm: LanguageModel,
    table: GeneTable,
    record: Mapping,
    *,
    n_genes: int,
    generator: torch.Generator,
    **options,
) -> Generated:
    """Sentences that a model writes, one for each row of conditions.

    Raises
    ------
    ValueError
        If the task does not answer with a cell.
    """
    before, field, _ = task.answer.partition(CELL)
    if not field:
        raise ValueError(f"task {task.name!r} answers {task.answer!r}, not with a cell; generating needs {CELL} there")
    after_blank = before.endswith(" ")
    begun = [before.removesuffix(" ")] if before.strip() else []
    texts = {name: text for name, text in record.get("texts", {}).items() if name not in conditions}
    known: dict[tuple, np.ndarray] = {}
    prompts = []
    columns = [conditions[name] for name in conditions]
    for row in zip(*columns, strict=True) if columns else [()] * len(conditions):
        if row not in known:
            said = dict(zip(conditions.columns, row, strict=True))
            prompt = prompt_with(task, n_genes=n_genes, **texts, **said)
            tokens, _ = encode_prompt(prompt, table, lm.context, reserved=n_genes)
            known[row] = np.concatenate([tokens, *(table.text([text]) for text in begun)])
        prompts.append(known[row])
    words = {"words": lm.words, "n_genes": n_genes, "after_blank": after_blank}
    return generate_sentences(lm.model, lm.tokenizer, prompts, **words, generator=generator, **options)
