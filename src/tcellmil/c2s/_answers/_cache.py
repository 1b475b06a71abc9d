"""Keys and values that a language model keeps of what it has read."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from transformers import DynamicCache


def new_cache(config, length: int = 0) -> DynamicCache:
    """An empty cache for a model of this configuration.

    ``length`` above 0 makes room for so many tokens in each layer that keeps all of them, and for more when it is full.
    Layers of sliding windows keep few, and stay as they are.
    """
    from transformers import DynamicCache
    from transformers.cache_utils import DynamicLayer

    kept = DynamicCache(config=config)
    if length:
        with_room = _layer_with_room()
        kept.layers = [with_room(length) if type(layer) is DynamicLayer else layer for layer in kept.layers]
    return kept


@cache
def _layer_with_room() -> type:
    """Class of a layer whose arrays have room at their end; concatenation would copy all of them at every token."""
    from transformers.cache_utils import DynamicLayer

    class LayerWithRoom(DynamicLayer):
        def __init__(self, length: int):
            super().__init__()
            self._length = length

        def update(self, key_states, value_states, *args, **kwargs):
            start, new = self.get_seq_length(), (key_states, value_states)
            stop = start + key_states.shape[-2]
            if not self.is_initialized:
                self.lazy_initialization(key_states, value_states)
                self._whole = [self._room_for(states, max(self._length, stop)) for states in new]
            elif stop > self._whole[0].shape[-2]:
                kept, longer = (self.keys, self.values), max(stop, 3 * start // 2)
                self._whole = [self._room_for(states, longer) for states in kept]
                self._write(kept, 0, start)
            self._write(new, start, stop)
            self._show(stop)
            return self.keys, self.values

        def batch_select_indices(self, indices):
            self._whole = [whole[indices] for whole in self._whole]
            self._show(self.get_seq_length())

        def _room_for(self, states, length: int):
            return states.new_empty(*states.shape[:2], length, states.shape[-1])

        def _write(self, new, start: int, stop: int) -> None:
            for whole, states in zip(self._whole, new, strict=True):
                whole[:, :, start:stop] = states

        def _show(self, stop: int) -> None:
            self.keys, self.values = (whole[:, :, :stop] for whole in self._whole)

    return LayerWithRoom
