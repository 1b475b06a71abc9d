"""Pictures of what tl wrote."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_patients._predictions": ["predictions"],
        "_patients._metrics": ["metrics"],
        "_patients._curves": ["prc", "roc"],
        "_patients._calibration": ["calibration"],
        "_patients._configurations": ["configurations"],
        "_patients._history": ["history"],
        "_patients._risk_groups": ["risk_groups"],
        "_patients._permutation_test": ["permutation_test"],
        "_patients._benchmark": ["benchmark"],
        "_explain._attention": ["attention"],
        "_explain._attention_enrichment": ["attention_enrichment"],
        "_explain._attention_correlation": ["attention_correlation"],
        "_explain._attention_stability": ["attention_stability"],
        "_explain._perturb": ["perturb"],
        "_explain._perturb_dose": ["perturb_dose"],
        "_explain._shap": ["shap"],
        "_explain._regulators": ["regulators"],
        "_scenic._grn": ["grn"],
        "_scenic._prune": ["prune"],
        "_scenic._regulons": ["regulons"],
        "_scenic._regulon_heatmap": ["regulon_heatmap"],
        "_sentences._rank_expression": ["rank_expression"],
        "_sentences._confusion": ["confusion"],
        "_sentences._generated": ["generated"],
        "_sentences._training": ["c2s_training"],
        "_batch_effect": ["batch_effect"],
        "_sentences._match_bulk": ["match_bulk"],
    },
)
