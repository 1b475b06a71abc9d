"""A call leaves the process as it found it, and computes the same whatever others have set in it."""

from __future__ import annotations

import functools
import logging
import random
import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TypeVar

import numpy as np

F = TypeVar("F", bound=Callable)

#: Loggers whose level and handlers libraries change while they train.
LOGGERS = ("lightning.pytorch", "lightning.fabric")


def isolated(function: F) -> F:
    """Run a function under :func:`isolation`; its name, signature and docstring stay.

    Examples
    --------
    >>> import numpy as np
    >>> @isolated
    ... def draw(seed):
    ...     '''A number.'''
    ...     np.random.seed(seed)
    ...     return np.random.random()
    >>> before = np.random.get_state()[1]
    >>> draw(0) == draw(0), draw.__doc__, bool((np.random.get_state()[1] == before).all())
    (True, 'A number.', True)
    """

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            with isolation():
                return function(*args, **kwargs)
        except SystemError as error:
            cause: BaseException | None = error
            while cause is not None and not isinstance(cause, KeyboardInterrupt):
                cause = cause.__cause__
            if cause is not None:  # what Ctrl-C becomes within a function that numba compiled
                raise KeyboardInterrupt from error
            raise

    return wrapper


@contextmanager
def isolation() -> Iterator[None]:
    """Restore global states at the end, also after an error or an interrupt, and set what numbers depend on.

    Restored are the global random numbers of Python, NumPy and torch, the filters of warnings, and the loggers of
    Lightning. Inside, floating-point errors are handled as NumPy does by default, and torch has its defaults: float32,
    tensors on the CPU, gradients, no inference mode and no mixed precision. torch is not imported for this; where a
    call imports it, its random numbers begin at a random seed, as after any import.
    """
    with ExitStack() as stack:
        stack.callback(random.setstate, random.getstate())
        stack.callback(np.random.set_state, np.random.get_state(legacy=False))
        stack.enter_context(np.errstate(divide="warn", over="warn", under="ignore", invalid="warn"))
        stack.enter_context(warnings.catch_warnings())
        if "lightning" in sys.modules:  # what its import sets up is no change by a call
            for logger in map(logging.getLogger, LOGGERS):
                stack.callback(_restore_logger, logger, logger.level, list(logger.handlers), logger.propagate)
        if "torch" in sys.modules:
            _isolate_torch(stack)
        yield


def _isolate_torch(stack: ExitStack) -> None:
    """Set the defaults of torch, and put what there was back when the stack closes."""
    torch = sys.modules["torch"]
    stack.callback(torch.set_rng_state, torch.get_rng_state())
    if torch.cuda.is_initialized():
        stack.callback(torch.cuda.set_rng_state_all, torch.cuda.get_rng_state_all())
    stack.callback(torch.set_default_dtype, torch.get_default_dtype())
    torch.set_default_dtype(torch.float32)
    if torch.get_default_device().type != "cpu":
        stack.enter_context(torch.device("cpu"))
    for kind in ("cpu", "cuda"):
        if torch.is_autocast_enabled(kind):
            stack.enter_context(torch.autocast(kind, enabled=False))
    stack.enter_context(torch.inference_mode(False))
    stack.enter_context(torch.enable_grad())


def _restore_logger(logger: logging.Logger, level: int, handlers: list[logging.Handler], propagate: bool) -> None:
    logger.setLevel(level)
    logger.handlers[:] = handlers
    logger.propagate = propagate
