"""Scores by the methods of decoupler."""

from __future__ import annotations

import warnings
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from tcellmil._matrix import Matrix


def decouple(
    X: Matrix,
    obs_names: pd.Index,
    var_names: pd.Index,
    targets: pd.DataFrame,
    method: str,
    min_targets: int,
    method_kwargs: dict[str, Any],
) -> tuple[np.ndarray, np.ndarray]:
    """Scores of a method of decoupler, cells x regulons, and the names of the regulons that it scored."""
    from anndata import AnnData
    from decoupler import mt

    cells = AnnData(X, obs=pd.DataFrame(index=obs_names), var=pd.DataFrame(index=var_names))
    net = targets.rename(columns={"regulon": "source"})
    try:
        without_empty = getattr(mt, method)(cells, net, tmin=min_targets, **method_kwargs)
    except AssertionError as error:
        raise ValueError(f"decoupler's {method} refuses the input: {error}") from error
    # decoupler leaves cells without counts out, and then returns the others in place of writing.
    table = (cells if without_empty is None else without_empty).obsm[f"score_{method}"]
    table = table.reindex(index=obs_names, columns=sorted(table.columns))
    undefined = table.isna().any(axis=1)
    if undefined.any():
        warnings.warn(
            f"{method} has no score for {int(undefined.sum())} cells, which hold NaN; remove cells without counts",
            UserWarning,
            stacklevel=3,
        )
    return table.to_numpy(np.float32), table.columns.to_numpy(str)
