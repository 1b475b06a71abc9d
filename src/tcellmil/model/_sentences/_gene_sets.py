"""Gene sets that a model learns from, and which of them validate it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import some
from tcellmil._log import warn
from tcellmil.c2s import Example, GeneTable, Task
from tcellmil.c2s._tasks._gene_sets import checked_sets
from tcellmil.c2s._tokens._encode import fits

if TYPE_CHECKING:
    from collections.abc import Collection


def check_gene_sets(
    tasks: Sequence[Task], gene_sets: pd.DataFrame | None, words: Collection[str]
) -> pd.DataFrame | None:
    """Gene sets with the genes that are words, each once; ``None`` where no task is about gene sets.

    Raises
    ------
    TypeError
        If they are no table.
    KeyError
        If a column is missing.
    ValueError
        If a task needs gene sets and there are none, or there are some and no task needs them, they are empty, a
        name is missing, or none of their genes is a word.
    """
    about = [task.name for task in tasks if task.unit == "gene set"]
    if gene_sets is None:
        if about:
            raise ValueError(f"task {about[0]!r} is about gene sets; give some: gene_sets=tm.io.read_gmt(...)")
        return None
    gene_sets = checked_sets(gene_sets, "gene_sets")
    if not about:
        raise ValueError(
            "gene_sets are given, and no task is about gene sets; add tasks=[..., 'gene_set_naming'] or "
            "'gene_set_enumeration', or leave them out"
        )
    if gene_sets.empty:
        raise ValueError("gene_sets is empty; give at least one gene of a set, or leave it out")
    known = gene_sets[gene_sets["target"].isin(list(words))]
    if known.empty:
        raise ValueError(
            f"none of the {gene_sets['target'].nunique()} genes of gene_sets is known: they look like "
            f"{some(gene_sets['target'].unique(), 3)}, those of the cells like {some(list(words)[:3])}"
        )
    return known


def split_gene_sets(gene_sets: pd.DataFrame, share: float, seed: int) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Whole sets to learn from, and the share of them that validates."""
    names = gene_sets["source"].unique()
    n = min(len(names) - 1, max(1, round(share * len(names)))) if share else 0
    if share and not n:
        warn(f"there is one gene set, {names[0]!r}, so none validates; give more, or pass validation=0")
    held_out = gene_sets["source"].isin(np.random.default_rng(seed).permutation(names)[:n])
    return gene_sets[~held_out], gene_sets[held_out]


def examples_that_fit(examples: Sequence[Example], task: str, table: GeneTable, context: int) -> list[Example]:
    """Examples whose answers fit into the context; a warning says how many are left out.

    Raises
    ------
    ValueError
        If none does.
    """
    found = [example for example in examples if fits(example, table, context)]
    left_out = f"{len(examples) - len(found)} of {len(examples)} gene sets are too long for task {task!r} and the"
    if not found:
        raise ValueError(f"{left_out} context of {context} tokens; give shorter ones, or use a longer context")
    if len(found) < len(examples):
        warn(f"{left_out} context of {context} tokens; they are left out")
    return found
