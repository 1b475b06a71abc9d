"""Forward passes of a causal language model over prompts of different lengths."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal

import numpy as np

if TYPE_CHECKING:
    import torch
    from transformers import PreTrainedModel

#: Tokens of a batch, padding among them.
BATCH_TOKENS = 16_384


@contextmanager
def evaluating(model) -> Iterator[PreTrainedModel]:
    """The causal model itself, without a wrapper of adapters, in evaluation mode; afterwards modes are as before."""
    import torch

    causal = model.get_base_model() if hasattr(model, "get_base_model") else model
    modes = [(module, module.training) for module in causal.modules()]
    causal.eval()
    try:
        with torch.no_grad():
            yield causal
    finally:
        for module, mode in modes:
            module.training = mode


def n_tokens_of(model) -> int:
    """Tokens that the model has a vector of; a tokenizer may have fewer."""
    return model.get_input_embeddings().weight.shape[0]


def context_of(model) -> int | None:
    """Tokens that the model reads at most, where its configuration says so."""
    return getattr(model.config, "max_position_embeddings", None)


def end_token_of(tokenizer) -> int:
    """Id of the token that ends an answer, or a ValueError where the tokenizer has none."""
    if tokenizer.eos_token_id is None:
        raise ValueError(
            "the tokenizer has no end token, so answers have no end; set one that the model was trained with: "
            "tokenizer.eos_token = '</s>'"
        )
    return int(tokenizer.eos_token_id)


def check_prompts(prompts: Sequence[Sequence[int]], model, n_more: int = 0) -> list[np.ndarray]:
    """Prompts as int64 arrays, or a ValueError that says which is wrong; ``n_more`` tokens must fit behind each."""
    arrays = [np.asarray(prompt) for prompt in prompts]
    n_tokens, context = n_tokens_of(model), context_of(model)
    for i, prompt in enumerate(arrays):
        if prompt.ndim == 1 and not prompt.size:
            raise ValueError(f"prompt {i} is empty; a prompt needs at least one token")
        if prompt.ndim != 1 or prompt.dtype.kind not in "iu":
            raise ValueError(f"prompt {i} must be a row of token ids, got {prompt.dtype} of shape {prompt.shape}")
        if prompt.min() < 0 or prompt.max() >= n_tokens:
            wrong = prompt[(prompt < 0) | (prompt >= n_tokens)][0]
            raise ValueError(f"prompt {i} holds token id {wrong}; the model has the ids 0 to {n_tokens - 1}")
    too_long = [i for i, prompt in enumerate(arrays) if context is not None and len(prompt) + n_more > context]
    if too_long:
        longest = max(len(arrays[i]) for i in too_long)
        raise ValueError(
            f"{len(too_long)} of {len(arrays)} prompts are too long, the first is prompt {too_long[0]}: the longest "
            f"has {longest} tokens, and {n_more} more must fit into the model's context of {context}; shorten prompts"
        )
    return [prompt.astype(np.int64) for prompt in arrays]


def batches(
    lengths: Sequence[int], batch_tokens: int, *, progress: bool = False, what: str = "prompts"
) -> Iterator[np.ndarray]:
    """Rows of each batch: of similar length, longest first, and at most ``batch_tokens`` tokens with padding.

    A row that is longer than ``batch_tokens`` is a batch of its own.
    """
    from tqdm.auto import tqdm

    order, start = np.argsort(-np.asarray(lengths, dtype=np.int64), kind="stable"), 0
    with tqdm(total=len(order), desc=what, disable=not progress) as bar:
        while start < len(order):
            rows = order[start : start + max(1, int(batch_tokens) // int(lengths[order[start]]))]
            yield rows
            start += len(rows)
            bar.update(len(rows))


def pad(
    rows: Sequence[np.ndarray], side: Literal["left", "right"], device: torch.device
) -> tuple[torch.Tensor, torch.Tensor]:
    """Rows of one width, ``(row, token)``, and a mask of the same shape that is 1 at tokens and 0 at padding."""
    import torch

    width = max(map(len, rows))
    ids, mask = np.zeros((2, len(rows), width), dtype=np.int64)
    for i, row in enumerate(rows):
        place = slice(width - len(row), None) if side == "left" else slice(len(row))
        ids[i, place] = row
        mask[i, place] = 1
    return torch.from_numpy(ids).to(device), torch.from_numpy(mask).to(device)


def positions(mask: torch.Tensor) -> torch.Tensor:
    """Position of each token among the tokens of its row, so that padding on the left moves none."""
    return (mask.cumsum(1) - 1).clamp(min=0)


class Reader:
    """Prompts of one batch, read once; what follows is read on top of their keys and values, which are kept.

    Parameters
    ----------
    model
        Causal model, in evaluation mode.
    prompts
        Token ids of each row.
    room
        Tokens that may follow. More than 0 makes room for them at the start, which saves copying what is kept at every
        token; such a reader can not be repeated.
    """

    def __init__(self, model: PreTrainedModel, prompts: Sequence[np.ndarray], room: int = 0):
        from ._cache import new_cache

        ids, self._mask = pad(prompts, "left", model.device)
        at = positions(self._mask)
        self._model, self._last = model, at[:, -1]
        self._cache = new_cache(model.config, ids.shape[1] + room if room else 0)
        # Renamed in transformers 5; the old name warns.
        self._cache_name = "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"
        #: ``(row, token of the vocabulary)``: scores of what follows each prompt, float32.
        self.logits = self._run(ids, at, n_logits=1)[:, 0]

    def read(self, ids: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Read further tokens ``(row, token)``, padded on the right, and score what follows each of them."""
        import torch

        mask = torch.ones_like(ids) if mask is None else mask
        at = self._last[:, None] + mask.cumsum(1)
        self._mask, self._last = torch.cat([self._mask, mask], dim=1), at[:, -1]
        return self._run(ids, at, n_logits=ids.shape[1])

    def repeated(self, n: int) -> Reader:
        """A reader with every row ``n`` times, one after the other; this one stays as it is."""
        other = copy.copy(self)
        other._cache = copy.copy(self._cache)
        other._cache.layers = [copy.copy(layer) for layer in self._cache.layers]
        if n > 1:
            other._cache.batch_repeat_interleave(n)
            for name in ("_mask", "_last", "logits"):
                setattr(other, name, getattr(self, name).repeat_interleave(n, dim=0))
        return other

    def keep(self, rows: torch.Tensor) -> None:
        """Go on with these rows only."""
        self._cache.batch_select_indices(rows)
        self._mask, self._last = self._mask[rows], self._last[rows]

    def _run(self, ids: torch.Tensor, at: torch.Tensor, n_logits: int) -> torch.Tensor:
        kept = {self._cache_name: self._cache, "use_cache": True, "logits_to_keep": n_logits}
        return self._model(input_ids=ids, attention_mask=self._mask, position_ids=at, **kept).logits.float()
