"""Cells as sentences of genes, on arrays and text; nothing here knows AnnData."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_ranking": ["rank_genes", "keys_of"],
        "_text": ["words_of", "sentence_text", "read_sentences", "Parsed"],
        "_line": ["RankLine", "fit_rank_line", "rank_line_expression"],
    },
)
