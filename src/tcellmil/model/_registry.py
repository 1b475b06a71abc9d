"""What scvi-tools keeps of a model's data, without its chatter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

from tcellmil.model._setup import Setup


def registry_without_data(setup: Setup, model_name: str) -> dict:
    """A registry for a model that holds no data: what was read, and no fields."""
    from scvi import __version__

    return {
        "scvi_version": __version__,
        "model_name": model_name,
        "setup_method_name": "setup_mudata" if any(":" in place for place in setup.use_rep) else "setup_anndata",
        "setup_args": {
            "sample_key": setup.sample_key,
            "label_key": setup.label_key,
            "batch_key": setup.batch_key,
            "use_rep": setup.use_rep if len(setup.use_rep) > 1 else setup.use_rep[0],
        },
        "field_registries": {},
    }


@contextmanager
def quiet_scvi() -> Iterator[None]:
    """Set-up messages of scvi-tools are about its own fields, not about what the user passed."""
    logger = logging.getLogger("scvi")
    level = logger.level
    logger.setLevel(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*has fewer than 3 cells.*")
            yield
    finally:
        logger.setLevel(level)
