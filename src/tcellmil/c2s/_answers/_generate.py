"""Sentences that a language model writes."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np

from tcellmil._checks import check_choice, check_count, check_positive, choices, some
from tcellmil._log import warn

from ._forward import BATCH_TOKENS, Reader, batches, check_prompts, context_of, end_token_of, evaluating, n_tokens_of
from ._spelling import WordTrie, spell
from ._writers import TextWriter, WordWriter, as_texts, word_writer

if TYPE_CHECKING:
    import torch

Engine = Literal["transformers", "vllm"]

#: A batch goes on without the rows that are done when no more than this share of its rows is left.
KEPT_ROWS = 0.75


@dataclass(frozen=True)
class Generated:
    """Sentences that a model wrote.

    Parameters
    ----------
    ids
        ``(n_prompts, n_genes)`` int32: place of each gene among the words, from high to low, -1 behind the last.
    n_unknown
        ``(n_prompts,)``: words written that are no genes.
    n_repeated
        ``(n_prompts,)``: genes written again.
    """

    ids: np.ndarray
    n_unknown: np.ndarray
    n_repeated: np.ndarray


def generate_sentences(
    model,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    words: Sequence[str],
    *,
    n_genes: int = 200,
    temperature: float = 1.0,
    top_p: float = 1.0,
    constrain: bool = True,
    after_blank: bool = False,
    generator: torch.Generator | None = None,
    batch_tokens: int = BATCH_TOKENS,
    engine: Engine = "transformers",
    progress: bool = False,
) -> Generated:
    r"""Let a language model write one sentence of genes behind each prompt.

    A token is drawn from :math:`\mathrm{softmax}(z / T)` over what may come next. Keys and values of what has been read
    are kept, so that the cost of a token does not grow with the tokens before it, but for attention.

    Parameters
    ----------
    model
        Causal language model of transformers, with or without adapters of peft.
    tokenizer
        Its tokenizer.
    prompts
        Token ids of each prompt. Give a prompt several times for several sentences.
    words
        Names of the genes, without blanks and each once.
    n_genes
        Genes of a sentence at most; the end token ends it earlier.
    temperature
        T: 0 takes the likeliest token each time, 1 draws as the model says.
    top_p
        Draw among the likeliest tokens that hold this probability together, in (0, 1].
    constrain
        Allow whole genes of ``words`` only, and none twice; at least one. Genes that the tokenizer does not know are
        never written. Without it, the text is read as :func:`read_sentences` reads it, and unknown and repeated words
        are counted.
    after_blank
        Whether the first gene is spelled as behind a blank, where the tokenizer spells words there in another way.
    generator
        Where chance comes from; a new one with seed 0 by default. The global state of torch is not touched, and
        ``batch_tokens`` changes no sentence, as far as sums in another order keep the draw.
    batch_tokens
        Tokens of a batch, prompts and answers together.
    engine
        ``"vllm"`` hands the model to that package, where it is installed; without ``constrain``.
    progress
        Show a progress bar.

    Returns
    -------
    Sentences in the order of the prompts.

    Raises
    ------
    ValueError
        If a number is out of its range, a prompt is no row of token ids or too long for ``n_genes`` tokens behind it,
        or the tokenizer has no end token, knows none of the words or does not tell them apart.
    ImportError
        If ``engine`` is not installed.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    >>> from tcellmil.c2s import generate_sentences
    >>> genes = ["CD3D", "MS4A1", "LYZ", "NKG7"]
    >>> core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(["</s>", "cell", *genes])}))
    >>> core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")
    >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    >>> model = LlamaForCausalLM(LlamaConfig(vocab_size=6, **sizes))
    >>> found = generate_sentences(model, tokenizer, [[1], [1], [1]], genes, n_genes=3)
    >>> found.ids.shape, found.n_repeated
    ((3, 3), array([0, 0, 0]))
    """
    n_genes, words = check_count(n_genes, "n_genes"), _check_words(words)
    _check_options(temperature, top_p, engine, constrain)
    end, prompts = end_token_of(tokenizer), check_prompts(prompts, model, n_genes)
    n_tokens = n_tokens_of(model)
    trie = WordTrie.of(tokenizer, words, n_tokens, end, after_blank=after_blank) if constrain else None
    lengths = spell(tokenizer, words, after_blank=True).lengths if trie is None else trie.lengths
    longest = int(lengths.max()) if trie is None else trie.depth
    context, enough = context_of(model), n_genes * longest + 1
    limits = [enough if context is None else min(enough, context - len(prompt)) for prompt in prompts]
    usual, limits = int(np.ceil(n_genes * lengths.mean())) + 1, np.array(limits, dtype=np.int64)
    task = _Task(prompts, limits, usual, float(temperature), float(top_p), _draw_seed(generator))
    if engine == "vllm":
        from ._vllm import write_with_vllm

        return _read(tokenizer, write_with_vllm(model, tokenizer, task, end), words, n_genes)

    def new_writer(n_rows: int, limit: int, device: torch.device) -> WordWriter | TextWriter:
        if trie is None:
            return TextWriter(tokenizer, n_rows, n_genes, limit, end, device)
        return word_writer(trie, n_rows, n_genes, end, device)

    written, n_cut = _write_all(model, task, new_writer, check_count(batch_tokens, "batch_tokens"), progress)
    if n_cut:
        at = f"{enough} tokens" if context is None else f"{enough} tokens or the model's context of {context}"
        warn(f"{n_cut} of {len(prompts)} sentences were cut at {at}, before {n_genes} genes and before an end token")
    if trie is None:
        return _read(tokenizer, written, words, n_genes)
    none = np.zeros(len(prompts), dtype=np.int64)
    return Generated(np.array(written, dtype=np.int32).reshape(-1, n_genes), none, none.copy())


@dataclass(frozen=True)
class _Task:
    """Prompts, tokens that may follow each and that usually do, and how tokens are drawn."""

    prompts: list[np.ndarray]
    limits: np.ndarray
    usual: int
    temperature: float
    top_p: float
    seed: int

    def uniform(self, rows: np.ndarray) -> np.ndarray:
        """``(row, token)`` in [0, 1): chance of each prompt, whatever prompts are with it in a batch."""
        n = int(self.limits[rows].max())
        return np.stack([np.random.default_rng((self.seed, int(i))).random(n) for i in rows])


def _write_all(
    model,
    task: _Task,
    new_writer: Callable[[int, int, torch.device], WordWriter | TextWriter],
    batch_tokens: int,
    progress: bool,
) -> tuple[list, int]:
    """What the model writes behind each prompt, and how many answers were cut."""
    written, n_cut = [None] * len(task.prompts), 0
    widths = [len(prompt) + task.usual for prompt in task.prompts]
    with evaluating(model) as causal:
        for rows in batches(widths, batch_tokens, progress=progress, what="generate"):
            limit = int(task.limits[rows].max())
            writer = new_writer(len(rows), limit, causal.device)
            n_cut += _write(Reader(causal, [task.prompts[i] for i in rows], room=task.usual), writer, task, rows)
            for i, answer in zip(rows, writer.finish(), strict=True):
                written[i] = answer
    return written, n_cut


def _write(reader: Reader, writer: WordWriter | TextWriter, task: _Task, rows: np.ndarray) -> int:
    """Let a batch write until all rows are done; returns how many were cut before that."""
    import torch

    logits, n_cut = reader.logits, 0
    uniform, limits = (torch.from_numpy(of_row).to(logits.device) for of_row in (task.uniform(rows), task.limits[rows]))
    for step in range(int(limits.max())):
        writer.forbid(logits)
        tokens = choose_tokens(logits, uniform[:, step], task.temperature, task.top_p)
        writer.advance(tokens)
        cut = ~writer.done & (limits <= step + 1)
        n_cut += writer.stop(cut) if bool(cut.any()) else 0
        left = (~writer.done).nonzero()[:, 0]
        if not len(left):
            break
        if len(left) <= KEPT_ROWS * len(tokens):
            tokens, uniform, limits = tokens[left], uniform[left], limits[left]
            writer.keep(left)
            reader.keep(left)
        logits = reader.read(tokens[:, None])[:, 0]
    return n_cut


def choose_tokens(logits: torch.Tensor, uniform: torch.Tensor, temperature: float, top_p: float) -> torch.Tensor:
    """Draw a token of each row by inverting the cumulative distribution at ``uniform``.

    Parameters
    ----------
    logits
        ``(row, token)``; minus infinity is never drawn.
    uniform
        ``(row,)`` in [0, 1).
    temperature
        Of the softmax; 0 takes the token of the largest score, the first of equal ones.
    top_p
        Probability of the likeliest tokens among which to draw.
    """
    import torch

    if temperature == 0:
        return logits.argmax(dim=1)
    weight, order = torch.softmax(logits / temperature, dim=1), None
    if top_p < 1:
        weight, order = weight.sort(dim=1, descending=True, stable=True)
        weight = weight.where(weight.cumsum(1) - weight < top_p, 0)
    wide = torch.float32 if logits.device.type == "mps" else torch.float64
    cumulative = weight.cumsum(1, dtype=wide)
    total = cumulative[:, -1]
    # Below the total, also where the product is rounded up: the first sum above it is that of a token with weight.
    target = (uniform.to(wide) * total).minimum(torch.nextafter(total, torch.zeros_like(total)))
    place = torch.searchsorted(cumulative, target[:, None], right=True)
    return (place if order is None else order.gather(1, place))[:, 0]


def _draw_seed(generator: torch.Generator | None) -> int:
    import torch

    generator = torch.Generator().manual_seed(0) if generator is None else generator
    return int(torch.randint(2**62, (), generator=generator, device=generator.device))


def _read(tokenizer, ids: Sequence[Sequence[int]], words: list[str], n_genes: int) -> Generated:
    """The first words of each text as genes; unknown and repeated ones are counted."""
    from tcellmil.c2s._text import read_sentences

    texts = [" ".join(text.split()[:n_genes]) for text in as_texts(tokenizer, ids)] if len(ids) else []
    parsed = read_sentences(texts, words)
    genes = np.full((len(texts), n_genes), -1, dtype=np.int32)
    genes[:, : parsed.ids.shape[1]] = parsed.ids
    return Generated(genes, np.asarray(parsed.n_unknown), np.asarray(parsed.n_repeated))


def _check_words(words: Sequence[str]) -> list[str]:
    words = [words] if isinstance(words, str) else list(words)
    wrong = [word for word in words if not isinstance(word, str) or word.split() != [word]]
    if wrong or not words:
        raise ValueError(
            f"words must be names of genes without blanks, got {some(wrong)}" if wrong else "there are no words"
        )
    if len(set(words)) < len(words):
        raise ValueError(f"words are not unique: {some([w for w, n in Counter(words).items() if n > 1])}")
    return words


def _check_options(temperature: float, top_p: float, engine: str, constrain: bool) -> None:
    check_choice(engine, choices(Engine), "engine")
    if temperature != 0:
        check_positive(temperature, "temperature")
    if check_positive(top_p, "top_p") > 1:
        raise ValueError(f"top_p={top_p!r} must be at most 1")
    if engine == "vllm" and constrain:
        raise ValueError(
            "engine='vllm' can not keep a model to whole genes; pass constrain=False, or engine='transformers'"
        )
