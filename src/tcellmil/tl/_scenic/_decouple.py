"""Scores by the methods of decoupler."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._log import warn
from tcellmil._matrix import row_blocks

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix

OF_ALL_CELLS = ("gsva",)  # compare a cell with the others, by definition
VIPER = "viper"


def check_options(method_kwargs: Mapping[str, Any]) -> None:
    """Raise a TypeError for arguments of decoupler that are set here, each for a reason."""
    taken = {"empty": "all genes and cells are kept", "tmin": "use min_targets", "raw": "use layer"}
    for name, instead in taken.items():
        if name in method_kwargs:
            raise TypeError(f"{name}= of decoupler is not an argument here: {instead}")


def decouple(
    X: Matrix,
    obs_names: pd.Index,
    var_names: pd.Index,
    targets: pd.DataFrame,
    method: str,
    min_targets: int,
    method_kwargs: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a method of decoupler, cells x regulons, and the names of the regulons that it scored.

    By default decoupler leaves out the genes that no cell detects, so that scores depend on which cells are there. Here
    all genes stay, and cells without counts, for which there is no score, are left out and hold NaN.
    """
    from anndata import AnnData
    from decoupler import mt

    detected = np.concatenate([_any_count(block) for _, block in row_blocks(X)])
    if not detected.any():
        raise ValueError(f"no cell has a value other than 0, so that {method} has nothing to score")
    if method in OF_ALL_CELLS:
        warn(
            f"{method} compares each cell with the other cells here: a score depends on which cells are in the data, "
            "and those of new patients are not comparable. Use another method to predict",
        )
    scored = X if detected.all() else X[np.flatnonzero(detected)]
    names = pd.RangeIndex(len(obs_names)).astype(str)[detected]  # decoupler joins by name; these are short and unique
    if method == VIPER:
        scored, names = _with_untied_cell(scored), names.append(pd.Index(["untied"]))
    cells = AnnData(scored, obs=pd.DataFrame(index=names), var=pd.DataFrame(index=var_names))
    net = targets.rename(columns={"regulon": "source"})
    try:
        getattr(mt, method)(cells, net, tmin=min_targets, empty=False, **method_kwargs)
    except AssertionError as error:
        raise ValueError(f"decoupler's {method} refuses the input: {error}") from error
    table = cells.obsm[f"score_{method}"]
    table = table[sorted(table.columns)]
    scores = np.full((len(obs_names), table.shape[1]), np.nan, dtype=np.float32)
    scores[detected] = table.to_numpy(np.float32)[: int(detected.sum())]
    undefined = np.isnan(scores).any(axis=1)
    if undefined.any():
        warn(
            f"{method} has no score for {int(undefined.sum())} cells, which hold NaN; remove cells without counts",
        )
    return scores, table.columns.to_numpy(str)


def _any_count(block: np.ndarray | sparse.csr_matrix) -> np.ndarray:
    """Whether each cell has a value other than 0."""
    if not sparse.issparse(block):
        return (block != 0).any(axis=1)
    values = np.concatenate([[0], np.cumsum(block.data != 0)])
    return values[block.indptr[1:]] > values[block.indptr[:-1]]


def _with_untied_cell(X: Matrix) -> Matrix:
    """The cells, and one without ties below them.

    viper scales ranks by the highest of all cells. It is the same in every cell whose highest gene is not tied, and
    lower where no cell has such a gene: the one that is added makes it the same in all data.
    """
    untied = np.arange(1, X.shape[1] + 1, dtype=np.float32)[None]
    return sparse.vstack([X, sparse.csr_matrix(untied)], format="csr") if sparse.issparse(X) else np.vstack([X, untied])
