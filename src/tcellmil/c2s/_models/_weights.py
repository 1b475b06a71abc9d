"""The weights of a network by the names of its live modules: listed, copied, put back and told apart.

Names in a file are those of another version of a library; those of the live modules are the same on both sides.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import torch
    from torch import nn

#: What peft puts into the names of the weights of the model that it wraps.
WRAPPED, BASE_LAYER, LORA = "base_model.model.", ".base_layer.", "lora_"


def named_weights(model: nn.Module, trained: bool | None = None) -> dict[str, torch.Tensor]:
    """Weights by name, tied ones once; only those that are trained, or that are not, where ``trained`` says so."""
    return {name: p for name, p in model.named_parameters() if trained is None or p.requires_grad == trained}


def base_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a model without those of an adapter, under the names that they have without one."""
    return {
        name.removeprefix(WRAPPED).replace(BASE_LAYER, "."): p
        for name, p in model.named_parameters()
        if LORA not in name
    }


def adapter_weights(model: nn.Module) -> dict[str, torch.Tensor]:
    """Weights of a model's adapter, by name."""
    return {name: p for name, p in model.named_parameters() if LORA in name}


def copied(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Copies on the CPU."""
    return {name: w.detach().to("cpu", copy=True) for name, w in weights.items()}


def put_back(weights: Mapping[str, torch.Tensor], values: Mapping[str, torch.Tensor]) -> None:
    """Write values into weights of the same names, in place.

    Raises
    ------
    ValueError
        If names or shapes are not the same.
    """
    import torch

    if weights.keys() != values.keys():
        raise ValueError(f"weights differ in {sorted(weights.keys() ^ values.keys())[:3]}")
    wrong = [name for name, w in weights.items() if w.shape != values[name].shape]
    if wrong:
        raise ValueError(f"weight {wrong[0]} is {tuple(values[wrong[0]].shape)}, not {tuple(weights[wrong[0]].shape)}")
    with torch.no_grad():
        for name, w in weights.items():
            w.copy_(values[name])


@contextmanager
def as_before_on_error(model: nn.Module) -> Iterator[dict[str, torch.Tensor]]:
    """Give copies of the trained weights; on an error or an interrupt inside, the weights and mode are as before."""
    start, was_training = copied(named_weights(model, trained=True)), model.training
    try:
        yield start
    except BaseException:
        for name, weight in named_weights(model, trained=True).items():
            weight.data = start[name].to(weight.device)
        model.zero_grad(set_to_none=True)
        model.train(was_training)
        raise


def digest_of(weights: Mapping[str, torch.Tensor]) -> str:
    """Text that differs where any bit of any weight, or its name, type or shape differs.

    Costs about a second for each gigabyte.
    """
    import torch

    digest = hashlib.sha256()
    for name in sorted(weights):
        w = weights[name].detach()
        digest.update(f"\n{name} {w.dtype} {tuple(w.shape)}\n".encode())
        digest.update(memoryview(w.cpu().contiguous().reshape(-1).view(torch.uint8).numpy()))
    return digest.hexdigest()
