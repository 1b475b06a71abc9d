"""Several representations of a cell, each with an encoder of its own."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class EncoderBlocks(nn.ModuleList):
    """Encoders of representations that stand side by side; the latent of a cell is their latents, side by side.

    Holds :class:`StackedAutoencoder` or :class:`StackedProjection`, in the order of the representations' columns.
    """

    def encode(self, x: Tensor) -> Tensor:
        """Latent of cells: ``(replica or 1, cell, n_input)`` to ``(replica, cell, n_latent)``, sums over the blocks."""
        widths = [encoder.centre.shape[-1] for encoder in self]
        parts = x.split(widths, dim=-1)
        return torch.cat([encoder.encode(part) for encoder, part in zip(self, parts, strict=True)], dim=-1)
