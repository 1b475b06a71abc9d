"""The extra ``c2s``: whether it is installed, and its libraries kept from changing the process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec

from tcellmil._isolation import isolation

#: What the extra installs and every use of a language model needs.
PACKAGES = ("transformers", "tokenizers", "safetensors", "peft")


def require_c2s() -> None:
    """Raise an ImportError that says how to install the language model libraries, unless they are there.

    Nothing is imported for it.
    """
    missing = [name for name in PACKAGES if find_spec(name) is None]
    if missing:
        raise ImportError(
            f'language models need {", ".join(missing)}, not installed here; install with: pip install "tcellmil[c2s]"'
        )


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Draw torch's random numbers on the CPU from a seed inside; afterwards all global states are as before.

    A device's own random numbers are seeded where it has been used before.
    """
    import torch  # before isolation, which restores what is imported

    with isolation():
        torch.default_generator.manual_seed(seed)
        if torch.cuda.is_initialized():
            torch.cuda.manual_seed_all(seed)
        yield


@contextmanager
def quiet() -> Iterator[None]:
    """Keep transformers' own progress bars away inside."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
