"""Prompts and answers about gene sets."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from tcellmil._checks import check_count, some
from tcellmil._log import warn
from tcellmil.c2s._tasks._examples import Example, example_of, wordings_of
from tcellmil.c2s._tasks._task import GENE_SET, GENES, N_GENES, Task, one_task
from tcellmil.c2s._tasks._template import GENE_COUNT, Field


def gene_set_examples(
    task: Task | str,
    sets: pd.DataFrame,
    words: Sequence[str],
    *,
    wording: int | None = None,
    answers: bool = True,
    max_genes: int | None = None,
    seed: int = 0,
) -> list[Example]:
    """Examples of a task from gene sets, as :func:`tcellmil.io.read_gmt` and ``read_msigdb_json`` give them.

    Parameters
    ----------
    task
        The task, or its name.
    sets
        DataFrame ``source, target``, a row for each gene of a set.
    words
        Words of the genes. Genes of a set that are not among them are left out, and not counted in the prompt.
    wording, answers, seed
        As in :func:`build_examples`. ``rows`` of an example is the place of the set, in the order of ``sets``.
    max_genes
        Leave out sets with more genes than this.

    Raises
    ------
    KeyError
        If ``sets`` lacks a column.
    ValueError
        If the task is not known or is about cells, a name is missing, or no set has a gene among the words.

    Warns
    -----
    UserWarning
        If sets are left out.

    Examples
    --------
    >>> import pandas as pd
    >>> from tcellmil.c2s import example_text, gene_set_examples
    >>> sets = pd.DataFrame({"source": "B cell markers", "target": ["CD79A", "MS4A1"]})
    >>> [example] = gene_set_examples("gene_set_enumeration", sets, ["MS4A1", "CD79A", "NKG7"], wording=0)
    >>> print("".join(example_text(example, ["MS4A1", "CD79A", "NKG7"])))
    List the 2 genes of a gene set.
    Name: B cell markers
    Genes: CD79A MS4A1
    """
    task = one_task(task)
    if task.unit != "gene set":
        raise ValueError(f"task {task.name!r} is about cells; call build_examples")
    sets = checked_sets(sets, "sets")
    place = pd.Index(words).get_indexer(sets["target"])
    found: dict[str, list[int]] = {str(name): [] for name in sets["source"]}
    for name, gene in zip(sets["source"], place, strict=True):
        if gene >= 0:
            found[str(name)].append(int(gene))
    most = np.inf if max_genes is None else check_count(max_genes, "max_genes")
    kept = [i for i, genes in enumerate(found.values()) if 0 < len(genes) <= most]
    if not kept:
        raise ValueError(
            f"none of the {len(found)} gene sets has {'a gene' if max_genes is None else f'1 to {max_genes} genes'} "
            f"among the {len(words)} words, such as {some(words)}; the sets have {some(sets['target'].unique())}"
        )
    if len(kept) < len(found):
        warn(
            f"{len(found) - len(kept)} of {len(found)} gene sets are left out: no gene is known, or there are too many"
        )
    names, members = list(found), list(found.values())
    chosen = wordings_of(task, wording, len(kept), np.random.default_rng(seed))
    examples = []
    for which, i in zip(chosen, kept, strict=True):
        genes = np.array(members[i], dtype=np.int32)
        values = {Field(GENE_SET): names[i], Field(GENES): genes, Field(N_GENES): GENE_COUNT}
        examples.append(example_of(task, which, values, len(genes), np.array([i]), answers))
    return examples


def checked_sets(sets: pd.DataFrame, argument: str) -> pd.DataFrame:
    """Columns ``source, target`` of gene sets, each pair once.

    Raises
    ------
    TypeError
        If they are no DataFrame.
    KeyError
        If a column is missing.
    ValueError
        If a source or a target is missing.
    """
    if not isinstance(sets, pd.DataFrame):
        raise TypeError(f"{argument} must be a DataFrame source, target, got {type(sets).__name__}")
    missing = {"source", "target"} - set(sets.columns)
    if missing:
        raise KeyError(f"{argument} lacks the columns {sorted(missing)}; it has {some(sets.columns)}")
    sets = sets[["source", "target"]].astype(object)
    n_missing = int(sets.isna().any(axis=1).sum())
    if n_missing:
        raise ValueError(f"{argument} has {n_missing} rows without a source or a target; drop them")
    return sets.drop_duplicates()
