"""A checksum of a fitted model, the same whichever file it went through."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping

import numpy as np


def checksum_of(config: str, weights: Mapping[str, np.ndarray], splits: Mapping[str, np.ndarray]) -> str:
    """SHA-256 of a fitted model, as 64 hexadecimal digits.

    It depends on the values alone: not on the layout of the JSON text, on the order of names, on the order of bytes, or
    on the type that text has in a file. It finds damage and changes by hand. It is no signature: who changes a model on
    purpose can compute a new one.

    Parameters
    ----------
    config
        JSON text.
    weights, splits
        Arrays of numbers or of text, by name.

    Examples
    --------
    >>> import numpy as np
    >>> one = checksum_of('{"a": 1}', {"w": np.ones(2)}, {"names": np.array(["P1"])})
    >>> one == checksum_of('{ "a":1 }', {"w": np.ones(2)}, {"names": np.array(["P1"], dtype=object)})
    True
    """
    return checksum_of_parsed(json.loads(config), weights, splits)


def checksum_of_parsed(config: object, weights: Mapping[str, np.ndarray], splits: Mapping[str, np.ndarray]) -> str:
    """As :func:`checksum_of`, of a configuration that was parsed."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True, separators=(",", ":")).encode())
    for part, arrays in (("weights", weights), ("splits", splits)):
        for name in sorted(arrays):
            values = arrays[name]
            kind, content = _text(values) if values.dtype.kind in "OUT" else _numbers(values)
            digest.update(f"\n{part}/{name} {kind} {values.shape}\n".encode("utf-8", "surrogatepass"))
            digest.update(content)
    return digest.hexdigest()


def _text(values: np.ndarray) -> tuple[str, bytes]:
    """Each text with its length in front, so that no two lists of texts look alike."""
    encoded = [str(value).encode("utf-8", "surrogatepass") for value in values.ravel().tolist()]
    return "text", b"".join(b"%d:%s" % (len(value), value) for value in encoded)


def _numbers(values: np.ndarray) -> tuple[str, memoryview]:
    """Little-endian bytes; integers of any size as 64 bits."""
    kind = {"b": "|b1", "i": "<i8", "u": "<i8"}.get(values.dtype.kind, values.dtype.newbyteorder("<").str)
    values = np.ascontiguousarray(values, dtype=kind)
    return kind, memoryview(values.reshape(-1).view(np.uint8))
