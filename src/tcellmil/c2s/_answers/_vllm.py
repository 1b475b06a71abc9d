"""Generation by the package vllm, where it is installed."""

from __future__ import annotations

from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ._generate import _Task


def write_with_vllm(model, tokenizer, task: _Task, end: int) -> list[list[int]]:
    """Token ids that vllm writes behind each prompt, up to the end token.

    vllm reads a model from a folder, so the model is written into one first.
    """
    try:
        from vllm import LLM, SamplingParams
    except ImportError as error:
        raise ImportError(
            "engine='vllm' needs the package vllm, not installed here: pip install vllm; or use engine='transformers'"
        ) from error
    if hasattr(model, "get_base_model"):
        raise ValueError("engine='vllm' reads whole models; merge the adapters into the model first")
    with TemporaryDirectory() as folder:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        engine = LLM(model=folder, trust_remote_code=False)
        how = {"temperature": task.temperature, "top_p": task.top_p, "stop_token_ids": [end]}
        seeds = [(task.seed + i) % 2**32 for i in range(len(task.prompts))]
        of_row = [
            SamplingParams(max_tokens=int(limit), seed=seed, **how)
            for limit, seed in zip(task.limits, seeds, strict=True)
        ]
        found = engine.generate([{"prompt_token_ids": prompt.tolist()} for prompt in task.prompts], of_row)
    written = [list(output.outputs[0].token_ids) for output in found]
    return [ids[: ids.index(end)] if end in ids else ids for ids in written]
