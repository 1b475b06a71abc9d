"""Language models with random weights, and a tokenizer in which every gene is one token."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields
from typing import TYPE_CHECKING, Literal

from tcellmil._checks import check_choice, choices, some
from tcellmil.c2s._extra import require_c2s, seeded
from tcellmil.c2s._language_model import LanguageModel

if TYPE_CHECKING:
    from transformers import PreTrainedConfig, PreTrainedTokenizerFast

Architecture = Literal["llama", "gpt_neox", "gemma2"]
Size = Literal["tiny", "small"]

#: Special tokens; their ids are 0, 1 and 2.
PAD, EOS, UNKNOWN = "<pad>", "<eos>", "<unk>"

#: Sizes under the names that transformers gives them: about 0.2 and 5 million weights, and those of the tokens.
SIZES: dict[str, dict[str, int]] = {
    "tiny": {"hidden_size": 64, "intermediate_size": 256, "num_hidden_layers": 2, "num_attention_heads": 4},
    "small": {"hidden_size": 256, "intermediate_size": 1024, "num_hidden_layers": 6, "num_attention_heads": 8},
}
#: A gene's vector for reading stays as it is when genes are written; and what few cells need against overfitting.
DEFAULTS = {"tie_word_embeddings": False, "attention_dropout": 0.1}

#: Options that follow from the tokenizer.
OF_TOKENIZER = ("vocab_size", "pad_token_id", "bos_token_id", "eos_token_id")


def from_scratch(
    words: Sequence[str],
    texts: Iterable[str] = (),
    *,
    size: Size | Mapping[str, object] = "tiny",
    architecture: Architecture = "llama",
    context: int = 1024,
    seed: int = 0,
) -> LanguageModel:
    """A causal language model with random weights, whose tokenizer knows these words.

    Parameters
    ----------
    words
        Words of the genes. Each becomes one token.
    texts
        Everything else that the model is to read or write: labels, wordings of prompts, numbers. Each of their words
        (between blanks) becomes a token; a word that is in neither is unknown.
    size
        ``"tiny"`` (2 layers of 64), ``"small"`` (6 of 256), or a dict of sizes under the names that transformers gives
        them, such as ``{"hidden_size": 32}``; what it leaves out is that of ``"tiny"``. Any other option of the
        architecture's configuration may stand in it too, such as ``attention_dropout`` (here 0.1), or
        ``tie_word_embeddings`` (here ``False``: genes have one vector where they are read and another where they are
        written).
    architecture
        ``"llama"``; ``"gpt_neox"`` (that of Pythia) and ``"gemma2"``, the two of C2S-Scale.
    context
        Tokens that the model takes at once.
    seed
        Of the weights. Global random numbers are neither read nor changed.

    Raises
    ------
    ImportError
        If the extra is not installed.
    ValueError, TypeError
        If words repeat, hold blanks or are special tokens, or sizes are not known or do not fit together.

    Examples
    --------
    >>> lm = from_scratch(["HLA-A", "CD3D"], ["cell type: B cell"], size={"hidden_size": 16}, context=32)
    >>> lm.tokenizer.tokenize("HLA-A CD3D B cell CD8")
    ['HLA-A', 'CD3D', 'B', 'cell', '<unk>']
    >>> lm.architecture, lm.context, lm.n_parameters
    ('llama', 32, 26960)
    """
    require_c2s()
    check_choice(architecture, choices(Architecture), "architecture")
    tokenizer = word_tokenizer(words, texts, context=context)
    config = _config(architecture, size, tokenizer, context)
    meta = {"source": "scratch", "architecture": architecture, "seed": int(seed)}
    from transformers import AutoModelForCausalLM

    with seeded(seed):
        model = AutoModelForCausalLM.from_config(config)
    return LanguageModel(model.eval(), tokenizer, tuple(words), meta)


def word_tokenizer(words: Sequence[str], texts: Iterable[str] = (), *, context: int) -> PreTrainedTokenizerFast:
    """A tokenizer that splits at blanks and nowhere else: genes first, then the other words in their order.

    Text is split at blanks only because a gene's name holds hyphens and points: a split at punctuation makes three
    tokens of HLA-A.

    Raises
    ------
    ValueError
        If words repeat, are empty, hold blanks or are special tokens.
    """
    require_c2s()
    words = [str(word) for word in words]
    wrong = [word for word in words if word.split() != [word] or word in (PAD, EOS, UNKNOWN)]
    if wrong:
        raise ValueError(f"words {some(wrong)} are empty, hold blanks or are special tokens, so no single token")
    if len(set(words)) < len(words):
        raise ValueError(f"words repeat: {some([word for word, n in Counter(words).items() if n > 1])}")
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    others = [word for text in texts for word in str(text).split()]
    vocabulary = {word: i for i, word in enumerate(dict.fromkeys((PAD, EOS, UNKNOWN, *words, *others)))}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=UNKNOWN))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=EOS,
        unk_token=UNKNOWN,
        model_max_length=context,
        clean_up_tokenization_spaces=False,
    )


def _config(
    architecture: str, size: str | Mapping[str, object], tokenizer: PreTrainedTokenizerFast, context: int
) -> PreTrainedConfig:
    from transformers import CONFIG_MAPPING

    if not isinstance(size, Mapping):
        check_choice(size, tuple(SIZES), "size")
        size = SIZES[size]
    kind = CONFIG_MAPPING[architecture]
    known = {f.name for f in fields(kind)} - set(OF_TOKENIZER)
    unknown = [name for name in size if name not in known]
    if unknown:
        raise TypeError(f"size has no options {some(unknown)}; {architecture} has {some(sorted(known), 60)}")
    options = SIZES["tiny"] | DEFAULTS | {"max_position_embeddings": context} | dict(size)
    head, rest = divmod(int(options["hidden_size"]), int(options["num_attention_heads"]))
    if rest or head < 1:
        raise ValueError(
            f"hidden_size={options['hidden_size']} is not a multiple of "
            f"num_attention_heads={options['num_attention_heads']}"
        )
    if architecture == "gemma2":  # whose own defaults are those of the model of 2 billion weights
        of_heads = {"num_key_value_heads": options["num_attention_heads"], "head_dim": head}
        options = of_heads | {"query_pre_attn_scalar": options.get("head_dim", head)} | options
    tokens = {"pad_token_id": tokenizer.pad_token_id, "eos_token_id": tokenizer.eos_token_id, "bos_token_id": None}
    return kind(vocab_size=len(tokenizer), **tokens, **options)
