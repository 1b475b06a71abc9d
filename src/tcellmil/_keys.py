"""Where every result lives in an AnnData: the single table of names.

A verb writes one dict into ``uns``: its tables, flat, and ``params``. What belongs to the fit named ``key`` is
:func:`of_fit`: ``f"{key}_{what}"``. An ``obsm`` key has ``X_`` before it: :func:`representation`. A verb that takes
``key_added`` writes there instead.
"""

from typing import Final

# Of the cells, whatever the fit:
GRN: Final = "grn"  # tl.grn -> uns = {edges, params}
PRUNE: Final = "prune"  # tl.prune -> uns = {targets, motifs, params}
REGULONS: Final = "regulons"  # tl.regulons -> obsm[X_regulons], uns = {names, targets, params}
BATCH_EFFECT: Final = "batch_effect"  # tl.batch_effect -> uns = {ari, tests, params}
BENCHMARK: Final = "benchmark"  # tl.benchmark -> uns = {metrics, methods, predictions, params}
CELL_SENTENCE: Final = "cell_sentence"  # pp.cell_sentences -> obsm, uns = {vocabulary, line, density, params}
C2S: Final = "c2s"  # tl.embed_sentences -> obsm, uns = {params}
C2S_ANNOTATION: Final = "c2s_annotation"  # tl.annotate_sentences -> obs, obsm, uns = {labels, params}
MATCH_BULK: Final = "match_bulk"  # tl.match_bulk -> uns = {pairs, conditions, params}
TRUTH: Final = "truth"  # datasets.pbmc_cohort -> obs[is_driver], uns = {tf, targets, driver_cell_type, effect}

# tl.fit_mil -> obsm[X_tcellmil], obs[tcellmil_attention],
#               uns[tcellmil] = {params, predictions, embedding, features, metrics, history,
#                                config, weights, splits, checksum}, of classes with cohorts also {metrics_alone}
# tl.predict -> the same places in the new AnnData; of uns[tcellmil], params, predictions, embedding and features
TCELLMIL: Final = "tcellmil"

# Of a fit:
ATTENTION: Final = "attention"  # tl.fit_mil, tl.predict -> obs
ATTENTION_RELATIVE: Final = "attention_relative"  # tl.fit_mil, tl.predict -> obs; times the patient's number of cells
TOP_CELLS: Final = "top_cells"  # tl.top_cells -> obs, uns = {params}
PERTURBATION: Final = "perturbation"  # tl.perturb -> uns = {patients, stats, params}, of pairs also {pairs, pair_stats}
SHAP: Final = "shap"  # tl.shap -> obsm (and _by_class), uns = {patients, difference, stats, additivity, params}
ATTENTION_ENRICHMENT: Final = "attention_enrichment"  # tl.attention_enrichment -> uns = {patients, stats, params}
ATTENTION_CORRELATION: Final = "attention_correlation"  # tl.attention_correlation -> uns = {regulons, params}
ATTENTION_STABILITY: Final = (
    "attention_stability"  # tl.attention_stability -> uns = {attention, regulators, top} and params
)
PERMUTATION_TEST: Final = "permutation_test"  # tl.permutation_test -> uns = {null, test, params}


def of_fit(key: str, what: str) -> str:
    """Name of what belongs to the fit named ``key``.

    Examples
    --------
    >>> of_fit(TCELLMIL, PERTURBATION)
    'tcellmil_perturbation'
    """
    return f"{key}_{what}"


def representation(key: str) -> str:
    """``obsm`` key of what is written for each cell under ``key``."""
    return f"X_{key}"
