"""The device that networks are trained on and predict on."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    import torch

Accelerator = Literal["auto", "cpu", "gpu", "cuda", "mps"]


def device_for(accelerator: Accelerator) -> torch.device:
    """The device of an accelerator's name: ``"cpu"``, ``"cuda"``, ``"mps"``, ``"gpu"`` for either of the last two.

    ``"auto"`` is a CUDA device where there is one, else the CPU.

    Raises
    ------
    ValueError
        If torch sees no such device.

    Examples
    --------
    >>> device_for("cpu")
    device(type='cpu')
    """
    import torch

    there = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    wanted = {"auto": ("cuda", "cpu"), "gpu": ("cuda", "mps")}.get(accelerator, (accelerator,))
    found = [name for name in wanted if there.get(name)]
    if not found:
        seen = ", ".join(repr(name) for name in there if there[name])
        raise ValueError(
            f"accelerator={accelerator!r}: torch sees no such device here, only {seen}; use 'auto' or 'cpu'"
        )
    return torch.device(found[0])
