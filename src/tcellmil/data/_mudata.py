"""Representations of cells out of the modalities of a MuData."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from tcellmil._checks import some
from tcellmil._provenance import scores_at

from ._representations import MATRIX, Representation, method_of, read_representation, stored_of

if TYPE_CHECKING:
    from mudata import MuData


def obs_as_it_is() -> AbstractContextManager:
    """Within this context a MuData that is made or updated copies no columns of its modalities into its own tables."""
    import mudata

    if hasattr(mudata, "settings"):  # since mudata 0.4
        return mudata.settings.override(pull_on_update=False)
    return mudata.set_options(pull_on_update=False)


def read_of_mudata(mdata: MuData, places: Sequence[str]) -> list[Representation]:
    """Representations in the order of ``mdata.obs``; ``places`` as :func:`resolve_use_rep` finds them.

    Raises
    ------
    ValueError
        If the modalities have different cells.
    """
    _check_same_cells(mdata, list(dict.fromkeys(place.partition(":")[0] for place in places if ":" in place)))
    return [_read(mdata, place) for place in places]


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


def _read(mdata: MuData, place: str) -> Representation:
    mod, colon, key = place.partition(":")
    if not colon:
        return read_representation(mdata, place)
    adata = mdata.mod[mod]
    rows = adata.obs_names.get_indexer(mdata.obs_names)
    if key != MATRIX:
        found = read_representation(adata, key)
        return replace(found, place=place, x=found.x[rows], checksum=scores_at(mdata, place))
    x = np.asarray(adata.X.toarray() if sparse.issparse(adata.X) else adata.X, dtype=np.float32)
    # A modality that tl.regulons added says under its own name what its matrix is.
    names, method = [str(name) for name in adata.var_names], method_of(stored_of(adata, mod))
    return Representation(place, x[rows], names, method, scores_at(mdata, place))
