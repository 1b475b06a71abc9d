"""The language model class: cells as sentences, trained on, annotated, generated and embedded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_count, some
from tcellmil._isolation import isolated
from tcellmil._log import logger
from tcellmil.c2s import (
    GeneTable,
    LanguageModel,
    LanguageTraining,
    RankLine,
    Task,
    TokenRows,
    add_adapter,
    build_examples,
    drop_adapter,
    embed_prompts,
    encode_examples,
    encode_prompt,
    fit_label_temperature,
    from_pretrained,
    from_scratch,
    generate_sentences,
    has_adapter,
    label_log_probabilities,
    label_probabilities,
    load_language_model,
    merge_adapter,
    prompt_with,
    resolve_tasks,
    save_language_model,
    train_rows,
)

from ._cells import Cells, one_field, per_cell, read_cells, validation_rows
from ._generated import generated_adata
from ._vocabulary import context_of, texts_of

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil._devices import Accelerator

Prompts = Literal["tcellmil", "cell2sentence"]
TaskOrName = str | Task
#: What a model learns by default: to name a cell's type, and to write a cell of a type.
TASKS = ("cell_type_annotation", "cell_generation")
#: Cells of validation donors on which the temperature of the labels is fitted.
CALIBRATED = 500


class C2S:
    """A language model of cell sentences (Rizvi et al., 2025).

    Made by :meth:`from_pretrained`, :meth:`from_scratch` or :meth:`load`. It reads the sentences that
    :func:`tcellmil.pp.cell_sentences` wrote, and matches genes by their names. The network is changed in place by
    :meth:`train`; everything else that the model knows (tasks, labels, the line back to expression) is in ``record``.

    Parameters
    ----------
    lm
        Network, tokenizer and genes.
    record
        What was learned beside the weights: plain values for JSON.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> model.train(adata, donor_key="patient", max_epochs=1, lr=3e-3, progress=False)
    >>> model.annotate(adata, "cell_type").shape
    (180, 4)
    """

    def __init__(self, lm: LanguageModel, record: Mapping[str, object] | None = None):
        self.lm = lm
        self.record = dict(record or {})
        self._history: list[dict] = list(self.record.get("history", []))

    def __repr__(self) -> str:
        trained = ", ".join(task["name"] for task in self.record.get("tasks", [])) or "nothing yet"
        return (
            f"C2S: {self.lm.architecture} of {self.lm.n_parameters:,} weights, {len(self.lm.words):,} genes, context of "
            f"{self.lm.context} tokens; trained on {trained}"
        )

    @classmethod
    def from_pretrained(
        cls, path_or_hub_id: str | Path, *, dtype: str = "auto", prompts: Prompts = "tcellmil", **kwargs
    ) -> C2S:
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
        context: int | None = None,
        key: str = _keys.CELL_SENTENCE,
        seed: int = 0,
    ) -> C2S:
        """Start from random weights, with a tokenizer in which every gene is one token.

        The tokenizer knows the genes, the words of the tasks, and those of the columns that the tasks read; no other
        word can be read or written later.

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        size, architecture
            See :func:`tcellmil.c2s.from_scratch`.
        tasks, columns, texts
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
        """
        tasks = resolve_tasks(tasks)
        from tcellmil.data import CellSentences

        sentences = CellSentences.of(adata, key)
        n_genes = sentences.ids.shape[1]
        said = texts_of(tasks, adata.obs, columns, texts, n_genes)
        context = context_of(tasks, said, n_genes) if context is None else check_count(context, "context")
        lm = from_scratch(
            sentences.words.tolist(), said.all(), size=size, architecture=architecture, context=context, seed=seed
        )
        return cls(lm, {"line": sentences.line.as_dict(), "n_genes": n_genes})

    @property
    def history(self) -> pd.DataFrame:
        """One row per epoch: ``step``, ``train_loss``, ``validation_loss`` (nats per token of an answer) and ``lr``."""
        columns = ["epoch", "step", "train_loss", "validation_loss", "lr"]
        return pd.DataFrame(self._history, columns=columns).set_index("epoch")

    @property
    def line(self) -> RankLine | None:
        """From position in a sentence to expression, as fitted on the cells that were trained on."""
        return RankLine.from_dict(self.record["line"]) if "line" in self.record else None

    def describe(self) -> dict[str, str]:
        """Which model this is, for a record: where it is from, its architecture, and a digest of its weights."""
        source = str(self.lm.meta.get("source", ""))
        return {"source": source, "architecture": self.lm.architecture, "weights": self.lm.digest()}

    @isolated
    def train(
        self,
        adata: AnnData,
        tasks: TaskOrName | Iterable[TaskOrName] = TASKS,
        *,
        columns: Mapping[str, str] | None = None,
        texts: Mapping[str, str] | None = None,
        donor_key: str | None = None,
        validation: float = 0.2,
        lora: Mapping[str, object] | bool | None = None,
        key: str = _keys.CELL_SENTENCE,
        checkpoint: str | Path | None = None,
        resume: bool = True,
        accelerator: Accelerator = "auto",
        progress: bool = True,
        **training,
    ) -> None:
        """Teach the model to answer tasks about these cells; the loss is on the answers only.

        Validation cells are those of whole donors, drawn with ``seed``; training stops early by their loss, and the
        temperature of the labels is fitted on them. On an error or an interrupt the model is as it was.

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        tasks
            Names of tasks (:func:`tcellmil.c2s.list_tasks`), or :class:`tcellmil.c2s.Task`, trained together.
        columns
            Column of ``obs`` from which a field of a task is read, where it has another name:
            ``{"cell_type": "louvain"}``.
        texts
            Text of a field that holds for all cells: ``{"organism": "Homo sapiens"}``.
        donor_key
            Column of ``obs`` with the donor. Without it, validation cells are drawn one by one, with a warning.
        validation
            Share of the donors that are held out; 0 for none, and then all epochs are run.
        lora
            ``True`` or options of :class:`peft.LoraConfig`: train a low-rank adapter only, the weights stay as they are.
        key
            Name of the sentences.
        checkpoint, resume, accelerator, progress
            See :func:`tcellmil.c2s.train_rows`.
        **training
            See :class:`tcellmil.c2s.LanguageTraining`: ``max_epochs``, ``lr``, ``batch_tokens``, ``seed``, ...

        Raises
        ------
        KeyError, TypeError, ValueError
            If sentences, columns, donors or options cannot be used; the message says which and what to do.

        Warns
        -----
        UserWarning
            If prompts are longer than the context and lose genes, cells lack a value, or the model does not know genes.
        """
        config = LanguageTraining(**training)
        tasks = resolve_tasks(tasks, self.record.get("prompts", "tcellmil"))
        lm = self.lm if self.lm.words else self.lm.with_words(_words_of(adata, key))
        cells = read_cells(adata, lm, key)
        held_out, donors = validation_rows(cells.table, donor_key, validation, config.seed)
        columns = {**({"donor": donor_key} if donor_key is not None else {}), **(columns or {})}
        about = {"columns": columns, "texts": dict(texts or {})}
        table = GeneTable(lm.tokenizer, lm.words)
        train = self._rows(tasks, cells.take(np.flatnonzero(~held_out)), table, lm.context, about, config.seed)
        valid = None
        if held_out.any():
            valid = self._rows(tasks, cells.take(np.flatnonzero(held_out)), table, lm.context, about, config.seed)
        fresh = lora not in (None, False)
        taught = add_adapter(lm, None if lora is True else lora, seed=config.seed) if fresh else lm
        try:
            options = {"checkpoint": checkpoint, "resume": resume, "accelerator": accelerator, "progress": progress}
            history = train_rows(taught, train, valid, config, **options)
            record = {
                **self.record,
                **about,
                "tasks": [task.as_dict() for task in tasks],
                "labels": {
                    name: _labels(adata, columns.get(name, name))
                    for task in tasks
                    for name in task.answers
                    if columns.get(name, name) in adata.obs
                },
                "line": cells.line.as_dict(),
                "n_genes": int(cells.ids.shape[1]),
                "training": config.as_dict(),
                "validation_donors": donors,
                "history": history.frame().to_dict("records"),
            }
            temperatures = self._temperatures(taught, tasks, cells.take(np.flatnonzero(held_out)), table, record)
        except BaseException:
            if fresh:
                drop_adapter(taught)
            raise
        self.lm, self.record, self._history = taught, {**record, "temperatures": temperatures}, record["history"]
        logger.info("C2S.train: %s", _summary(self._history, len(train), donors))

    def _rows(self, tasks, cells: Cells, table: GeneTable, context: int, about: dict, seed: int) -> TokenRows:
        """Examples of all tasks as tokens."""
        examples = [
            example for task in tasks for example in build_examples(task, cells.table, cells.ids, **about, seed=seed)
        ]
        encoded = encode_examples(examples, table, context)
        return TokenRows.of(encoded.input_ids, encoded.labels)

    def _temperatures(self, lm, tasks, cells: Cells, table: GeneTable, record: dict) -> dict[str, float]:
        """Temperature of each task that chooses among labels, fitted on validation cells."""
        found = {}
        for task in tasks:
            if task.unit != "cell" or len(task.answers) != 1 or task.answers[0] not in record["labels"]:
                continue
            name = task.answers[0]
            labels = record["labels"][name]
            if len(labels) < 2 or not len(cells.ids):
                continue
            some_cells = cells.take(np.arange(0, len(cells.ids), max(1, len(cells.ids) // CALIBRATED)))
            codes = pd.Index(labels).get_indexer(some_cells.table[record["columns"].get(name, name)].astype(str))
            if (codes >= 0).any():
                scores = _label_scores(lm, task, some_cells, table, labels, record, progress=False)
                found[task.name] = fit_label_temperature(scores, codes)
        return found

    @isolated
    def annotate(
        self,
        adata: AnnData,
        label_key: str | None = None,
        *,
        labels: Sequence[str] | None = None,
        task: TaskOrName = "cell_type_annotation",
        texts: Mapping[str, str] | None = None,
        key: str = _keys.CELL_SENTENCE,
        progress: bool = True,
    ) -> pd.DataFrame:
        """Probability of each label for each cell.

        Every label is scored whole, by its log-probability behind the cell's prompt, and normalised over the labels,
        after division by the temperature that was fitted on validation donors. So an answer is always one of the
        labels.

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        label_key
            Column of ``obs`` whose values are the labels to choose from; the values of the cells are not read.
        labels
            The labels, in place of ``label_key``; by default those that the model was trained on.
        task
            A task about one cell that answers with one field.
        texts
            Text of a field that holds for all cells; by default as in training.
        key
            Name of the sentences.
        progress
            Show a progress bar.

        Returns
        -------
        One row per cell, one column per label; rows sum to 1.

        Raises
        ------
        KeyError, TypeError, ValueError
            If sentences, labels or the task cannot be used.
        """
        task = self._task(task)
        name = one_field(task.answers, task.name)
        if label_key is not None and labels is not None:
            raise ValueError("give label_key or labels, not both")
        if label_key is not None:
            labels = _labels(adata, label_key)
        elif labels is None:
            labels = self.record.get("labels", {}).get(name)
            if labels is None:
                raise ValueError(f"the model was not trained on labels of {name!r}; name them: labels=[...]")
        lm = self.lm if self.lm.words else self.lm.with_words(_words_of(adata, key))
        cells, table = read_cells(adata, lm, key), GeneTable(lm.tokenizer, lm.words)
        record = {**self.record, "texts": dict(texts)} if texts is not None else self.record
        scores = _label_scores(lm, task, cells, table, list(labels), record, progress=progress)
        probabilities = label_probabilities(scores, self.record.get("temperatures", {}).get(task.name, 1.0))
        return pd.DataFrame(probabilities, index=adata.obs_names, columns=pd.Index(list(labels), name=name))

    @isolated
    def generate(
        self,
        n: int = 1,
        condition: Mapping[str, str | Sequence[str]] | None = None,
        *,
        task: TaskOrName = "cell_generation",
        n_genes: int | None = None,
        temperature: float = 1.0,
        top_p: float = 1.0,
        constrain: bool = True,
        engine: Literal["transformers", "vllm"] = "transformers",
        seed: int = 0,
        progress: bool = True,
    ) -> AnnData:
        """Write cells, and bring them back to expression along the line.

        Parameters
        ----------
        n
            Number of cells.
        condition
            What the prompt says: ``{"cell_type": "B cell"}``, or ``n`` texts for each field.
        task
            A task that answers with a cell.
        n_genes
            Genes of a sentence; by default as many as in training.
        temperature, top_p, constrain, engine
            See :func:`tcellmil.c2s.generate_sentences`.
        seed
            Of the draws.
        progress
            Show a progress bar.

        Returns
        -------
        AnnData of ``n`` cells and the model's genes. ``X``: expression along the line, CSR float32; ``obs``: the
        condition, ``n_unknown`` and ``n_repeated``, the words that were no genes or came again; the sentences as
        :func:`tcellmil.pp.cell_sentences` writes them.

        Raises
        ------
        KeyError, TypeError, ValueError
            If the condition lacks a field of the task or has other values than ``n``, or the model has no line yet.
        """
        import torch

        task, n = self._task(task), check_count(n, "n")
        if self.line is None or not self.lm.words:
            raise ValueError("the model has seen no cells, so there is no line back to expression; train it first")
        n_genes = int(self.record["n_genes"]) if n_genes is None else check_count(n_genes, "n_genes")
        conditions = per_cell(condition or {}, n)
        table = GeneTable(self.lm.tokenizer, self.lm.words)
        known: dict[tuple, np.ndarray] = {}
        texts = {name: text for name, text in self.record.get("texts", {}).items() if name not in conditions}
        prompts = []
        for row in conditions.itertuples(index=False, name=None):
            if row not in known:
                pieces = prompt_with(task, n_genes=n_genes, **texts, **dict(zip(conditions.columns, row, strict=True)))
                known[row] = np.concatenate([table.begin, table.text(pieces)])
            prompts.append(known[row])
        options = {"n_genes": n_genes, "temperature": temperature, "top_p": top_p, "constrain": constrain}
        found = generate_sentences(
            self.lm.model,
            self.lm.tokenizer,
            prompts,
            self.lm.words,
            **options,
            engine=engine,
            progress=progress,
            after_blank=task.answer.startswith(" "),
            generator=torch.Generator().manual_seed(seed),
        )
        params = {**options, "task": task.name, "seed": seed, "engine": engine}
        return generated_adata(found, self.lm.words, self.line, conditions, params)

    @isolated
    def embed(
        self,
        adata: AnnData,
        *,
        task: TaskOrName = "cell_type_annotation",
        texts: Mapping[str, str] | None = None,
        key: str = _keys.CELL_SENTENCE,
        progress: bool = True,
    ) -> np.ndarray:
        """Embed each cell as the mean of the last hidden layer over the tokens of its prompt (section 4.6.3).

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        task
            Whose prompt is read; one about one cell.
        texts, key, progress
            As in :meth:`annotate`.

        Returns
        -------
        ``(n_cells, width)`` float32.

        Raises
        ------
        KeyError, ValueError
            If sentences or the task cannot be used.
        """
        task = self._task(task)
        lm = self.lm if self.lm.words else self.lm.with_words(_words_of(adata, key))
        cells, table = read_cells(adata, lm, key), GeneTable(lm.tokenizer, lm.words)
        record = {**self.record, "texts": dict(texts)} if texts is not None else self.record
        return embed_prompts(lm.model, _prompts(task, cells, table, lm.context, record), progress=progress)

    def merge(self) -> None:
        """Add a LoRA adapter to the weights; the model answers as before."""
        self.lm = merge_adapter(self.lm)

    @property
    def has_adapter(self) -> bool:
        """Whether a LoRA adapter lies beside the weights."""
        return has_adapter(self.lm)

    def save(self, path: str | Path, *, overwrite: bool = False) -> None:
        """Write weights, tokenizer, tasks, line and provenance into a folder; see :func:`load`.

        Raises
        ------
        ValueError, OSError
            See :func:`tcellmil.c2s.save_language_model`.
        """
        save_language_model(self.lm, path, self.record, overwrite=overwrite)

    @classmethod
    def load(cls, path: str | Path) -> C2S:
        """Read what :meth:`save` wrote. Nothing in the folder is executed.

        Raises
        ------
        ImportError, ValueError
            See :func:`tcellmil.c2s.load_language_model`.
        """
        return cls(*load_language_model(path))

    def _task(self, task: TaskOrName) -> Task:
        """A task by its name, as it was trained where it was."""
        trained = {known["name"]: known for known in self.record.get("tasks", [])}
        if isinstance(task, str) and task in trained:
            return Task.from_dict(trained[task])
        (found,) = resolve_tasks(task, self.record.get("prompts", "tcellmil"))
        return found


def _words_of(adata: AnnData, key: str) -> list[str]:
    from tcellmil.data import CellSentences

    return CellSentences.of(adata, key).words.tolist()


def _labels(adata: AnnData, column: str) -> list[str]:
    """Values of a column, in their order."""
    from tcellmil._checks import check_obs_column
    from tcellmil._order import names_in_order

    values = check_obs_column(adata, column, "label_key").dropna()
    wrong = [value for value in values.unique() if not isinstance(value, str)]
    if wrong:
        raise TypeError(
            f"label_key={column!r} must hold text, got {some(wrong)}; make it text: adata.obs[{column!r}].astype(str)"
        )
    return list(names_in_order(values))


def _prompts(task: Task, cells: Cells, table: GeneTable, context: int, record: Mapping, reserved: int = 0) -> list:
    """Tokens of the prompt of each cell."""
    if task.unit != "cell":
        raise ValueError(f"task {task.name!r} is about {task.unit}; this needs one about a single cell")
    about = {"columns": record.get("columns"), "texts": record.get("texts")}
    examples = build_examples(task, cells.table, cells.ids, **about, wording=0, answers=False)
    return [encode_prompt(example, table, context, reserved=reserved)[0] for example in examples]


def _label_scores(
    lm, task: Task, cells: Cells, table: GeneTable, labels: list[str], record: Mapping, *, progress: bool
):
    """``(n_cells, n_labels)``: log-probability of each label, whole."""
    answers = [task.answer_with(**{task.answers[0]: label}) if isinstance(label, str) else label for label in labels]
    texts = [answer for answer in answers if isinstance(answer, str)]
    longest = max((len(ids) for ids in table.whole(texts)), default=0) + 1
    prompts = _prompts(task, cells, table, lm.context, record, reserved=longest)
    return label_log_probabilities(lm.model, lm.tokenizer, prompts, answers, progress=progress)


def _summary(history: list[dict], n: int, donors: list[str]) -> str:
    last = history[-1] if history else {}
    validated = f", validated on donors {some(donors)}" if donors else ""
    return f"{n} examples, {len(history)} epochs, training loss {last.get('train_loss', np.nan):.3f}{validated}"
