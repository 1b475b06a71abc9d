"""How near generated cells, sentences and texts are to real ones, on arrays."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_gene_overlap": ["gene_overlap"],
        "_kendall": ["kendall_tau", "kendall_tau_b"],
        "_sentence_ranks": ["sentence_ranks"],
        "_pearson": ["pearson"],
        "_mmd": ["mmd"],
        "_wasserstein": ["wasserstein"],
        "_scfid": ["scfid"],
        "_foscttm": ["foscttm"],
        "_bert_score": ["bert_score"],
        "_encoder": ["LocalEncoder"],
        "_conditions": ["ByCondition", "by_condition"],
    },
)
