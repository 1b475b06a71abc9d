"""Network inference that ends when the caller is interrupted: rustscenic runs in a process of its own."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import BinaryIO

import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil._log import warn
from tcellmil.regulons import _grn_worker

#: Seconds that a worker has for ending by itself after it closed its pipe.
PATIENCE = 10


def infer_edges(
    X: np.ndarray | sparse.spmatrix | sparse.sparray, genes: Sequence[str], factors: Sequence[str], seed: int
) -> pd.DataFrame:
    """Edges of ``rustscenic.grn.infer``: ``TF, target, importance``.

    The process costs about a second, and its own copy of the expression while it runs. It is killed when this call
    ends in any way, and ends by itself when the caller's process does.

    Raises
    ------
    RuntimeError
        If the process ends without a result, as it does where memory is short.
    """
    genes = list(genes)
    header = {"shape": X.shape, "genes": genes, "factors": list(factors), "seed": int(seed)}
    arrays = _arrays_of(X)
    if not sys.executable or getattr(sys, "frozen", False):
        warn("there is no Python interpreter to run network inference in; it cannot be interrupted")
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _as_table(genes, *_grn_worker.infer(header, arrays))
    with tempfile.TemporaryFile() as messages:
        worker = None
        try:
            with _without_interrupts():
                worker = _start(messages)
            _grn_worker.send(worker.stdin, header, arrays)
            arrays.clear()
            answer, found = _grn_worker.receive(worker.stdout)
        except (BrokenPipeError, EOFError):
            raise RuntimeError(_how_it_ended(worker, messages)) from None
        finally:
            if worker is not None:
                _end(worker)
    if "error" in answer:
        raise ValueError(answer["error"])
    return _as_table(genes, *found)


def _arrays_of(X: np.ndarray | sparse.spmatrix | sparse.sparray) -> list[np.ndarray]:
    """Expression as float32: dense, or data, indices and pointers of its columns."""
    if not sparse.issparse(X):
        return [np.asarray(X).astype(np.float32, copy=False)]
    X = X.tocsc(copy=False).astype(np.float32, copy=False)
    return [X.data, X.indices, X.indptr]


def _as_table(genes: list[str], factor: np.ndarray, target: np.ndarray, importance: np.ndarray) -> pd.DataFrame:
    names = np.array(genes, dtype=object)
    return pd.DataFrame({"TF": names[factor], "target": names[target], "importance": importance})


def _start(messages: BinaryIO) -> subprocess.Popen:
    """The worker, which finds what this interpreter finds; the main module of the caller is not run again."""
    path = os.pathsep.join(entry or os.getcwd() for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-W", "ignore", _grn_worker.__file__],
        bufsize=0,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=messages,
        env=os.environ | {"PYTHONPATH": path},
    )


@contextmanager
def _without_interrupts() -> Iterator[None]:
    """Keep Ctrl-C from a process that is started within, which is the caller's to end."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(worker: subprocess.Popen) -> None:
    worker.kill()
    worker.stdin.close()
    worker.stdout.close()
    worker.wait()


def _how_it_ended(worker: subprocess.Popen, messages: BinaryIO) -> str:
    try:
        status = worker.wait(PATIENCE)
    except subprocess.TimeoutExpired:
        status = "unknown"
    messages.seek(0)
    lines = messages.read().decode(errors="replace").strip().splitlines()
    text = f"the process of network inference ended with status {status} and no result"
    if status == -9:
        text += "; it was killed, often for lack of memory: infer from fewer cells or genes"
    return f"{text}; its last message: {lines[-1]}" if lines else text
