"""Preprocessing: which cells and genes enter the analysis."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_qc": ["qc"],
        "_genes": ["drop_nuisance_genes"],
        "_bags": ["subsample_bags"],
        "_cell_sentences": ["cell_sentences"],
    },
)
