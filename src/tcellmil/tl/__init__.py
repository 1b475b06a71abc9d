"""Tools: verbs that read from AnnData, call the array layers and write the result back."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_grn": ["grn"],
        "_prune": ["prune"],
        "_regulons": ["regulons"],
        "_fit_mil": ["fit_mil"],
        "_predict": ["predict"],
        "_perturb": ["perturb"],
        "_shap": ["shap"],
        "_attention_enrichment": ["attention_enrichment"],
        "_attention_correlation": ["attention_correlation"],
        "_attention_stability": ["attention_stability"],
        "_batch_effect": ["batch_effect"],
        "_benchmark": ["benchmark"],
        "_permutation_test": ["permutation_test"],
    },
)
