"""Teach a language model tasks about cells, and measure how sure of its labels it may be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tcellmil._log import logger
from tcellmil.c2s import (
    GeneTable,
    LanguageModel,
    LanguageTraining,
    Task,
    TokenRows,
    add_adapter,
    add_gene_vectors,
    build_examples,
    drop_adapter,
    encode_examples,
    fit_label_temperature,
    gene_set_examples,
    has_adapter,
    train_rows,
)
from tcellmil.c2s._models._weights import as_before_on_error

from ._ask import labels_of, score_labels
from ._cells import Cells, validation_rows
from ._gene_sets import check_gene_sets, examples_that_fit, split_gene_sets

if TYPE_CHECKING:
    from tcellmil._devices import Accelerator

Start = Literal["cooccurrence", "random"]
#: Learning rate and epochs of random weights, of an adapter, and of a trained model (Rizvi et al., section 4.3.5).
SCRATCH = {"lr": 2e-3, "max_epochs": 8, "patience": None, "batch_tokens": 512, "weight_decay": 0.1}
ADAPTER = {"lr": 2e-4}
#: Cells of validation donors on which the temperature of the labels is fitted.
CALIBRATED = 500


def is_fresh(lm: LanguageModel) -> bool:
    """Whether the weights were random at first."""
    return lm.meta.get("source") == "scratch"


def training_of(lm: LanguageModel, lora: object, given: Mapping[str, object]) -> LanguageTraining:
    """How to train, with defaults for what is trained."""
    return LanguageTraining(**({**(SCRATCH if is_fresh(lm) and not lora else ADAPTER if lora else {}), **given}))


def teach(
    lm: LanguageModel,
    cells: Cells,
    tasks: Sequence[Task],
    config: LanguageTraining,
    record: Mapping[str, object],
    *,
    donor_key: str | None,
    validation: float,
    gene_sets: pd.DataFrame | None,
    balance: bool,
    start: Start,
    lora: Mapping[str, object] | bool | None,
    checkpoint: str | Path | None,
    resume: bool,
    accelerator: Accelerator,
    progress: bool,
) -> tuple[LanguageModel, dict[str, object]]:
    """Train on these cells; on an error or an interrupt the model is as it was.

    ``record`` holds ``columns`` and ``texts``, where the tasks' fields are read.

    Returns
    -------
    The model, with an adapter where one was asked for, and the record with what was learned beside the weights.
    """
    held_out, donors = validation_rows(cells.table, donor_key, validation, config.seed)
    table = GeneTable(lm.tokenizer, lm.words)
    columns = {**({} if donor_key is None else {"donor": donor_key}), **record["columns"]}
    about = {"columns": columns, "texts": record["texts"]}
    parts = [cells.take(np.flatnonzero(part)) for part in (~held_out, held_out)]
    sets = check_gene_sets(tasks, gene_sets, lm.words)
    of_parts = (None, None) if sets is None else split_gene_sets(sets, validation, config.seed)
    rows = [
        _rows(tasks, part, some_sets, table, lm.context, about, config.seed, balance=balance)
        for part, some_sets in zip(parts, of_parts, strict=True)
    ]
    labels = {
        name: labels_of(cells.table, columns.get(name, name))
        for task in tasks
        for name in task.answers
        if columns.get(name, name) in cells.table
    }
    before = list(record["tasks"])
    named = {task["name"]: task for task in [*before, *(task.as_dict() for task in tasks)]}
    record = {
        **record,
        "tasks": list(named.values()),
        "labels": {**record["labels"], **labels},
        "line": cells.line.as_dict(),
        "n_genes": int(cells.ids.shape[1]),
        "training": config.as_dict(),
        "validation_donors": donors,
    }
    adapter = lora is not None and lora is not False
    taught = add_adapter(lm, None if lora is True else lora, seed=config.seed) if adapter else lm
    try:
        options = {"checkpoint": checkpoint, "resume": resume, "accelerator": accelerator, "progress": progress}
        with as_before_on_error(taught.model):
            if start == "cooccurrence" and is_fresh(lm) and not before and not has_adapter(taught):
                add_gene_vectors(taught, parts[0].ids, seed=config.seed)
            history = train_rows(taught, *rows, config, **options)
            record["best_epoch"] = history.best_epoch
            record["history"] = [_finite(epoch) for epoch in history.epochs]
            record["temperatures"] = _temperatures(taught, tasks, parts[1], table, record)
    except BaseException:
        if adapter:
            drop_adapter(taught)
        raise
    last, best = history.epochs[-1], history.epochs[history.best_epoch - 1]
    logger.info(
        "C2S.train: %d examples, %d epochs, %d steps; epoch %d kept, loss %.3f in training, %.3f on validation cells",
        len(rows[0]), last["epoch"], last["step"], best["epoch"], best["train_loss"], best["validation_loss"],
    )  # fmt: skip
    return taught, record


def _rows(
    tasks: Sequence[Task],
    cells: Cells,
    gene_sets: pd.DataFrame | None,
    table: GeneTable,
    context: int,
    about: Mapping,
    seed: int,
    *,
    balance: bool,
) -> TokenRows | None:
    """Examples of all tasks as tokens; ``None`` where there are none."""
    examples = []
    for task in tasks:
        if task.unit == "gene set":
            if len(gene_sets):
                found = gene_set_examples(task, gene_sets, table.words, seed=seed)
                examples += examples_that_fit(found, task.name, table, context)
            continue
        if not len(cells.ids):
            continue
        asked = [about["columns"].get(name, name) for name in task.asks]
        of_task = cells.take(balanced(cells.table, asked, seed)) if balance and task.unit == "cell" else cells
        examples += build_examples(task, of_task.table, of_task.ids, **about, seed=seed)
    if not examples:
        return None
    encoded = encode_examples(examples, table, context)
    return TokenRows.of(encoded.input_ids, encoded.labels)


def balanced(table: pd.DataFrame, columns: Sequence[str], seed: int) -> np.ndarray:
    """Rows of a table, those of rare values again: as often as is the mean over all values, where they are rarer.

    A prompt that names a type of ten cells in ten thousand would otherwise hardly be learned.
    """
    columns = [column for column in columns if column in table]
    rows = np.arange(len(table))
    if not columns:
        return rows
    groups = table.groupby(columns, observed=True, sort=True).indices.values()
    most = -(-sum(map(len, groups)) // max(1, len(groups)))
    rng = np.random.default_rng(seed)
    more = [rng.permutation(np.resize(group, max(0, most - len(group)))) for group in groups]
    return np.concatenate([rows, *more]).astype(np.int64)


def _finite(epoch: Mapping[str, float]) -> dict[str, float | None]:
    """For JSON, which has no NaN."""
    return {name: value if np.isfinite(value) else None for name, value in epoch.items()}


def _spread(cells: Cells, columns: Sequence[str]) -> Cells:
    """Some cells, evenly spread, of which all is known that a prompt needs."""
    asked = [column for column in columns if column in cells.table]
    rows = np.flatnonzero(cells.table[asked].notna().all(axis=1))
    return cells.take(rows[:: max(1, len(rows) // CALIBRATED)])


def _temperatures(
    lm: LanguageModel, tasks: Sequence[Task], cells: Cells, table: GeneTable, record: Mapping
) -> dict[str, float]:
    """Temperature of each task that chooses among labels, fitted on validation cells."""
    found: dict[str, float] = {}
    for task in tasks:
        few = _spread(cells, [record["columns"].get(name, name) for name in task.asks])
        labels = record["labels"].get(task.answers[0], []) if len(task.answers) == 1 else []
        if task.unit != "cell" or len(labels) < 2 or not len(few.ids):
            continue
        true = few.table[record["columns"].get(task.answers[0], task.answers[0])]
        codes = pd.Index(labels).get_indexer(true.astype(object))
        if (codes >= 0).any():
            scores = score_labels(task, few, labels, lm, table, record, progress=False)
            found[task.name] = fit_label_temperature(scores, codes)
    return found
