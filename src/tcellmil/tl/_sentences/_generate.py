"""Cells that a language model writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from tcellmil._docs import documented
from tcellmil._log import logger

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil.c2s import Task
    from tcellmil.model import C2S


@documented
def generate_cells(
    model: C2S,
    n: int = 1,
    condition: Mapping[str, str | Sequence[str]] | None = None,
    *,
    task: str | Task = "cell_generation",
    n_genes: int | None = None,
    temperature: float = 1.0,
    top_p: float = 1.0,
    constrain: bool = True,
    seed: int = 0,
    progress: bool = True,
) -> AnnData:
    """Let a language model write cells, and bring them back to expression.

    Parameters
    ----------
    model
        A trained :class:`tcellmil.model.C2S`.
    n
        Number of cells.
    condition
        What is asked for: ``{"cell_type": "B cell"}``, or ``n`` texts for a field.
    task
        A task that answers with a cell.
    n_genes
        Genes of a sentence; by default as many as in training.
    temperature
        0 takes the likeliest gene each time, 1 draws as the model says.
    top_p
        Draw among the likeliest genes that hold this probability together.
    constrain
        Allow whole genes only, and none twice.
    seed
        Of the draws.
    %(progress)s

    Returns
    -------
    A new AnnData of ``n`` cells and the model's genes: expression along the model's line in ``X``, the condition and
    counts of unknown and repeated words in ``obs``, and sentences as of :func:`tcellmil.pp.cell_sentences`.

    Raises
    ------
    KeyError, TypeError, ValueError
        If the condition lacks a field of the task, or has another number of values than ``n``.

    References
    ----------
    Rizvi et al. (2025), section 4.6.2.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    >>> tm.pp.cell_sentences(adata, n_genes=20)
    >>> model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    >>> cells = tm.tl.generate_cells(model, 3, {"cell_type": "B cell"}, progress=False)
    >>> cells.obs["n_repeated"].tolist()
    [0, 0, 0]
    """
    options = {"n_genes": n_genes, "temperature": temperature, "top_p": top_p, "constrain": constrain, "seed": seed}
    cells = model.generate(n, condition, task=task, **options, progress=progress)
    logger.info("generate_cells: %d cells of %d genes at most", cells.n_obs, cells.obsm["X_cell_sentence"].shape[1])
    return cells
