"""One line at the end of a verb: what it did, in figures."""

import logging
import sys


class _StderrHandler(logging.Handler):
    """Prints to the current ``sys.stderr``, which notebooks and tests replace."""

    def emit(self, record: logging.LogRecord) -> None:
        print(self.format(record), file=sys.stderr)


def _logger() -> logging.Logger:
    logger = logging.getLogger("tcellmil")
    if logger.level == logging.NOTSET:
        logger.setLevel(logging.INFO)
    if not logger.handlers:
        handler = _StderrHandler()
        # Who has configured logging gets the record through the root logger, and once only.
        handler.addFilter(lambda record: not logging.getLogger().handlers)
        logger.addHandler(handler)
    return logger


logger = _logger()
"""Visible by default; ``logging.getLogger("tcellmil").setLevel("WARNING")`` makes the package silent."""
