"""Fitted stacks, and what is computed with them: predictions, perturbations, explanations."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_encoders": ["Encoders"],
        "_ensemble": ["FittedEnsemble"],
        "_explain": ["Explanation", "explain_bag", "explain_cells"],
        "_perturb": ["perturb_bags"],
        "_predict": [
            "BagPredictions",
            "pair_order",
            "pooled_features",
            "predict_bags",
            "relative_attention",
            "replica_probabilities",
        ],
        "_scaling": ["Scaling", "median_absolute_deviation", "shift_units"],
        "_stack": ["FittedStack"],
    },
)
