"""The one reader of what verbs write."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._checks import check_obs_column, is_mudata, some
from tcellmil._log import warn
from tcellmil._provenance import (
    FITS,
    check_current,
    fits_in,
    named,
    other_fits,
    params_of,
    verb_of,
    warn_of_absent,
)
from tcellmil.outcomes import Outcome, outcome_of
from tcellmil.outcomes._skill import doubt_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

#: Verb: where it writes.
OWN = {
    "fit_mil": _keys.TCELLMIL,
    "grn": _keys.GRN,
    "prune": _keys.PRUNE,
    "regulons": _keys.REGULONS,
    "batch_effect": _keys.BATCH_EFFECT,
    "benchmark": _keys.BENCHMARK,
    "match_bulk": _keys.MATCH_BULK,
}
#: The same of verbs of ``pp``.
OF_PP = {"cell_sentences": _keys.CELL_SENTENCE}
#: Verb that reads a fit: what it adds to the name of the fit.
OF_FIT = {
    "perturb": _keys.PERTURBATION,
    "shap": _keys.SHAP,
    "attention_enrichment": _keys.ATTENTION_ENRICHMENT,
    "attention_correlation": _keys.ATTENTION_CORRELATION,
    "attention_stability": _keys.ATTENTION_STABILITY,
    "permutation_test": _keys.PERMUTATION_TEST,
    "top_cells": _keys.TOP_CELLS,
}
#: Of these, verbs that are about the fit itself, and verbs that explain predictions of new patients with their model.
OF_FIT_ALONE, WITH_MODEL = ("attention_stability", "permutation_test"), ("perturb", "shap")
#: Verbs that say what a fitted model does, which means little where the model knows nothing.
DESCRIBES = ("perturb", "shap", "attention_enrichment", "attention_correlation")
#: Verb: arguments that it cannot do without.
ARGUMENTS = {name: ["..."] for name in ("fit_mil", "prune", "batch_effect", "benchmark", "match_bulk")}
ARGUMENTS |= {"attention_enrichment": ["groupby=..."], "predict": ["model"]}


def place_of(verb: str, key: str = _keys.TCELLMIL, result_key: str | None = None) -> str:
    """``uns`` key of the result of a verb."""
    if result_key is not None:
        return result_key
    own = OWN | OF_PP
    return own[verb] if verb in own else _keys.of_fit(key, OF_FIT[verb])


def call_of(verb: str, key: str = _keys.TCELLMIL, result_key: str | None = None, *options: str) -> str:
    """The call that writes the result."""
    arguments = ["adata", *ARGUMENTS.get(verb, []), *options]
    if result_key is not None:
        arguments.append(f"key_added={result_key!r}")
    elif key != _keys.TCELLMIL:
        arguments.append(f"key={key!r}")
    return f"{named(verb)}({', '.join(arguments)})"


def call_on(
    adata: AnnData | MuData, verb: str, key: str = _keys.TCELLMIL, result_key: str | None = None, *options: str
) -> str:
    """The same on these data: nothing is to be fitted where there are predictions of new patients."""
    if verb == "fit_mil":
        writers = {verb_of(adata.uns[name]) for name in fits_in(adata)}
        there = verb_of(adata.uns.get(place_of(verb, key, result_key)))
        verb = "predict" if there == "predict" or writers == {"predict"} else verb
    elif verb in WITH_MODEL and verb_of(adata.uns.get(key)) == "predict":
        options = (*options, "model=model")
    return call_of(verb, key, result_key, *options)


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


def doubt_of_fit(adata: AnnData | MuData, key: str) -> str:
    """Why the model of a fit may know nothing; empty where it is better than that, or was not evaluated."""
    result = adata.uns.get(key, {})
    return doubt_of(result["metrics"], outcome_of(result["params"])) if "metrics" in result else ""


def warn_without_skill(adata: AnnData | MuData, key: str) -> str:
    """Warn where the model of a fit may know nothing, and return why."""
    doubt = doubt_of_fit(adata, key)
    if doubt:
        warn(
            f"the model of {key!r} may know nothing of the outcome: {doubt}. What it responds to and looks at is then "
            "chance, which p-values over patients do not see; tl.permutation_test says how often chance does as well"
        )
    return doubt


def fit_part(adata: AnnData | MuData, key: str, part: str, *options: str) -> pd.DataFrame | dict:
    """One part of the fit named ``key`` itself, not a copy."""
    return part_of(adata, "fit_mil", part, _keys.TCELLMIL, None if key == _keys.TCELLMIL else key, *options)


def fit_table(adata: AnnData | MuData, key: str, part: str, *options: str) -> pd.DataFrame:
    """The same for tables of patients: warns where patients of the fit have been left out since."""
    table = fit_part(adata, key, part, *options)
    warn_of_absent(adata, key, f"tl.{verb_of(adata.uns[key])}")
    return table


def stored_predictions(table: pd.DataFrame, outcome: Outcome) -> pd.DataFrame:
    """Predictions as they are stored: no name of the user's is the name of a column."""
    return table.rename(columns=outcome.stored_columns())


def named_predictions(table: pd.DataFrame, params: Mapping) -> pd.DataFrame:
    """Inverse of :func:`stored_predictions`, as a copy; ``params`` are those of the result."""
    stored = outcome_of(params).stored_columns()
    return table.rename(columns={there: name for name, there in stored.items()})


def counted(adata: AnnData | MuData, key: str, samples: Iterable[str] | int) -> str:
    """How many patients these are, ``"8 patients"``; of a fit with groups, ``"10 samples of 5 patients"``.

    A number is of all samples of the fit, or of some that are not named.
    """
    table = adata.uns.get(key, {}).get("predictions", pd.DataFrame())
    names = list(samples) if not isinstance(samples, int) else table.index if samples == len(table) else None
    n = samples if isinstance(samples, int) else len(set(names))
    if "group" in table:
        n_patients = None if names is None else table["group"].reindex(names).nunique()
        if n_patients != n:
            of = "" if n_patients is None else f" of {n_patients} patient{'' if n_patients == 1 else 's'}"
            return f"{n} sample{'' if n == 1 else 's'}{of}"
    return f"{n} patient{'' if n == 1 else 's'}"


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


def largest_first(table: pd.DataFrame, size: str) -> pd.DataFrame:
    """The rows by the absolute value of a column, the largest first; those without one come last."""
    return table.sort_values(size, key=abs, ascending=False, kind="stable")


def rows_of(table: pd.DataFrame, levels: str | Sequence[str], wanted: str | Sequence[str] | None) -> pd.DataFrame:
    """The rows with one of the ``wanted`` names in a level of the index, or in one of several; all for ``None``."""
    if wanted is None:
        return table
    levels = [levels] if isinstance(levels, str) else list(levels)
    wanted = [wanted] if isinstance(wanted, str) else list(wanted)
    members = table.index.to_frame(index=False)[levels]
    there = list(dict.fromkeys(members.to_numpy().ravel()))
    unknown = [name for name in wanted if name not in there]
    if unknown:
        raise KeyError(f"{levels[0].removesuffix('_1')}s {some(unknown)} are not in the table; there are {some(there)}")
    return table[members.isin(wanted).any(axis=1).to_numpy()]
