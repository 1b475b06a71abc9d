"""The language model class: cells as sentences, trained on, annotated, generated and embedded."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_choice, check_count, choices
from tcellmil._isolation import isolated
from tcellmil.c2s import (
    GeneTable,
    embed_prompts,
    label_probabilities,
)

from ._ask import labels_of, prompts_of, score_labels, write_cells
from ._cells import one_field, per_cell
from ._generated import generated_adata
from ._teach import Start, teach, training_of
from ._trained_model import TaskOrName, TrainedModel

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil._devices import Accelerator


class C2S(TrainedModel):
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
    (180, 10)
    """

    @isolated
    def train(
        self,
        adata: AnnData,
        tasks: TaskOrName | Iterable[TaskOrName] | None = None,
        *,
        columns: Mapping[str, str] | None = None,
        texts: Mapping[str, str] | None = None,
        donor_key: str | None = None,
        validation: float = 0.2,
        gene_sets: pd.DataFrame | None = None,
        balance: bool = True,
        start: Start = "cooccurrence",
        lora: Mapping[str, object] | bool | None = None,
        key: str = _keys.CELL_SENTENCE,
        checkpoint: str | Path | None = None,
        resume: bool = True,
        accelerator: Accelerator = "auto",
        progress: bool = True,
        **training,
    ) -> None:
        """Teach the model to answer tasks about these cells; the loss is on the answers only.

        Validation cells are those of whole donors, drawn with ``seed``; with a ``patience``, training stops early by
        their loss, and the temperature of the labels is fitted on them. On an error or an interrupt the model is as it
        was.

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
        gene_sets
            For tasks about gene sets: DataFrame ``source, target`` as of :func:`tcellmil.io.read_gmt`. Genes that the
            model does not know are left out; of the sets, too, the share ``validation`` is held out, whole.
        balance
            Where a prompt of one cell names a value, such as the type of a cell to be written, rare values come as
            often as the mean over all values. Labels that are asked for stay as frequent as they are.
        start
            Where random weights begin that have learned nothing yet. ``"cooccurrence"``: genes that occur in the same
            cells have similar vectors, see :func:`tcellmil.c2s.gene_vectors`; cells that validate are not read.
            ``"random"``: as they are. Other weights and adapters begin as they are.
        lora
            ``True`` or options of :class:`peft.LoraConfig`: train an adapter of low rank, the weights stay as they are.
        key
            Name of the sentences.
        checkpoint, resume, accelerator, progress
            See :func:`tcellmil.c2s.train_rows`.
        **training
            See :class:`tcellmil.c2s.LanguageTraining`: ``max_epochs``, ``lr``, ``batch_tokens``, ``seed``, ... Random
            weights are trained for 8 epochs in batches of 512 tokens by default, with a learning rate of 2e-3, a weight
            decay of 0.1 and ``patience=None``; adapters with a learning rate of 2e-4; other weights as in the paper.

        Raises
        ------
        KeyError, TypeError, ValueError
            If sentences, columns, donors or options cannot be used; the message says which and what to do.

        Warns
        -----
        UserWarning
            If prompts are longer than the context and lose genes, cells lack a value, or the model does not know genes.
        """
        tasks = self._tasks(tasks)
        check_choice(start, choices(Start), "start")
        config = training_of(self.lm, lora, training)
        lm, cells = self._read(adata, key)
        record = {**self.record, "columns": dict(self.record["columns"] if columns is None else columns)}
        record["texts"] = dict(self.record["texts"] if texts is None else texts)
        self.lm, self.record = teach(
            lm,
            cells,
            tasks,
            config,
            record,
            donor_key=donor_key,
            validation=validation,
            gene_sets=gene_sets,
            balance=balance,
            start=start,
            lora=lora,
            checkpoint=checkpoint,
            resume=resume,
            accelerator=accelerator,
            progress=progress,
        )

    @isolated
    def annotate(
        self,
        adata: AnnData,
        label_key: str | None = None,
        *,
        labels: Sequence[str] | None = None,
        task: TaskOrName = "cell_type_annotation",
        texts: Mapping[str, str] | None = None,
        n_wordings: int | None = 1,
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
        n_wordings
            Wordings of the question to ask each cell in, whose log-probabilities are averaged; ``None`` for all. The
            answer then depends less on how it was asked, and takes as many times as long.
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
        (task,) = self._tasks(task)
        name = one_field(task.answers, task.name)
        if n_wordings is not None:
            check_count(n_wordings, "n_wordings")
        if label_key is not None and labels is not None:
            raise ValueError("give label_key or labels, not both")
        if label_key is not None:
            labels = labels_of(adata.obs, label_key)
        elif labels is None:
            labels = self.record["labels"].get(name)
            if labels is None:
                raise ValueError(f"the model was not trained on labels of {name!r}; name them: labels=[...]")
        lm, cells = self._read(adata, key)
        table, record = GeneTable(lm.tokenizer, lm.words), self._record_with(texts)
        how = {"n_wordings": n_wordings, "progress": progress}
        scores = score_labels(task, cells, list(labels), lm, table, record, **how)
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

        (task,), n = self._tasks(task), check_count(n, "n")
        if self.line is None or not self.lm.words:
            raise ValueError(
                "the model has seen no cells, so there is no line back to expression; run train or use_cells"
            )
        n_genes = int(self.record["n_genes"]) if n_genes is None else check_count(n_genes, "n_genes")
        conditions = per_cell(condition or {}, n)
        options = {"temperature": temperature, "top_p": top_p, "constrain": constrain, "engine": engine}
        found = write_cells(
            task,
            conditions,
            self.lm,
            GeneTable(self.lm.tokenizer, self.lm.words),
            self.record,
            n_genes=n_genes,
            generator=torch.Generator().manual_seed(seed),
            progress=progress,
            **options,
        )
        params = {**options, "n_genes": n_genes, "task": task.name, "seed": seed, **self.describe()}
        return generated_adata(found, self.lm.words, self.line, conditions, params)

    @isolated
    def embed(
        self,
        adata: AnnData,
        *,
        task: TaskOrName = "cell_type_annotation",
        texts: Mapping[str, str] | None = None,
        key: str | None = _keys.CELL_SENTENCE,
        progress: bool = True,
    ) -> np.ndarray:
        """Embed each cell as the mean of the last hidden layer over the tokens of its prompt (section 4.6.3).

        Parameters
        ----------
        adata
            Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
        task
            Whose prompt is read; one about one cell.
        texts, progress
            As in :meth:`annotate`.
        key
            Name of the sentences; ``None`` ranks ``adata.X`` for them, with as many genes as in training.

        Returns
        -------
        ``(n_cells, width)`` float32.

        Raises
        ------
        KeyError, ValueError
            If sentences or the task cannot be used.
        """
        (task,) = self._tasks(task)
        lm, cells = self._read(adata, key)
        prompts = prompts_of(task, cells, lm, GeneTable(lm.tokenizer, lm.words), self._record_with(texts))
        return embed_prompts(lm.model, prompts, progress=progress)
