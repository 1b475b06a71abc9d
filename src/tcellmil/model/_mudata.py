"""What a model reads of a MuData, as an AnnData, so that all that follows is the same for both."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._checks import check_obs_column, some

from ._representations import MATRIX, read_representation

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def as_anndata(mdata: MuData, columns: Mapping[str, Sequence[str]], use_rep: Sequence[str]) -> AnnData:
    """Cells of all modalities, in the order of ``mdata.obs``, with some columns and representations.

    Parameters
    ----------
    mdata
        The data.
    columns
        Columns by the argument that names them; looked up in ``mdata.obs``, then as ``modality:column``.
    use_rep
        Places, as :func:`tcellmil.model._representations.places` gives them: they become keys of ``obsm``. What
        ``uns`` knows of each comes along.

    Raises
    ------
    KeyError
        If a column is not there.
    ValueError
        If modalities have different cells.
    """
    from anndata import AnnData

    modalities = list(dict.fromkeys(place.partition(":")[0] for place in use_rep if ":" in place))
    _check_same_cells(mdata, modalities)
    obs = {key: check_obs_column(mdata, key, argument) for argument, keys in columns.items() for key in keys}
    obsm, uns = {}, {}
    for place in use_rep:
        x, names, params = _read(mdata, place)
        obsm[place] = x
        uns[place.removeprefix("X_")] = {"params": params} | ({} if names is None else {"names": np.array(names)})
    return AnnData(obs=pd.DataFrame(obs, index=mdata.obs_names.copy()), obsm=obsm, uns=uns)


def _check_same_cells(mdata: MuData, modalities: Sequence[str]) -> None:
    """Raise unless each of the modalities has every cell, which an encoder of its own needs."""
    for mod in modalities:
        if mdata.mod[mod].isbacked:
            raise ValueError(f"modality {mod!r} is backed by a file; load it into memory first")
        if not mdata.mod[mod].obs_names.is_unique:
            raise ValueError(
                f"obs_names of modality {mod!r} are not unique; call mdata[{mod!r}].obs_names_make_unique()"
            )
    if all(mdata.obs_names.symmetric_difference(mdata.mod[mod].obs_names).empty for mod in modalities):
        return
    in_all = mdata.obs_names
    for mod in modalities:
        in_all = in_all.intersection(mdata.mod[mod].obs_names)
    counts = ", ".join(f"{mod!r} has {mdata.mod[mod].n_obs}" for mod in modalities)
    mask = " & ".join(f"mdata.obsm[{mod!r}]" for mod in modalities)
    raise ValueError(
        f"modalities {some(modalities)} must have the same cells: {counts}, mdata has {mdata.n_obs}, and {len(in_all)} "
        f"are in all of them. Keep these: mdata = mdata[{mask}].copy(), or muon.pp.intersect_obs(mdata)"
    )


def _read(mdata: MuData, place: str) -> tuple[np.ndarray, list[str] | None, dict]:
    """Values in the order of ``mdata.obs``, names of the columns, and what they were computed with."""
    mod, colon, key = place.partition(":")
    if not colon:
        x, names = read_representation(mdata, place)
        stored, rows = mdata.uns.get(place.removeprefix("X_")), slice(None)
    else:
        adata = mdata.mod[mod]
        if key == MATRIX:
            x, names = adata.X, [str(name) for name in adata.var_names]
            x = np.asarray(x.toarray() if sparse.issparse(x) else x, dtype=np.float32)
        else:
            x, names = read_representation(adata, key)
        # A modality that tl.regulons added says under its own name what its matrix is.
        stored = adata.uns.get(mod if key == MATRIX else key.removeprefix("X_"))
        rows = adata.obs_names.get_indexer(mdata.obs_names)
    params = stored.get("params", {}) if isinstance(stored, dict) else {}
    return x[rows], names, dict(params)
