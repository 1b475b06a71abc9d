"""Cells as sentences, and what a language model is asked about them; on arrays, tables and text."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_tasks._task": ["Task", "list_tasks", "register_task", "resolve_tasks"],
        "_tasks._examples": ["Example", "build_examples", "example_text", "prompt_with"],
        "_tasks._gene_sets": ["gene_set_examples"],
        "_tokens._gene_table": ["GeneTable", "TokenIds", "encode_sentences"],
        "_tokens._encode": ["Encoded", "EncodedExamples", "encode_example", "encode_examples", "encode_prompt"],
    },
)
