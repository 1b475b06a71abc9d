"""Prompts as vectors: what a language model makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from tcellmil._checks import check_choice, check_count

from ._forward import BATCH_TOKENS, batches, check_prompts, evaluating, pad, positions


def embed_prompts(
    model,
    prompts: Sequence[Sequence[int]],
    *,
    batch_tokens: int = BATCH_TOKENS,
    padding: Literal["right", "left"] = "right",
    progress: bool = False,
) -> np.ndarray:
    """Embed each prompt as the mean of the last hidden layer over its own tokens.

    The last hidden layer is the input of the output layer, so the final normalisation is part of it. Padding takes no
    part, and the position of a token is counted from the first token of its prompt: a prompt has the same vector alone
    and in any batch, to 1e-5 in float32. In a shorter type, sums round in another way in another batch.

    Parameters
    ----------
    model
        Causal language model of transformers, with or without adapters of peft.
    prompts
        Token ids of each prompt.
    batch_tokens
        Tokens of a batch, padding among them.
    padding
        Side of the padding; it changes nothing.
    progress
        Show a progress bar.

    Returns
    -------
    ``(n_prompts, width)`` float32.

    Raises
    ------
    ValueError
        If a prompt is no row of token ids that the model has, or longer than its context.

    Examples
    --------
    >>> from transformers import LlamaConfig, LlamaForCausalLM
    >>> from tcellmil.c2s import embed_prompts
    >>> sizes = {"hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1}
    >>> model = LlamaForCausalLM(LlamaConfig(vocab_size=6, **sizes))
    >>> embed_prompts(model, [[1, 2, 3], [4]]).shape
    (2, 8)
    """
    check_choice(padding, ("right", "left"), "padding")
    check_count(batch_tokens, "batch_tokens")
    prompts = check_prompts(prompts, model)
    embedding = np.empty((len(prompts), model.config.hidden_size), dtype=np.float32)
    with evaluating(model) as causal:
        for rows in batches([len(prompt) for prompt in prompts], batch_tokens, progress=progress, what="embed"):
            ids, mask = pad([prompts[i] for i in rows], padding, causal.device)
            encoder = causal.base_model  # without the output layer
            hidden = encoder(input_ids=ids, attention_mask=mask, position_ids=positions(mask), use_cache=False)
            own = mask[:, :, None].bool()
            total = hidden.last_hidden_state.float().where(own, 0).sum(dim=1)
            embedding[rows] = (total / mask.sum(dim=1, keepdim=True)).cpu().numpy()
    return embedding
