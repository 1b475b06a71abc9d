"""Where verbs write, and the calls that do."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil import _keys
from tcellmil._provenance import fits_in, named, verb_of

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
