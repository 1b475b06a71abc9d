"""What a language model knows of cells beside its weights: its tasks, labels and line, kept with it in a folder."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_count
from tcellmil.c2s import (
    LanguageModel,
    RankLine,
    Task,
    from_pretrained,
    from_scratch,
    has_adapter,
    load_language_model,
    merge_adapter,
    resolve_tasks,
    save_language_model,
)
from tcellmil.data import CellSentences

from ._cells import Cells, cells_of, sentences_of
from ._gene_sets import check_gene_sets
from ._vocabulary import context_of, texts_of

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

    @classmethod
    def from_pretrained(
        cls,
        path_or_hub_id: str | Path,
        *,
        dtype: str = "auto",
        prompts: Literal["tcellmil", "cell2sentence"] = "tcellmil",
        **kwargs,
    ) -> Self:
        """Start from a released model: a folder, or a name on the Hugging Face hub.

        Parameters
        ----------
        path_or_hub_id, dtype, **kwargs
            See :func:`tcellmil.c2s.from_pretrained`.
        prompts
            Wordings of the tasks. ``"cell2sentence"`` reads those of the installed package cell2sentence, with which
            the released C2S models were trained.

        Raises
        ------
        ImportError, FileNotFoundError, ValueError
            See :func:`tcellmil.c2s.from_pretrained`.

        Examples
        --------
        >>> tm.model.C2S.from_pretrained("vandijklab/C2S-Pythia-410m-cell-type-prediction")  # doctest: +SKIP
        """
        resolve_tasks(TASKS, prompts)  # where cell2sentence is not installed, before gigabytes are read
        return cls(from_pretrained(path_or_hub_id, dtype=dtype, **kwargs), {"prompts": prompts})

    @classmethod
    def from_scratch(
        cls,
        adata: AnnData,
        *,
        size: Literal["tiny", "small"] | Mapping[str, object] = "tiny",
        architecture: Literal["llama", "gpt_neox", "gemma2"] = "llama",
        tasks: TaskOrName | Iterable[TaskOrName] = TASKS,
        columns: Mapping[str, str] | None = None,
        texts: Mapping[str, str] | None = None,
        gene_sets: pd.DataFrame | None = None,
        context: int | None = None,
        key: str = _keys.CELL_SENTENCE,
        seed: int = 0,
    ) -> Self:
        """Start from random weights, with a tokenizer in which every gene is one token.

        The tokenizer knows the genes, the words of the tasks, and those of the columns that the tasks read; no other
        word can be read or written later.

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        size, architecture
            See :func:`tcellmil.c2s.from_scratch`.
        tasks, columns, texts, gene_sets
            As in :meth:`train`.
        context
            Tokens that the model takes at once; by default what the tasks need.
        key
            Name of the sentences.
        seed
            Of the weights.

        Raises
        ------
        KeyError, ValueError, TypeError
            If there are no sentences, a task or a column is not known, or sizes do not fit together.

        Examples
        --------
        >>> import tcellmil as tm
        >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
        >>> tm.pp.cell_sentences(adata, n_genes=20)
        >>> tm.model.C2S.from_scratch(adata, size={"hidden_size": 16}).lm.context
        128
        """
        tasks = resolve_tasks(tasks)
        sentences = CellSentences.of(adata, key)
        n_genes = sentences.ids.shape[1]
        sets = check_gene_sets(tasks, gene_sets, sentences.words)
        said = texts_of(tasks, adata.obs, columns, texts, n_genes, sets)
        context = context_of(tasks, said) if context is None else check_count(context, "context")
        made = {"size": size, "architecture": architecture, "context": context, "seed": seed}
        lm = from_scratch(sentences.words.tolist(), said.all(), **made)
        about = {"columns": dict(columns or {}), "texts": dict(texts or {}), "n_genes": n_genes}
        start = {"start": [task.as_dict() for task in tasks], "line": sentences.line.as_dict()}
        return cls(lm, start | about)

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
