"""Tools: verbs that read from AnnData, call the array layers and write the result back."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_scenic._grn": ["grn"],
        "_scenic._prune": ["prune"],
        "_scenic._regulons": ["regulons"],
        "_patients._fit_mil": ["fit_mil"],
        "_patients._predict": ["predict"],
        "_patients._benchmark": ["benchmark"],
        "_patients._permutation_test": ["permutation_test"],
        "_explain._perturb": ["perturb"],
        "_explain._shap": ["shap"],
        "_explain._attention_enrichment": ["attention_enrichment"],
        "_explain._attention_correlation": ["attention_correlation"],
        "_explain._attention_stability": ["attention_stability"],
        "_explain._top_cells": ["top_cells"],
        "_sentences._expression": ["sentences_to_expression"],
        "_sentences._annotate": ["annotate_sentences", "embed_sentences"],
        "_sentences._generate": ["generate_cells"],
        "_batch_effect": ["batch_effect"],
        "_sentences._match_bulk": ["match_bulk"],
    },
)
