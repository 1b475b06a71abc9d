"""One line at the end of a verb: what it did, in figures."""

import logging
import sys
import warnings
from pathlib import Path


class _StderrHandler(logging.Handler):
    """Prints to the current ``sys.stderr``, which notebooks and tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _scanpy_is_silent() -> bool:
    """Whether ``scanpy.settings.verbosity`` is 0; where nobody has imported scanpy, it is not."""
    scanpy = sys.modules.get("scanpy")
    return scanpy is not None and int(scanpy.settings.verbosity) == 0


def _logger() -> logging.Logger:
    logger = logging.getLogger("tcellmil")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.handlers:
        handler = _StderrHandler()
        # Who has configured logging gets the record through the root logger, and once only.
        handler.addFilter(lambda record: not logging.getLogger().handlers)
        handler.addFilter(lambda record: record.levelno >= logging.WARNING or not _scanpy_is_silent())
        logger.addHandler(handler)
    return logger


logger = _logger()
"""Visible by default; ``scanpy.settings.verbosity = 0`` or ``logging.getLogger("tcellmil").setLevel("WARNING")`` makes
the package silent."""


def warn(message: str) -> None:
    """Warn, and name the line outside of this package that led here."""
    here, level, frame = str(Path(__file__).parent), 2, sys._getframe(1)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(here):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, UserWarning, stacklevel=level)
