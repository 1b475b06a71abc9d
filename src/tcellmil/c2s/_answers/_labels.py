"""How likely a language model holds each label of a closed set."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tcellmil._checks import check_count, check_positive, some
from tcellmil.stats._temperature import best_temperature

from ._forward import BATCH_TOKENS, Reader, batches, check_prompts, end_token_of, evaluating, n_tokens_of, pad
from ._spelling import spell

#: Scores of tokens that are in memory at once, while labels are read.
LOGITS_AT_ONCE = 2**27


def label_log_probabilities(
    model,
    tokenizer,
    prompts: Sequence[Sequence[int]],
    labels: Sequence[str],
    *,
    after_blank: bool = False,
    batch_tokens: int = BATCH_TOKENS,
    progress: bool = False,
) -> np.ndarray:
    r"""Log-probability that a language model answers each prompt with each label, whole.

    A label of tokens :math:`t_1, \dots, t_k`, the last of which is the end token, has

    .. math::
        \log p(\text{label} \mid \text{prompt}) = \sum_{i=1}^{k} \log p(t_i \mid \text{prompt}, t_1, \dots, t_{i-1})

    The end token tells a label from one that begins like it. A prompt is read once, and its keys and values are shared
    by all labels. Choosing token by token instead may lead into a label whose end is unlikely.

    Parameters
    ----------
    model
        Causal language model of transformers, with or without adapters of peft.
    tokenizer
        Its tokenizer.
    prompts
        Token ids of each prompt.
    labels
        Two labels at least, each spelled in its own way.
    after_blank
        Whether labels are spelled as behind a blank, where the tokenizer spells words there in another way.
    batch_tokens
        Tokens of a batch, padding among them.
    progress
        Show a progress bar.

    Returns
    -------
    ``(n_prompts, n_labels)`` float32, at most 0. The probabilities of a row need not sum to 1, as the model may answer
    with other text: see :func:`label_probabilities`.

    Raises
    ------
    TypeError
        If labels are not text.
    ValueError
        If there are less than two labels, two are spelled alike, the tokenizer does not know one or has no end token,
        or a prompt is no row of token ids or too long for the labels behind it.

    Examples
    --------
    >>> from tokenizers import Tokenizer, models, pre_tokenizers
    >>> from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast
    >>> from tcellmil.c2s import label_log_probabilities, label_probabilities
    >>> words = ["</s>", "is", "B", "T", "cell"]
    >>> core = Tokenizer(models.WordLevel({word: i for i, word in enumerate(words)}))
    >>> core.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    >>> tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>")
    >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    >>> model = LlamaForCausalLM(LlamaConfig(vocab_size=5, **sizes))
    >>> scores = label_log_probabilities(model, tokenizer, [[1], [1, 1]], ["T cell", "B cell", "B"])
    >>> scores.shape, label_probabilities(scores).sum(axis=1).round(4)
    ((2, 3), array([1., 1.], dtype=float32))
    """
    check_count(batch_tokens, "batch_tokens")
    end = end_token_of(tokenizer)
    spelled = _spelled(tokenizer, labels, end, n_tokens_of(model), after_blank)
    longest = max(map(len, spelled))
    prompts = check_prompts(prompts, model, longest)
    scores = np.empty((len(prompts), len(spelled)), dtype=np.float32)
    with evaluating(model) as causal:
        # The longest label is read behind the prompt, but for its end token.
        widths = [len(prompt) + longest - 1 for prompt in prompts]
        for rows in batches(widths, batch_tokens, progress=progress, what="score labels"):
            reader = Reader(causal, [prompts[i] for i in rows])
            n_at_once = batch_tokens // (len(rows) * max(widths[i] for i in rows))
            n_at_once = min(n_at_once, LOGITS_AT_ONCE // (len(rows) * longest * n_tokens_of(model)))
            scores[rows] = _score(reader, spelled, max(1, n_at_once)).cpu().numpy()
    return scores


def label_probabilities(log_probabilities: np.ndarray, temperature: float = 1.0) -> np.ndarray:
    r"""Probability of each label, given that the answer is one of them.

    .. math:: p_{l} = \frac{\exp(s_{l} / T)}{\sum_{m} \exp(s_{m} / T)}

    Parameters
    ----------
    log_probabilities
        ``(n_prompts, n_labels)``: :math:`s`, of :func:`label_log_probabilities`.
    temperature
        T, of :func:`fit_label_temperature`.

    Returns
    -------
    ``(n_prompts, n_labels)`` float32; rows sum to 1.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.c2s import label_probabilities
    >>> label_probabilities(np.log([[0.02, 0.06]]))
    array([[0.25, 0.75]], dtype=float32)
    """
    from scipy.special import softmax

    scaled = np.asarray(log_probabilities, dtype=np.float64) / check_positive(temperature, "temperature")
    return softmax(scaled, axis=1).astype(np.float32)


def fit_label_temperature(log_probabilities: np.ndarray, codes: np.ndarray) -> float:
    """Temperature at which the probabilities of labels are those of being right, on cells that were not trained on.

    It minimises the cross-entropy (Guo et al., ICML 2017) over the cells, between 0.05 and 20.

    Parameters
    ----------
    log_probabilities
        ``(n_cells, n_labels)``, of :func:`label_log_probabilities`, on cells of validation donors.
    codes
        ``(n_cells,)``: which label is the true one; -1 where none is, and the cell is left out.

    Returns
    -------
    Above 1: the model is too sure of itself.

    Raises
    ------
    ValueError
        If shapes do not match, a code is no label, or no cell has one.

    Examples
    --------
    >>> import numpy as np
    >>> from tcellmil.c2s import fit_label_temperature
    >>> sure = np.log([[0.999, 0.001]] * 10)
    >>> round(fit_label_temperature(sure, np.array([0] * 9 + [1])), 1)
    3.1
    """
    scores, codes = np.asarray(log_probabilities, dtype=np.float64), np.asarray(codes)
    if scores.ndim != 2 or codes.shape != scores.shape[:1]:
        raise ValueError(
            f"log_probabilities must be (n_cells, n_labels) and codes (n_cells,), got {scores.shape} and {codes.shape}"
        )
    if codes.dtype.kind not in "iu" or (codes < -1).any() or (codes >= scores.shape[1]).any():
        raise ValueError(f"codes must be whole numbers from -1 to {scores.shape[1] - 1}, got {some(np.unique(codes))}")
    if not (codes >= 0).any():
        raise ValueError("no cell has a label, so there is nothing to calibrate on")
    return best_temperature(scores[codes >= 0], codes[codes >= 0], balanced=False)


def _spelled(tokenizer, labels: Sequence[str], end: int, n_tokens: int, after_blank: bool) -> list[np.ndarray]:
    """Token ids of each label with the end token behind it, or an error that names what can not be scored."""
    labels = [labels] if isinstance(labels, str) else list(labels)
    strange = [label for label in labels if not isinstance(label, str)]
    if strange:
        kinds = sorted({type(label).__name__ for label in strange})
        raise TypeError(
            f"labels must be text, got {some(strange)} of type {', '.join(kinds)}; drop missing ones, and map str"
        )
    if len(labels) < 2:
        raise ValueError(f"labels must be two at least, to choose among them; got {some(labels)}")
    spelled, unknown = spell(tokenizer, labels, after_blank=after_blank).rows(), tokenizer.unk_token_id
    for label, ids in zip(labels, spelled, strict=True):
        if not len(ids):
            raise ValueError(f"label {label!r} has no token; leave it out")
        if unknown is not None and unknown in ids:
            raise ValueError(
                f"the tokenizer does not know all words of label {label!r}, so the model can not say it; use labels "
                "that the model was trained with"
            )
        if end in ids or ids.max() >= n_tokens:
            raise ValueError(
                f"label {label!r} is spelled with the end token, or with tokens that the model does not have"
            )
    seen: dict[bytes, str] = {}
    for label, ids in zip(labels, spelled, strict=True):
        if ids.tobytes() in seen:
            twins = some([seen[ids.tobytes()], label])
            raise ValueError(f"labels {twins} are spelled alike, so they can not be told apart; leave one of them out")
        seen[ids.tobytes()] = label
    return [np.append(ids, end) for ids in spelled]


def _score(reader: Reader, spelled: list[np.ndarray], n_at_once: int):
    """``(row, label)``: log-probability of each label, from prompts that have been read."""
    import torch

    first = torch.log_softmax(reader.logits, dim=1)
    scores = first[:, [int(ids[0]) for ids in spelled]].double()
    order = np.argsort([len(ids) for ids in spelled], kind="stable")  # labels of one length together
    for start in range(0, len(order), n_at_once):
        chosen = order[start : start + n_at_once]
        ids, mask = pad([spelled[i] for i in chosen], "right", first.device)
        ids, mask = (values.repeat(len(first), 1) for values in (ids, mask))  # labels of one prompt together
        logits = reader.repeated(len(chosen)).read(ids[:, :-1], mask[:, 1:])
        of_next = logits.gather(2, ids[:, 1:, None])[:, :, 0] - logits.logsumexp(dim=2)
        rest = of_next.double().where(mask[:, 1:].bool(), 0).sum(dim=1)
        scores[:, chosen] += rest.view(len(first), len(chosen))
    return scores
