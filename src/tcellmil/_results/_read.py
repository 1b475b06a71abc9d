"""The one reader of what verbs write."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_obs_column, is_mudata, some
from tcellmil._provenance import FITS, check_current, named, other_fits, params_of, verb_of, warn_of_absent
from tcellmil.outcomes import Outcome, outcome_of

from ._doubt import DESCRIBES, warn_without_skill
from ._places import OF_FIT, OF_FIT_ALONE, call_of, call_on, place_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def part_of(
    adata: AnnData | MuData,
    verb: str,
    part: str,
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    *options: str,
) -> pd.DataFrame | dict:
    """One part of a result itself, not a copy, or a KeyError that names the call that writes it."""
    place, call = place_of(verb, key, result_key), call_on(adata, verb, key, result_key, *options)
    if place not in adata.uns and verb in OF_FIT_ALONE and verb_of(adata.uns.get(key)) == "predict":
        raise KeyError(
            f"adata.uns[{key!r}] holds predictions of new patients, and {named(verb)} is about the fit itself; run it "
            "on the data that tl.fit_mil wrote to"
        )
    if place not in adata.uns:
        hint = f"; {other_fits(adata)}" if verb in OF_FIT or verb == "fit_mil" else f" (there are {some(adata.uns)})"
        raise KeyError(f"adata.uns has no {place!r}; run {call} first{hint}")
    result = adata.uns[place]
    writer = verb_of(result)
    if writer != verb and not (verb == "fit_mil" and writer in FITS):
        what = f"is a result of {named(writer)}" if writer else "was not written by a verb of tl"
        raise KeyError(f"adata.uns[{place!r}] {what}, not of {named(verb)}; run {call}, or name another result")
    if part not in result:
        what = _not_predicted(params_of(result), part) if writer == "predict" else f"run {call} first"
        raise KeyError(f"adata.uns[{place!r}] has no {part!r}; {what}")
    if verb != "fit_mil":
        check_current(adata, place, call)
    return result[part]


def _not_predicted(params: Mapping, part: str) -> str:
    """Why predictions of new patients lack a part, and what to do."""
    if part != "metrics":
        return "it holds predictions of tl.predict, which fits nothing: read it from the data that tl.fit_mil wrote to"
    columns = [str(params.get(name, "")) for name in ("label_key", "event_key")]
    where = " and ".join(f"adata.obs[{column!r}]" for column in columns if column)
    return (
        f"nothing could be measured of the predictions of tl.predict: {params.get('not_measured', '') or 'no labels'}. "
        f"Put the outcomes into {where}, or name their column with label_key=..., and run tl.predict again"
    )


def table_of(
    adata: AnnData | MuData,
    verb: str,
    part: str,
    index: str | Sequence[str],
    key: str = _keys.TCELLMIL,
    result_key: str | None = None,
    *options: str,
) -> pd.DataFrame:
    """A copy of a table of a result, with its index; files hold tables without one.

    Warns where patients of the result have been left out since, and where the model that it describes may know nothing,
    which ``attrs["no_skill"]`` says too.
    """
    table = part_of(adata, verb, part, key, result_key, *options).set_index(index)
    warn_of_absent(adata, place_of(verb, key, result_key), call_on(adata, verb, key, result_key, *options))
    if verb in DESCRIBES:
        table.attrs["no_skill"] = warn_without_skill(adata, fit_of(adata, verb, key, result_key))
    return table


def fit_of(adata: AnnData | MuData, verb: str, key: str = _keys.TCELLMIL, result_key: str | None = None) -> str:
    """Name of the fit that a result of a verb is about."""
    return str(part_of(adata, verb, "params", key, result_key).get("key", key))


def fit_part(adata: AnnData | MuData, key: str, part: str, *options: str) -> pd.DataFrame | dict:
    """One part of the fit named ``key`` itself, not a copy."""
    return part_of(adata, "fit_mil", part, _keys.TCELLMIL, None if key == _keys.TCELLMIL else key, *options)


def fit_table(adata: AnnData | MuData, key: str, part: str, *options: str) -> pd.DataFrame:
    """The same for tables of patients: warns where patients of the fit have been left out since."""
    table = fit_part(adata, key, part, *options)
    warn_of_absent(adata, key, f"tl.{verb_of(adata.uns[key])}")
    return table


def outcome_of_fit(adata: AnnData | MuData, key: str) -> Outcome:
    """The outcome of the fit named ``key``."""
    return outcome_of(fit_part(adata, key, "params"))


def outcome_of_result(
    adata: AnnData | MuData, verb: str, key: str = _keys.TCELLMIL, result_key: str | None = None
) -> Outcome:
    """The outcome of the fit that a result of a verb is about."""
    return outcome_of_fit(adata, fit_of(adata, verb, key, result_key))


def attention_of_cells(adata: AnnData | MuData, key: str = _keys.TCELLMIL) -> pd.DataFrame:
    """Out-of-fold attention of every cell, as :func:`tcellmil.get.attention` documents it."""
    patients, params = fit_part(adata, key, "predictions"), fit_part(adata, key, "params")
    outcome, column = outcome_of(params), _keys.of_fit(key, _keys.ATTENTION)
    if column not in adata.obs:
        call = call_on(adata, "fit_mil", result_key=None if key == _keys.TCELLMIL else key)
        raise KeyError(f"adata.obs has no {column!r}; run {call} first")
    sample = check_obs_column(adata, str(params["sample_key"]), "sample_key").astype(str)
    of_cell = patients.reindex(sample)
    value, predicted = adata.obs[column].to_numpy(dtype=float), of_cell[outcome.predicted_column]
    return pd.DataFrame(
        {
            "sample": sample.to_numpy(),
            "attention": value,
            "relative": value * of_cell["n_cells"].to_numpy(dtype=float),
            "label": outcome.group_of_patient(patients).reindex(sample).fillna("").to_numpy(),
            "predicted": outcome.predicted_values(predicted).to_numpy(),
        },
        index=adata.obs_names.rename("cell"),
    )


def regulon_activity(adata: AnnData | MuData, result_key: str | None = None) -> pd.DataFrame:
    """Activity of every regulon in every cell, as :func:`tcellmil.get.regulons` documents it."""
    place = _keys.REGULONS if result_key is None else result_key
    if is_mudata(adata):
        if place not in adata.mod:
            raise KeyError(f"mdata has no modality {place!r}; run tl.regulons(mdata, key_added={place!r}) first")
        return adata.mod[place].to_df().copy().rename_axis(index="cell")
    representation = _keys.representation(place)
    if representation not in adata.obsm or place not in adata.uns:
        raise KeyError(
            f"no regulon activities under {place!r}; run {call_of('regulons', result_key=result_key)} first "
            f"(it writes obsm[{representation!r}] and uns[{place!r}])"
        )
    cells, names = adata.obs_names.rename("cell"), list(adata.uns[place]["names"])
    return pd.DataFrame(np.array(adata.obsm[representation]), index=cells, columns=names)
