"""How near the tokens of two texts are in meaning."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Literal, get_args

import numpy as np

from tcellmil._checks import check_choice
from tcellmil._docs import documented
from tcellmil.metrics._arrays import as_texts
from tcellmil.metrics._conditions import ByCondition, Labels, average_by

Part = Literal["f1", "precision", "recall"]
Encoder = Callable[[list[str]], Sequence[np.ndarray]]
N_PAIRS = 256  # whose tokens are in memory at a time


@documented
def bert_score(
    real: Sequence[str],
    generated: Sequence[str],
    encoder: str | Path | Encoder,
    *,
    part: Part = "f1",
    by: Labels | None = None,
) -> np.ndarray | ByCondition:
    r"""BERTScore of each generated text against the real one, over any encoder of tokens.

    With the tokens :math:`x_i` of the real and :math:`\hat x_j` of the generated text as contextual embeddings, and
    the cosine :math:`s` of their angle,

    .. math:: R = \frac{1}{|x|} \sum_i \max_j s(x_i, \hat x_j), \qquad
        P = \frac{1}{|\hat x|} \sum_j \max_i s(x_i, \hat x_j), \qquad F = \frac{2PR}{P + R}

    The tokens of the texts alone, without those that a tokenizer puts around a text, such as ``[CLS]`` and ``[SEP]``;
    not weighted by their frequency, and not rescaled to a baseline. Values depend on the encoder: unrelated texts have
    0.7 or more with many of them. Compare values of one encoder only, and with those of texts that were interchanged.

    Parameters
    ----------
    real, generated
        Texts, as many of each; text ``i`` of one belongs to text ``i`` of the other. Equal pairs are computed once.
    encoder
        A folder with a model of transformers (:class:`LocalEncoder`, here with its last layer); or a function that
        takes a list of texts and gives the embeddings of the tokens of each, ``(n_tokens, n_features)``.
    part
        Which of the three; the paper reports ``"f1"``.
    %(by_pairs)s

    Returns
    -------
    ``(n_texts,)``, at most 1; 0 where the generated text has no token, or precision and recall add up to 0.
    %(with_by)s

    Raises
    ------
    ImportError
        If the encoder is a folder and transformers is not installed.
    TypeError
        If texts are no texts.
    ValueError
        If the numbers of texts differ, a real text has no token, or the encoder gives something else.

    References
    ----------
    Zhang et al. (2020), ICLR; Rizvi et al. (2025), C2S-Scale, section 4.4.

    Examples
    --------
    A toy encoder, in which a word is the counts of its letters:

    >>> import numpy as np
    >>> from tcellmil.metrics import bert_score
    >>> def letters(texts):
    ...     return [np.array([[w.count(c) for c in "abcdel"] for w in t.lower().split()]) for t in texts]
    >>> bert_score(["B cell", "B cell"], ["B cell", "cell"], letters).round(3)
    array([1.   , 0.667])
    """
    check_choice(part, get_args(Part), "part")
    real, generated = as_texts(real, "real"), as_texts(generated, "generated")
    if len(real) != len(generated):
        raise ValueError(f"there are {len(real)} real and {len(generated)} generated texts; each has one of its own")
    if not callable(encoder):
        from tcellmil.metrics._encoder import LocalEncoder

        encoder = LocalEncoder(encoder)
    pairs = list(zip(real, generated, strict=True))
    scores = dict(_scores(list(dict.fromkeys(pairs)), encoder))
    place = get_args(Part).index(part)
    return average_by(np.array([scores[pair][place] for pair in pairs], dtype=float), by)


def _scores(pairs: list[tuple[str, str]], encoder: Encoder) -> Iterator[tuple[tuple[str, str], tuple]]:
    """F1, precision and recall of each pair."""
    for start in range(0, len(pairs), N_PAIRS):
        some = pairs[start : start + N_PAIRS]
        tokens = _tokens(list(dict.fromkeys(text for pair in some for text in pair)), encoder)
        for real, generated in some:
            if not len(tokens[real]):
                raise ValueError(f"the real text {real!r} has no token; leave it out, or use another encoder")
            yield (real, generated), _greedy(tokens[real], tokens[generated])


def _greedy(real: np.ndarray, generated: np.ndarray) -> tuple[float, float, float]:
    """F1, precision and recall of tokens, which are rows of length 1."""
    if not len(generated):
        return 0.0, 0.0, 0.0
    similarity = real @ generated.T
    recall, precision = similarity.max(axis=1).mean(), similarity.max(axis=0).mean()
    total = precision + recall
    return (2 * precision * recall / total if total else 0.0), precision, recall


def _tokens(texts: list[str], encoder: Encoder) -> dict[str, np.ndarray]:
    """Tokens of each text as rows of length 1; a token that is 0 throughout stays so, and is near none."""
    found = encoder(texts)
    found = [np.asarray(tokens, dtype=np.float64) for tokens in found]
    if len(found) != len(texts):
        raise ValueError(f"the encoder gave {len(found)} arrays for {len(texts)} texts")
    units = {}
    for text, tokens in zip(texts, found, strict=True):
        if tokens.ndim != 2 or not np.isfinite(tokens).all():
            raise ValueError(
                f"the encoder must give finite (n_tokens, n_features) for each text, got {tokens.shape} for {text!r}"
            )
        length = np.linalg.norm(tokens, axis=1, keepdims=True)
        units[text] = np.divide(tokens, length, out=np.zeros_like(tokens), where=length > 0)
    return units
