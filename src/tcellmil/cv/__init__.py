"""Splits of patients and the training of a stack of replicas, one a split and seed."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_bags": ["Bags"],
        "_baselines": ["composition", "fit_baseline"],
        "_calibration": ["fit_temperatures"],
        "_config": ["TrainingConfig"],
        "_explain": ["Explanation", "explain_bag", "explain_cells"],
        "_fit": ["fit_stack"],
        "_fitted": ["FittedStack"],
        "_optim": ["StackedAdamW"],
        "_outcomes": ["balancing_weights", "null_residuals", "strata"],
        "_out_of_fold": ["BagPredictions", "pair_order", "predict_bags", "replica_probabilities"],
        "_perturb": ["perturb_bags"],
        "_scaling": ["Scaling", "median_absolute_deviation"],
        "_splits": ["Replicas", "make_replicas"],
    },
)
