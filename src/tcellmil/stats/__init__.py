"""Statistics on arrays: metrics with intervals over patients, paired tests, false discovery rates."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_evaluation._classes": ["bootstrap_differences", "bootstrap_metrics", "classification_metrics"],
        "_evaluation._ordinal": ["bootstrap_ordinal", "ordinal_metrics"],
        "_evaluation._regression": ["bootstrap_regression", "regression_metrics"],
        "_evaluation._survival": ["bootstrap_survival", "survival_metrics"],
        "_evaluation._calibration_curve": ["calibration_curve"],
        "_fdr": ["benjamini_hochberg"],
        "_survival_curves": ["kaplan_meier", "logrank_test"],
        "_signed_rank": ["signed_rank_by_column"],
        "_enrichment": ["permuted_medians"],
        "_rank_correlation": ["rank_correlation"],
        "_mixed_model": ["random_intercept"],
        "_cluster_agreement": ["cluster_agreement"],
        "_paired_tests": ["compare_predictions", "delong_test", "mcnemar_test", "swap_test"],
        "_rank_agreement": ["rank_agreement"],
    },
)
