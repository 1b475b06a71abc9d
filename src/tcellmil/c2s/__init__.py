"""Cells as sentences and language models of them, on arrays, text and tokens; nothing here knows AnnData."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_answers._embed": ["embed_prompts"],
        "_answers._generate": ["Generated", "generate_sentences"],
        "_answers._labels": ["fit_label_temperature", "label_log_probabilities", "label_probabilities"],
        "_language_model": ["LanguageModel"],
        "_models._scratch": ["from_scratch"],
        "_models._gene_vectors": ["add_gene_vectors", "gene_vectors"],
        "_models._pretrained": ["from_pretrained"],
        "_models._lora": [
            "add_adapter",
            "drop_adapter",
            "has_adapter",
            "load_adapter",
            "merge_adapter",
            "save_adapter",
        ],
        "_models._store": ["load_language_model", "save_language_model"],
        "_training._token_rows": ["TokenRows"],
        "_training._train_config": ["LanguageTraining"],
        "_training._train": ["History", "train_rows"],
        "_ranking": ["rank_genes", "keys_of"],
        "_text": ["words_of", "sentence_text", "read_sentences", "Parsed"],
        "_line": ["RankLine", "fit_rank_line", "rank_line_expression"],
        "_tasks._task": ["Task", "list_tasks", "register_task", "resolve_tasks"],
        "_tasks._examples": ["Example", "build_examples", "example_text", "prompt_with"],
        "_tasks._gene_sets": ["gene_set_examples"],
        "_tokens._gene_table": ["GeneTable", "TokenIds", "encode_sentences"],
        "_tokens._encode": ["Encoded", "EncodedExamples", "encode_example", "encode_examples", "encode_prompt"],
    },
)
