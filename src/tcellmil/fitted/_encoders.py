"""Fitted encoders: each brings cells to [-1, 1] and compresses them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import torch
from torch import Tensor, nn

from tcellmil.nn._autoencoder import StackedAutoencoder
from tcellmil.nn._blocks import EncoderBlocks
from tcellmil.nn._network import NetworkConfig
from tcellmil.nn._projection import StackedProjection

from ._scaling import Scaling, scale_cells

#: Cells that are encoded together.
CELLS_AT_ONCE = 4096


@dataclass(frozen=True)
class Encoders:
    """E encoders of the same representations, as arrays.

    Parameters
    ----------
    config
        Sizes and kinds, resolved.
    blocks
        Number of features of each representation.
    scaling
        How cells come to [-1, 1], one row per encoder or one for all.
    weights
        ``{name: (n_encoders, ...)}``; of several representations, their number comes before the name.
    """

    config: NetworkConfig
    blocks: tuple[int, ...]
    scaling: Scaling
    weights: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(next(iter(self.weights.values())))

    @property
    def n_features(self) -> int:
        """Number of features of a cell, of all representations together."""
        return sum(self.blocks)

    @property
    def n_latent(self) -> int:
        """Size of a cell's latent, the latents of all representations side by side."""
        return sum(self.config.latent_size(n_features) for n_features in self.blocks)

    def of(self, index: np.ndarray) -> Encoders:
        """Some of the encoders."""
        return replace(
            self, scaling=self.scaling.of(index), weights={name: w[index] for name, w in self.weights.items()}
        )

    @classmethod
    def join(cls, parts: Sequence[Encoders]) -> Encoders:
        """More encoders of the same representations."""
        scaling = parts[0].scaling
        if len(scaling.loc) > 1 or len(parts[0]) == 1:
            scaling = Scaling(*(np.concatenate([getattr(p.scaling, f) for p in parts]) for f in ("loc", "scale")))
        weights = {name: np.concatenate([part.weights[name] for part in parts]) for name in parts[0].weights}
        return replace(parts[0], scaling=scaling, weights=weights)

    @classmethod
    def side_by_side(cls, config: NetworkConfig, parts: Sequence[Encoders]) -> Encoders:
        """Encoders of several representations as one, whose latent is their latents side by side."""
        if len(parts) == 1:
            return replace(parts[0], config=config)
        return cls(
            config,
            sum((part.blocks for part in parts), ()),
            Scaling.side_by_side([part.scaling for part in parts]),
            {f"{b}.{name}": w for b, part in enumerate(parts) for name, w in part.weights.items()},
        )

    def scale(self, x: np.ndarray) -> Tensor:
        """Cells ``(cell, feature)`` on the networks' scale: ``(n_encoders or 1, cell, feature)`` in [-1, 1]."""
        x = torch.from_numpy(np.ascontiguousarray(x, dtype=np.float32))[None]
        return scale_cells(x, torch.from_numpy(self.scaling.loc), torch.from_numpy(self.scaling.scale))

    @torch.inference_mode()
    def encode(self, scaled: Tensor) -> Tensor:
        """Latent ``(n_encoders, cell, n_latent)`` of cells on the networks' scale."""
        return self.network.encode(scaled)

    def encode_all(self, x: np.ndarray) -> Tensor:
        """Latent ``(n_encoders, cell, n_latent)`` of many cells ``(cell, feature)``, some at a time."""
        parts = [self.encode(self.scale(part)) for part in np.array_split(x, -(-len(x) // CELLS_AT_ONCE))]
        return torch.cat(parts, dim=1).clone()  # made in inference mode, which training could not read

    @cached_property
    @torch.inference_mode(False)  # the first caller may be in inference mode, a later one may want gradients
    def network(self) -> StackedAutoencoder | StackedProjection | EncoderBlocks:
        """The encoders as one module, without gradients of its weights."""
        parts = [self._empty(n_features) for n_features in self.blocks]
        return with_weights(parts[0] if len(parts) == 1 else EncoderBlocks(parts), self.weights)

    def _empty(self, n_features: int) -> StackedAutoencoder | StackedProjection:
        n_latent = self.config.latent_size(n_features)
        if self.config.compression == "autoencoder":
            generators = [torch.Generator()] * len(self)
            return StackedAutoencoder(generators, n_features, n_hidden=self.config.n_hidden, n_latent=n_latent)
        return StackedProjection(len(self), n_features, n_latent if self.config.compression == "pca" else None)


def with_weights(module: nn.Module, weights: dict[str, np.ndarray]) -> nn.Module:
    """Put arrays into a module, for evaluation only."""
    module.load_state_dict({name: torch.from_numpy(np.ascontiguousarray(w)) for name, w in weights.items()})
    return module.eval().requires_grad_(False)
