"""The order in which a seed meets cells and bags."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor


def cell_batches(rng: list[np.random.Generator], cells: np.ndarray, batch_size: int) -> Iterator[Tensor]:
    """One epoch of cells, shuffled for each seed: yields ``(seed, cell)`` indices.

    Parameters
    ----------
    rng
        One generator per seed.
    cells
        ``(n_seeds, n_cells)`` indices to go through.
    batch_size
        Cells per batch; the last one may be smaller.
    """
    shuffled = np.stack([g.permutation(row) for g, row in zip(rng, cells, strict=True)])
    for start in range(0, shuffled.shape[1], batch_size):
        yield torch.from_numpy(shuffled[:, start : start + batch_size])


def bag_batches(
    rng: list[np.random.Generator], bags: np.ndarray, offsets: np.ndarray, n_cells: int | None, bags_per_batch: int
) -> Iterator[dict[str, Tensor]]:
    """One epoch of bags, shuffled and resampled for each seed.

    Parameters
    ----------
    rng
        One generator per seed.
    bags
        Bags to go through.
    offsets
        ``(n_bags + 1,)`` first row of each bag.
    n_cells
        Cells drawn from a bag without replacement; a smaller bag is taken whole, ``None`` takes all. 0: no cells are
        drawn, and batches hold ``bags`` only.
    bags_per_batch
        Bags per batch; the last one may be smaller.
    """
    order = np.stack([g.permutation(bags) for g in rng])
    if n_cells == 0:
        for index in np.split(order, range(bags_per_batch, len(bags), bags_per_batch), axis=1):
            yield {"bags": torch.from_numpy(index)}
        return
    sizes = np.diff(offsets)
    width = int(sizes[bags].max())
    n_cells = width if n_cells is None else min(n_cells, width)
    drawn = np.stack([_draw(g, offsets, n_cells) for g in rng])  # (seed, bag, cell)
    present = np.arange(n_cells) < sizes[:, None]  # a bag of n cells fills the first n places
    for start in range(0, len(bags), bags_per_batch):
        index = order[:, start : start + bags_per_batch]
        yield {
            "bags": torch.from_numpy(index),
            "cells": torch.from_numpy(drawn[np.arange(len(rng))[:, None], index]),
            "present": torch.from_numpy(present[index]),
        }


def _draw(rng: np.random.Generator, offsets: np.ndarray, n_cells: int) -> np.ndarray:
    """Rows of ``n_cells`` random cells of every bag, ``(bag, cell)``; a small bag repeats its first cell."""
    sizes = np.diff(offsets)
    bag_of_cell = np.repeat(np.arange(len(sizes)), sizes)
    if (sizes <= n_cells).all():
        shuffled = np.arange(offsets[-1])
    else:
        shuffled = np.lexsort((rng.random(offsets[-1]), bag_of_cell))
    place = np.arange(n_cells)[None, :]
    return shuffled[offsets[:-1, None] + np.where(place < sizes[:, None], place, 0)]
