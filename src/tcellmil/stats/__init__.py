"""Statistics on arrays: metrics with intervals over patients, paired tests, false discovery rates."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_bootstrap": ["bootstrap_differences", "bootstrap_metrics"],
        "_fdr": ["benjamini_hochberg"],
        "_metrics": ["classification_metrics"],
        "_outcome_bootstrap": ["bootstrap_ordered", "bootstrap_regression", "bootstrap_survival"],
        "_outcome_metrics": ["ordered_metrics", "regression_metrics", "survival_metrics"],
        "_signed_rank": ["signed_rank_by_column"],
        "_calibration_curve": ["calibration_curve"],
        "_enrichment": ["permuted_medians"],
        "_rank_correlation": ["rank_correlation"],
        "_mixed_model": ["random_intercept"],
        "_cluster_agreement": ["cluster_agreement"],
        "_paired_tests": ["compare_predictions", "delong_test", "mcnemar_test", "swap_test"],
        "_rank_agreement": ["rank_agreement"],
    },
)
