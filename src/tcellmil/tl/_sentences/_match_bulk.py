"""Whether an embedding puts a cell beside the pseudobulk that it belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil import _keys
from tcellmil._checks import check_adata, check_count, check_finite, check_layer, check_obs_column, some
from tcellmil._docs import documented
from tcellmil._matrix import count_not_finite
from tcellmil._verbs import Result, verb

if TYPE_CHECKING:
    from anndata import AnnData

    from tcellmil._matrix import Matrix

SCORES = ["similarity", "closer_bulks", "closer_cells", "foscttm"]
#: Columns of the tables, which no column of the user's may be.
TAKEN = {*SCORES, "cell", "n_cells"}
SEPARATOR = " | "  # between the parts of the name of a pseudobulk


@documented
@verb()
def match_bulk(
    adata: AnnData,
    groupby: str | Sequence[str],
    use_rep: str | None = None,
    n_cells: int = 10,
    *,
    model: Callable[[AnnData], np.ndarray] | Any | None = None,
    layer: str | None = None,
    leave_out: bool = True,
    seed: int = 0,
    key_added: str = _keys.MATCH_BULK,
    copy: bool = False,
) -> Result:
    """Measure how well an embedding matches cells with the pseudobulk of their condition.

    Section 4.6.4 of the paper: pseudobulks are made of the cells of each donor, cell type and batch, ten random cells
    of each condition are paired with its pseudobulk, cells and pseudobulks are embedded in the same way, and cosine
    similarities tell how often another one is closer than the true match (:func:`tcellmil.metrics.foscttm`). 0: the
    embedding always finds the match; 0.5: as at random.

    How pseudobulks are embedded, one of two ways:

    - ``model``: cells and pseudobulks go through it *in one call*, as one AnnData, so that it is one function of both.
      This is the task of the paper.
    - ``use_rep``: the pseudobulk is the mean of the representation over its cells. This is what a *linear* embedding
      gives of mean expression (principal components, say), without computing anything. For a language model or another
      network it is not the embedding of the bulk, and an easier task; pass the ``model``.

    In the paper, as far as it says, a drawn cell is among those that make up its pseudobulk. It is then closer to it
    even where the embedding is noise: of 20 conditions of 30 cells with 50 random features each, FOSCTTM is 0.18. By
    default the pseudobulk is therefore of the *other* cells of the condition, which gives noise its 0.5.

    Reads the columns ``groupby`` of ``obs``, and ``obsm[use_rep]`` or the expression. Cells without a condition, and
    conditions with too few cells, are left out, and counted in the log.

    Parameters
    ----------
    adata
        Cells with the columns ``groupby``.
    groupby
        Columns of ``obs``, such as ``["donor", "cell_type", "batch"]``; each combination that occurs is a condition.
    use_rep
        Key of ``obsm``: the representation of the cells, whose mean is that of the pseudobulk.
    n_cells
        Cells that are drawn from each condition. One with fewer, or with no other cell where ``leave_out``, is left
        out.
    model
        What embeds, in place of ``use_rep``: a :class:`tcellmil.model.C2S`, for which cells and pseudobulks are ranked
        into sentences; or any object with a method ``embed``, or a function, called with an AnnData of the drawn cells
        and, after them, the pseudobulks: it returns an array with a row for each. The AnnData has the expression in
        ``X``, the ``var`` of ``adata`` and, in ``obs``, the columns ``groupby`` and ``is_bulk``.
    layer
        Expression to sum up, for ``model``; ``adata.X`` by default. Whole numbers, as counts are, are added up; of
        other values pseudobulks are means.
    leave_out
        Make pseudobulks without the drawn cells; ``False`` as in the paper.
    seed
        Which cells are drawn depends on their names, that of their condition and the seed.
    key_added
        Key of ``uns``.
    %(copy)s

    Returns
    -------
    ``None``, or the changed copy. Written to ``uns["match_bulk"]``:

    - ``pairs``: one row per drawn cell with the columns ``groupby``, ``cell``, ``similarity`` (cosine, with its
      pseudobulk), ``closer_bulks`` (share of the other pseudobulks that are closer to the cell), ``closer_cells``
      (share of the drawn cells of other conditions that are closer to the pseudobulk) and ``foscttm``, the mean of
      these two;
    - ``conditions``: one row per condition with the columns ``groupby``, ``n_cells`` (of the pseudobulk) and means of
      the above over its drawn cells;
    - ``params``: the arguments and ``foscttm``, the mean over all pairs.

    Raises
    ------
    KeyError
        If there is no such column, representation or layer; ``adata`` is then unchanged, as on every error.
    TypeError
        If ``model`` can embed nothing, or gives no numbers.
    ValueError
        If both or none of ``use_rep`` and ``model`` are given, fewer than two conditions have enough cells, a column of
        ``obs`` has the name of one of the tables, values are not finite, or an embedding is 0 throughout.

    References
    ----------
    Rizvi et al. (2025), C2S-Scale, section 4.6.4.

    Examples
    --------
    >>> import tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60)
    >>> def log_expression(cells):
    ...     return cells.X.toarray()
    >>> tm.tl.match_bulk(adata, ["patient", "cell_type"], n_cells=5, model=log_expression)
    >>> bool(tm.get.match_bulk(adata)["foscttm"].mean() < 0.5)
    True
    """
    check_adata(adata)
    from tcellmil.metrics._foscttm import matching
    from tcellmil.metrics._pseudobulk import draw_cells, pseudobulks

    if (use_rep is None) == (model is None):
        raise ValueError(
            "say what embeds: use_rep='...', a key of adata.obsm, or model=..., which embeds cells and pseudobulks; "
            "one of the two"
        )
    columns, n_cells = _checked_columns(groupby), check_count(n_cells, "n_cells")
    values = _expression(adata, layer) if use_rep is None else _representation(adata, use_rep)
    codes, conditions, message = _conditions(adata, columns, n_cells + bool(leave_out))
    names = [SEPARATOR.join(row) for row in conditions.itertuples(index=False, name=None)]
    rows = draw_cells(codes, names, adata.obs_names.to_numpy(), n_cells, seed)
    match = codes[rows]
    of_bulk = codes.copy()
    if leave_out:
        of_bulk[rows] = -1
    bulks = pseudobulks(values, of_bulk, len(names), None if use_rep is None else "mean")
    if use_rep is None:
        cells, bulks = _embedded(model, _together(adata, values[rows], bulks, conditions, rows, match), len(rows))
    else:
        cells = values[rows]

    closer_bulks, closer_cells, similarity = matching(cells, bulks, match, names=("cells", "pseudobulks"))
    scores = [similarity, closer_bulks, closer_cells, (closer_bulks + closer_cells) / 2]
    pairs = conditions.iloc[match].reset_index(drop=True).assign(cell=adata.obs_names[rows].astype(object))
    pairs = pairs.assign(**dict(zip(SCORES, scores, strict=True)))
    means = pairs.groupby(match)[SCORES].mean()
    table = conditions.assign(n_cells=np.bincount(of_bulk[of_bulk >= 0], minlength=len(names))).join(means)
    total = float(pairs["foscttm"].mean())
    params = {"groupby": columns, "model": _described(model), "n_features": cells.shape[1], "foscttm": total}
    message = f"FOSCTTM {total:.3f} of {n_cells} cells each and {len(names)} pseudobulks of {some(columns)}{message}"
    return Result({"pairs": pairs, "conditions": table}, message, params)


def _checked_columns(groupby: str | Sequence[str]) -> list[str]:
    columns = [groupby] if isinstance(groupby, str) else list(groupby)
    if not columns:
        raise ValueError("groupby is empty; name columns of adata.obs, such as ['donor', 'cell_type', 'batch']")
    twice = [name for name in columns if columns.count(name) > 1]
    if twice:
        raise ValueError(f"groupby names {some(dict.fromkeys(twice))} more than once")
    taken = [name for name in columns if name in TAKEN]
    if taken:
        raise ValueError(f"groupby={some(taken)} is the name of a column of the result; rename the column of adata.obs")
    return columns


def _conditions(adata: AnnData, columns: list[str], n_least: int) -> tuple[np.ndarray, pd.DataFrame, str]:
    """Condition of each cell, -1 for none; the conditions; and what was left out, in words."""
    labels = pd.DataFrame({name: check_obs_column(adata, name, "groupby").astype(object) for name in columns})
    known = labels.notna().all(axis=1).to_numpy()
    labels = labels[known].astype(str)
    sizes = labels.value_counts(sort=False).reset_index(name="size")
    enough = sizes[sizes["size"] >= n_least].sort_values(columns, ignore_index=True)
    if len(enough) < 2:
        raise ValueError(
            f"{len(enough)} of {len(sizes)} conditions of groupby={some(columns)} have at least {n_least} cells; two "
            "are needed to compare. Choose a lower n_cells, or fewer columns"
        )
    codes = np.full(adata.n_obs, -1)
    index = pd.MultiIndex.from_frame(enough[columns])
    codes[known] = index.get_indexer(pd.MultiIndex.from_frame(labels))
    n_missing, n_small = int((~known).sum()), len(sizes) - len(enough)
    message = f"; {n_missing} cells have no condition and are left out" if n_missing else ""
    message += f"; {n_small} conditions have fewer than {n_least} cells and are left out" if n_small else ""
    return codes, enough[columns], message


def _representation(adata: AnnData, use_rep: str) -> np.ndarray:
    if use_rep not in adata.obsm:
        raise KeyError(f"use_rep={use_rep!r} is not in adata.obsm; there are {some(adata.obsm)}")
    values = adata.obsm[use_rep]
    values = np.asarray(values.toarray() if sparse.issparse(values) else values, dtype=float)
    check_finite(values, f"obsm[{use_rep!r}]")
    return values


def _expression(adata: AnnData, layer: str | None) -> Matrix:
    values = check_layer(adata, layer)
    n_bad = count_not_finite(values)
    if n_bad:
        raise ValueError(
            f"the expression holds {n_bad} NaN or infinite values; remove these cells or genes, or fill them"
        )
    return values.tocsr() if sparse.issparse(values) else np.asarray(values)


def _together(
    adata: AnnData, cells: Matrix, bulks: Matrix, conditions: pd.DataFrame, rows: np.ndarray, match: np.ndarray
) -> AnnData:
    """The drawn cells and, after them, the pseudobulks."""
    from anndata import AnnData

    stack = sparse.vstack if sparse.issparse(cells) else np.vstack
    options = {"format": "csr"} if sparse.issparse(cells) else {}
    obs = pd.concat([conditions.iloc[match], conditions], ignore_index=True)
    obs["is_bulk"] = np.arange(len(obs)) >= len(rows)
    obs.index = [*adata.obs_names[rows].astype(str), *(f"pseudobulk-{i}" for i in range(len(conditions)))]
    return AnnData(stack([cells, bulks], **options), obs=obs, var=adata.var.copy())


def _embedded(model: object, data: AnnData, n_cells: int) -> tuple[np.ndarray, np.ndarray]:
    from tcellmil.model import C2S

    embed = getattr(model, "embed", model)
    if isinstance(model, C2S):
        embed = partial(model.embed, key=None, progress=False)
    if not callable(embed):
        raise TypeError(f"model must be a function, or have a method embed, got {type(model).__name__}")
    n_all = data.n_obs
    found = embed(data)
    found = np.asarray(found.toarray() if sparse.issparse(found) else found)
    if found.ndim != 2 or len(found) != n_all or found.dtype.kind not in "biuf":
        raise TypeError(
            f"model must return numbers, (n_obs, n_features), here of {n_all} cells and pseudobulks; got "
            f"{found.dtype} of shape {found.shape}"
        )
    return found[:n_cells], found[n_cells:]


def _described(model: object) -> str:
    return "" if model is None else getattr(model, "__qualname__", type(model).__name__)
