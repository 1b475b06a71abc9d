"""Whether the model that a result describes may know nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tcellmil._log import warn
from tcellmil._provenance import params_of, verb_of
from tcellmil.outcomes import outcome_of
from tcellmil.outcomes._skill import doubt_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

#: Verbs that say what a fitted model does, which means little where the model knows nothing.
DESCRIBES = ("perturb", "shap", "attention_enrichment", "attention_correlation")


def doubt_of_fit(adata: AnnData | MuData, key: str) -> str:
    """Why the model of a fit may know nothing; empty where it is better than that, or was not evaluated.

    Predictions of new patients are judged by their own metrics, and not where their outcomes do not allow to tell.
    """
    result = adata.uns.get(key, {})
    if "metrics" not in result:
        return ""
    params, is_new = params_of(result), verb_of(result) == "predict"
    outcome = outcome_of(params)
    # Of a fit, the main metric lacks nothing but predictions that differ; of new patients, it may be outcomes.
    same = not is_new or result["predictions"][outcome.predicted_column].nunique() == 1
    undefined = same and not params.get("not_measured", "")
    doubt = doubt_of(result["metrics"], outcome, undefined=undefined)
    return f"{doubt} in new patients" if doubt and is_new else doubt


def warn_without_skill(adata: AnnData | MuData, key: str) -> str:
    """Warn where the model of a fit may know nothing, and return why."""
    doubt = doubt_of_fit(adata, key)
    if doubt:
        advice = (
            "get.metrics of the data that tl.fit_mil wrote to says how good it is there"
            if verb_of(adata.uns[key]) == "predict"
            else "tl.permutation_test says how often chance does as well"
        )
        warn(
            f"the model of {key!r} may know nothing of the outcome: {doubt}. What it responds to and looks at is then "
            f"chance, which p-values over patients do not see; {advice}"
        )
    return doubt
