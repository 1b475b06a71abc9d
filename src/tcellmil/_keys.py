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
# tl.perturb -> uns[tcellmil_perturbation]: DataFrame patient, regulon, direction, prob_base, prob, delta, delta_logit;
#               uns[tcellmil_perturbation_stats]: DataFrame, a row a regulon and direction
TCELLMIL: Final = "tcellmil"

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


def perturbation_stats(key: str = TCELLMIL) -> str:
    """``uns`` key of the statistics of :func:`perturbation`."""
    return stats_of(perturbation(key))
