"""Regulon inference and scoring on arrays and tables; nothing here knows AnnData."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_aucell": ["aucell"],
        "_grn": ["infer_grn", "edge_correlation", "load_tf_names"],
        "_modules": ["modules_from_grn"],
        "_cistarget": ["recovery_auc", "prune_modules", "union_per_tf"],
        "_targets": ["split_by_sign", "targets_from_net"],
    },
)
