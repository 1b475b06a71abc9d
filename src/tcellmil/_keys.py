"""Where every result lives in an AnnData: the single table of names.

Verbs take ``key_added``; what they write beside it derives its name here, so that
``tl``, ``get`` and ``pl`` never spell a key of their own.
"""

from typing import Final

# tl.grn -> uns[GRN]: DataFrame TF, target, importance, rho
GRN: Final = "grn"

# tl.prune -> uns[PRUNE] = {targets, motifs, params}
PRUNE: Final = "prune"

# tl.regulons -> obsm[X_regulons], uns[REGULONS] = {names, targets, params}
REGULONS: Final = "regulons"

# tl.fit_mil -> obsm[X_tcellmil], obs[tcellmil_attention],
#               uns[TCELLMIL] = {params, predictions, metrics, history, config, weights, splits}
# tl.predict -> the same places in the new AnnData; of uns[TCELLMIL], params and predictions
# tl.perturb -> uns[tcellmil_perturbation]: DataFrame patient, regulon, direction, n_mad, prob_base, prob, delta,
#               delta_logit (value_base, value, delta where there are no classes);
#               uns[tcellmil_perturbation_stats]: DataFrame, a row a regulon, direction and dose;
#               with combine=2 also uns[tcellmil_perturbation_pairs] and its _stats
# tl.shap -> obsm[X_shap] (X_shap_by_class for more than two classes), uns[tcellmil_shap] =
#               {params, patients, difference, stats}
# tl.attention_enrichment -> uns[attention_enrichment] and its _stats
# tl.attention_correlation -> uns[attention_correlation]: DataFrame, a row a regulon
# tl.attention_stability -> uns[attention_stability] = {attention, regulators, top, params}
TCELLMIL: Final = "tcellmil"

# tl.permutation_test -> uns[tcellmil_permutation_test] = {null, test}
# tl.batch_effect -> uns[BATCH_EFFECT] = {ari, tests, params}
BATCH_EFFECT: Final = "batch_effect"

# tl.benchmark -> uns[BENCHMARK] = {metrics, methods, predictions, params}
BENCHMARK: Final = "benchmark"

# datasets.pbmc_cohort -> obs[is_driver], uns[TRUTH] = {tf, targets, driver_cell_type, effect}
TRUTH: Final = "truth"


def representation(key: str) -> str:
    """``obsm`` key of a per-cell representation written under ``key``."""
    return f"X_{key}"


def attention(key: str = TCELLMIL) -> str:
    """``obs`` key of the out-of-fold attention."""
    return f"{key}_attention"


def perturbation(key: str = TCELLMIL) -> str:
    """``uns`` key of the perturbation table, a row a patient, regulon and direction."""
    return f"{key}_perturbation"


def stats_of(table_key: str) -> str:
    """``uns`` key of the statistics beside a table, a row a regulon and direction."""
    return f"{table_key}_stats"


def pairs_of(table_key: str) -> str:
    """``uns`` key of the perturbation of two regulons together, beside that of one; with a ``_stats`` of its own."""
    return f"{table_key}_pairs"


def perturbation_stats(key: str = TCELLMIL) -> str:
    """``uns`` key of the statistics of :func:`perturbation`."""
    return stats_of(perturbation(key))


def shap(key: str = TCELLMIL) -> str:
    """``uns`` key of the SHAP summaries."""
    return f"{key}_shap"


def shap_values(key: str = TCELLMIL) -> str:
    """``obsm`` key of the SHAP values of each cell."""
    return representation(_of_model("shap", key))


def attention_enrichment(key: str = TCELLMIL) -> str:
    """``uns`` key of the attention of groups against permuted groups, a row a patient and group."""
    return _of_model("attention_enrichment", key)


def attention_correlation(key: str = TCELLMIL) -> str:
    """``uns`` key of the correlation of regulons with attention, a row a regulon."""
    return _of_model("attention_correlation", key)


def attention_stability(key: str = TCELLMIL) -> str:
    """``uns`` key of the agreement between replicas."""
    return _of_model("attention_stability", key)


def permutation_test(key: str = TCELLMIL) -> str:
    """``uns`` key of the metric under permuted labels."""
    return f"{key}_permutation_test"


def _of_model(name: str, key: str) -> str:
    """The plain name for the model under the usual key; beside another model, that model's key comes first."""
    return name if key == TCELLMIL else f"{key}_{name}"
