"""Annotate and embed cells by a language model of their sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._verbs import Result, verb

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.c2s import Task
    from tcellmil.model import C2S

PROBABILITY = "probability"


@documented
@verb(obsm=[""], obs=["", PROBABILITY])
def annotate_sentences(
    adata: AnnData,
    model: C2S,
    label_key: str | None = None,
    *,
    labels: Sequence[str] | None = None,
    task: str | Task = "cell_type_annotation",
    texts: Mapping[str, str] | None = None,
    n_wordings: int | None = 1,
    key: str = _keys.CELL_SENTENCE,
    key_added: str = _keys.C2S_ANNOTATION,
    progress: bool = True,
    copy: bool = False,
) -> Result:
    """Annotate cells by a language model: the likeliest label of a closed set, and the probability of each.

    Every label is scored whole, behind a prompt that is computed once (:meth:`tcellmil.model.C2S.annotate`). Where the
    model was validated on held-out donors, probabilities are calibrated on them.

    Parameters
    ----------
    adata
        Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
    model
        A :class:`tcellmil.model.C2S`.
    label_key
        Column of ``obs`` whose values are the labels to choose from; those of the cells themselves are not read.
    labels
        The labels, in place of ``label_key``; by default those that the model was trained on.
    task
        A task about one cell that answers with one field.
    texts
        Text of a field that holds for all cells; by default as in training.
    n_wordings
        Wordings of the question to ask each cell in, whose log-probabilities are averaged; ``None`` for all. The answer
        then depends less on how it was asked, and takes as many times as long.
    key
        Name of the sentences.
    key_added
        Name of the result.
    %(progress)s
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Sets ``obs[key_added]``, the likeliest label, ``obs[key_added + "_probability"]``,
    its probability, ``obsm["X_" + key_added]``, the probability of every label, and ``uns[key_added]`` with ``labels``
    in the order of these columns and ``params``.

    Raises
    ------
    KeyError, TypeError, ValueError
        If sentences, labels or the task cannot be used; ``adata`` is then unchanged.

    Notes
    -----
    A tiny model reads some hundred cells a second on a CPU.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> tm.tl.annotate_sentences(adata, model, "cell_type", progress=False)
    >>> adata.obsm["X_c2s_annotation"].shape
    (180, 10)
    """
    found = model.annotate(
        adata, label_key, labels=labels, task=task, texts=texts, n_wordings=n_wordings, key=key, progress=progress
    )
    values, names = found.to_numpy(), np.array(found.columns, dtype=object)
    best = values.argmax(axis=1)
    label = pd.Categorical.from_codes(best, categories=list(names))
    counts = pd.Series(label).value_counts()
    message = f"{len(found)} cells, {len(names)} labels; most are {counts.index[0]!r} ({counts.iloc[0]})"
    return Result(
        {"labels": names},
        message,
        {**model.describe(), "task": task if isinstance(task, str) else task.name},
        obsm={"": values.astype(np.float32)},
        obs={"": label, PROBABILITY: values.max(axis=1)},
    )


@documented
@verb(obsm=[""])
def embed_sentences(
    adata: AnnData,
    model: C2S,
    *,
    task: str | Task = "cell_type_annotation",
    texts: Mapping[str, str] | None = None,
    key: str = _keys.CELL_SENTENCE,
    key_added: str = _keys.C2S,
    progress: bool = True,
    copy: bool = False,
) -> Result:
    """Embed cells by a language model: the mean of its last hidden layer over the tokens of a cell's prompt.

    The embedding is a representation like any other: ``tl.fit_mil(use_rep="X_c2s")``. A model that was trained on
    labels of these cells' patients carries them into the embedding; keep them apart from what is to be predicted.

    Parameters
    ----------
    adata
        Cells with sentences of :func:`tcellmil.pp.cell_sentences`.
    model
        A :class:`tcellmil.model.C2S`.
    task
        Whose prompt is read; one about one cell.
    texts
        Text of a field that holds for all cells; by default as in training.
    key
        Name of the sentences.
    key_added
        Name of the result.
    %(progress)s
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Sets ``obsm["X_" + key_added]``, float32, cells x width of the model, and
    ``uns[key_added]`` with ``params``.

    Raises
    ------
    KeyError, ValueError
        If sentences or the task cannot be used; ``adata`` is then unchanged.

    References
    ----------
    Rizvi et al. (2025), section 4.6.3.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> tm.tl.embed_sentences(adata, model, progress=False)
    >>> adata.obsm["X_c2s"].shape
    (180, 16)
    """
    values = model.embed(adata, task=task, texts=texts, key=key, progress=progress)
    params = {**model.describe(), "task": task if isinstance(task, str) else task.name}
    return Result({}, f"{len(values)} cells in {values.shape[1]} dimensions", params, obsm={"": values})
