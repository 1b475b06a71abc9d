"""GRNBoost2 in a process of its own, and how arrays go to and from it; run as a script by ``_grn_process``.

rustscenic cannot be interrupted, a process can. This file imports nothing of this package, so that it starts quickly.
Arrays and names pass through pipes, as JSON and plain bytes; no file is written.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from collections.abc import Sequence
from typing import BinaryIO

import numpy as np


def send(pipe: BinaryIO, header: dict, arrays: Sequence[np.ndarray]) -> None:
    """Write a dict of plain values and arrays into an unbuffered pipe."""
    arrays = [np.ascontiguousarray(array) for array in arrays]
    line = json.dumps({"header": header, "arrays": [(array.dtype.str, array.shape) for array in arrays]})
    for part in (line.encode() + b"\n", *(array.reshape(-1).view(np.uint8) for array in arrays)):
        rest = memoryview(part)
        while len(rest):
            rest = rest[pipe.write(rest) :]


def receive(pipe: BinaryIO) -> tuple[dict, list[np.ndarray]]:
    """Read what :func:`send` wrote; an EOFError where the other side ended before."""
    line = pipe.readline()
    if not line.endswith(b"\n"):
        raise EOFError
    described = json.loads(line)
    arrays = [np.empty(shape, dtype) for dtype, shape in described["arrays"]]
    for array in arrays:
        rest = memoryview(array.reshape(-1).view(np.uint8))
        while len(rest):
            n = pipe.readinto(rest)
            if not n:
                raise EOFError
            rest = rest[n:]
    return described["header"], arrays


def infer(header: dict, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Edges as places of factor and target among the genes, and importances.

    Parameters
    ----------
    header
        ``shape`` of the expression, names of ``genes`` and ``factors``, and ``seed``.
    arrays
        The expression, or ``data``, ``indices`` and ``indptr`` of its columns.
    """
    from rustscenic import grn
    from scipy import sparse

    X = arrays[0] if len(arrays) == 1 else sparse.csc_matrix(tuple(arrays), shape=header["shape"])
    edges = grn.infer((X, header["genes"]), header["factors"], seed=header["seed"], verbose=False)
    place = {name: i for i, name in enumerate(header["genes"])}
    names = [np.array([place[name] for name in edges[column]], dtype=np.int64) for column in ("TF", "target")]
    return [*names, edges["importance"].to_numpy()]


def main() -> None:
    """Read from standard input, infer, write to standard output; end when standard input is closed."""
    out = os.fdopen(os.dup(1), "wb", buffering=0)
    os.dup2(2, 1)  # what a library prints is no result
    header, arrays = receive(sys.stdin.buffer)
    threading.Thread(target=_end_with_the_caller, daemon=True).start()
    try:
        found = infer(header, arrays)
    except ValueError as error:
        send(out, {"error": str(error)}, [])
    else:
        send(out, {}, found)


def _end_with_the_caller() -> None:
    while os.read(0, 1):  # empty when the other end is closed, be it by the death of the caller
        pass
    os._exit(1)


if __name__ == "__main__":
    main()
