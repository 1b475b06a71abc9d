"""Which call wrote a result, and whether what it was computed from is still what it was."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np

from tcellmil._checks import check_obs_column, has_obs_column, is_mudata, some
from tcellmil._log import warn

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

#: Verbs that write a fit, to which other results belong.
FITS = ("fit_mil", "predict")
#: Verbs of ``pp``; all others are of ``tl``.
OF_PP = ("cell_sentences",)


def record_of(verb: str) -> dict[str, str]:
    """Who writes a result, and when."""
    return {"verb": verb, "version": version("tcellmil"), "time": datetime.now(UTC).isoformat(timespec="seconds")}


def params_of(result: object) -> Mapping:
    """``params`` of a result, empty where it has none."""
    params = result.get("params", {}) if isinstance(result, Mapping) else {}
    return params if isinstance(params, Mapping) else {}


def verb_of(result: object) -> str:
    """Name of the verb that wrote a result; empty where none of ours did."""
    return str(params_of(result).get("verb", ""))


def named(verb: str) -> str:
    """A verb as it is called, such as ``tl.fit_mil``."""
    return f"{'pp' if verb in OF_PP else 'tl'}.{verb}"


def fits_in(data: AnnData | MuData) -> list[str]:
    """Names of the fits in ``uns``."""
    return [str(name) for name, result in data.uns.items() if verb_of(result) in FITS]


def other_fits(data: AnnData | MuData) -> str:
    """What a message says of the fits that there are."""
    found = fits_in(data)
    return f"fits here: {some(found)}; pass key={found[0]!r}" if found else "there is no fit here"


def count_patients(data: AnnData | MuData, params: Mapping) -> int | None:
    """How many patients of a result are in ``obs``; None where it is not of patients, or their column is gone."""
    fit = params_of(data.uns.get(str(params.get("key", ""))))
    column = params.get("sample_key", fit.get("sample_key"))
    if not isinstance(column, str) or not has_obs_column(data, column):
        return None
    patients = data.obs[column] if column in data.obs else check_obs_column(data, column, "sample_key")
    return int(patients.nunique())


def warn_of_absent(data: AnnData | MuData, place: str, call: str) -> None:
    """Warn where patients of a result have been left out since; ``call`` computes it."""
    params = params_of(data.uns[place])
    before, now = params.get("n_patients_here"), count_patients(data, params)
    if before is not None and now is not None and now < int(before):
        warn(
            f"adata.uns[{place!r}] is of {int(before)} patients, of whom {now} are here; its tables and pictures are "
            f"of all of them: run {call} again for those who are here"
        )


def checksum(values: np.ndarray, names: Iterable[str]) -> str:
    """Short text that differs where values, or the names of their columns, differ."""
    digest = hashlib.sha256(json.dumps([str(values.dtype), values.shape, list(map(str, names))]).encode())
    digest.update(np.ascontiguousarray(values).tobytes())
    return digest.hexdigest()[:16]


def scores_at(data: AnnData | MuData, place: str) -> str:
    """Checksum of the scores that :func:`tcellmil.tl.regulons` wrote at a place; empty where it wrote none.

    ``place`` is a key of ``obsm``, or ``"modality:key"`` of a MuData, ``"modality:X"`` for its matrix.
    """
    mod, colon, key = place.partition(":")
    holder, name = data, place.removeprefix("X_")
    if colon and is_mudata(data) and mod in data.mod:
        holder, name = data.mod[mod], mod if key == "X" else key.removeprefix("X_")
    result = holder.uns.get(name)
    return str(params_of(result).get("checksum", "")) if verb_of(result) == "regulons" else ""


def scores_of(data: AnnData | MuData, places: Iterable[str]) -> str:
    """The same of several places as JSON, for a record."""
    return json.dumps({place: scores_at(data, place) for place in places})


def check_current(data: AnnData | MuData, place: str, call: str) -> None:
    """Raise a ValueError where a result is of another fit, or of other regulon scores, than those that are there.

    ``call`` computes the result.
    """
    params, result = params_of(data.uns[place]), f"adata.uns[{place!r}]"
    if "fit" not in params:
        _check_scores(data, params, f"{result} is", call)
        return
    key = str(params.get("key", ""))
    fit = params_of(data.uns.get(key))
    if not fit:
        raise ValueError(f"{result} belongs to the fit {key!r}, which is gone; {other_fits(data)}")
    if str(fit.get("fit", "")) != str(params["fit"]):
        raise ValueError(f"{result} is of another fit than the one in adata.uns[{key!r}]; run {call} again")
    _check_scores(data, params, f"{result} is", call)
    _check_scores(
        data, fit, f"the fit {key!r}, and {result} with it, are", f"{named(verb_of(data.uns[key]))} and then {call}"
    )


def _check_scores(data: AnnData | MuData, params: Mapping, what: str, call: str) -> None:
    for at, before in json.loads(str(params.get("scores", "{}"))).items():
        now = scores_at(data, at)
        if before and now and before != now:
            raise ValueError(f"{what} of other regulon scores than those that are in {at!r} now; run {call} again")
