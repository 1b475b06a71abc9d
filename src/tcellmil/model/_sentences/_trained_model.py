"""What a language model knows of cells beside its weights: its tasks, labels and line, kept with it in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from tcellmil import _keys
from tcellmil.c2s import (
    LanguageModel,
    RankLine,
    Task,
    has_adapter,
    load_language_model,
    merge_adapter,
    resolve_tasks,
    save_language_model,
)

from ._cells import Cells, cells_of, sentences_of

if TYPE_CHECKING:
    from typing import Self

    from anndata import AnnData

TaskOrName = str | Task
#: What a model learns by default: to name a cell's type, and to write a cell of a type.
TASKS = ("cell_type_annotation", "cell_generation")
HISTORY = ("epoch", "step", "train_loss", "validation_loss", "lr")


class TrainedModel:
    """A language model and its record, read from a folder and written to one.

    Parameters
    ----------
    lm
        Network, tokenizer and genes.
    record
        What was learned beside the weights: plain values for JSON.
    """

    def __init__(self, lm: LanguageModel, record: Mapping[str, object] | None = None):
        self.lm = lm
        self.record = {"columns": {}, "texts": {}, "tasks": [], "labels": {}, **(record or {})}

    def __repr__(self) -> str:
        trained = ", ".join(task["name"] for task in self.record["tasks"]) or "nothing yet"
        return (
            f"C2S: {self.lm.architecture} of {self.lm.n_parameters:,} weights, {len(self.lm.words):,} genes, context "
            f"of {self.lm.context} tokens; trained on {trained}"
        )

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: ``step``, ``train_loss``, ``validation_loss`` (nats per token of an answer) and ``lr``."""
        return pd.DataFrame(self.record.get("history", []), columns=list(HISTORY)).set_index("epoch").astype(float)

    @property
    def best_epoch(self) -> int | None:
        """The epoch whose weights were kept."""
        return self.record.get("best_epoch")

    @property
    def line(self) -> RankLine | None:
        """From position in a sentence to expression, as fitted on the cells that were trained on."""
        return RankLine.from_dict(self.record["line"]) if "line" in self.record else None

    @property
    def has_adapter(self) -> bool:
        """Whether a LoRA adapter lies beside the weights."""
        return has_adapter(self.lm)

    def describe(self) -> dict[str, str]:
        """Which model this is, for a record: where it is from, its architecture, and a digest of its weights."""
        source = str(self.lm.meta.get("source", ""))
        return {"source": source, "architecture": self.lm.architecture, "weights": self.lm.digest()}

    def use_cells(self, adata: AnnData, *, key: str = _keys.CELL_SENTENCE) -> None:
        """Take over the genes of these cells and their line back to expression, without training.

        A released model needs it before it can write cells; :meth:`train` does it by itself.

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        key
            Name of the sentences.

        Raises
        ------
        KeyError, ValueError
            If there are no sentences, or the model's tokenizer does not know all of the genes.
        """
        sentences = sentences_of(adata, key)
        lm = self.lm.with_words(sentences.words.tolist())
        about = {"line": sentences.line.as_dict(), "n_genes": int(sentences.ids.shape[1])}
        self.lm, self.record = lm, {**self.record, **about}

    def merge(self) -> None:
        """Add a LoRA adapter to the weights; the model answers as before."""
        self.lm = merge_adapter(self.lm)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write weights, tokenizer, tasks, line and provenance into a folder; see :func:`load`.

        Raises
        ------
        ValueError, OSError
            See :func:`tcellmil.c2s.save_language_model`.
        """
        save_language_model(self.lm, path, self.record, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> Self:
        """Read what :meth:`save` wrote. Nothing in the folder is executed.

        Raises
        ------
        ImportError, ValueError
            See :func:`tcellmil.c2s.load_language_model`.
        """
        return cls(*load_language_model(path))

    def _tasks(self, tasks: TaskOrName | Iterable[TaskOrName] | None) -> tuple[Task, ...]:
        """Tasks by their names, as they were trained where they were."""
        made_for = [Task.from_dict(known) for known in self.record.get("start", [])]
        trained = {task.name: task for task in [*made_for, *map(Task.from_dict, self.record["tasks"])]}
        tasks = made_for or TASKS if tasks is None else tasks
        named = [tasks] if isinstance(tasks, str | Task) else list(tasks)
        known = [trained.get(task, task) if isinstance(task, str) else task for task in named]
        return resolve_tasks(known, self.record.get("prompts", "tcellmil"))

    def _read(self, adata: AnnData, key: str | None) -> tuple[LanguageModel, Cells]:
        """The model, with the genes of these cells where it has seen none yet, and the cells in its words."""
        sentences = sentences_of(adata, key, self.record.get("n_genes"))
        lm = self.lm if self.lm.words else self.lm.with_words(sentences.words.tolist())
        return lm, cells_of(adata, sentences, lm.words)

    def _record_with(self, texts: Mapping[str, str] | None) -> Mapping:
        return self.record if texts is None else {**self.record, "texts": dict(texts)}
