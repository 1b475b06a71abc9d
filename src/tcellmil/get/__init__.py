"""Tidy tables and models out of an AnnData that tl wrote to."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_scenic": ["grn", "prune", "regulons"],
        "_cell_sentences": ["cell_sentences", "cell_sentence_dataset", "rank_expression"],
        "_model": ["model"],
        "_mil": ["attention", "history", "metrics", "predictions"],
        "_patients": ["patients"],
        "_perturb": ["perturb"],
        "_shap": ["shap", "shap_explanation"],
        "_attention_statistics": ["attention_correlation", "attention_enrichment"],
        "_attention_stability": ["attention_stability"],
        "_batch_effect": ["batch_effect"],
        "_benchmark": ["benchmark"],
        "_evaluation._calibration": ["calibration"],
        "_evaluation._configurations": ["configurations"],
        "_sentences._confusion": ["annotation_metrics", "confusion"],
        "_sentences._generated_profiles": ["generated_profiles"],
        "_match_bulk": ["match_bulk"],
        "_evaluation._paired_change": ["paired_change"],
        "_evaluation._permutation_test": ["permutation_test"],
        "_regulators": ["regulators"],
        "_evaluation._risk_groups": ["risk_groups"],
    },
)
