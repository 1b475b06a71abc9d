"""What scvi-tools keeps of a model's data, without its chatter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcellmil._checks import is_mudata

from ._representations import MATRIX, labels
from ._setup import Setup

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


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


def registry_fields(data: AnnData | MuData, setup: Setup) -> list:
    """What scvi-tools notes of a model's data: each representation, the patient and the cohort."""
    from scvi.data import fields

    names = ["representation"]
    if len(setup.use_rep) > 1:
        names = [f"representation_{label}" for label in labels(setup.use_rep)]
    columns = {name: key for name, key in (("sample", setup.sample_key), ("batch", setup.batch_key)) if key is not None}
    if not is_mudata(data):
        found = [
            fields.ObsmField(name, place, is_count_data=False) for name, place in zip(names, setup.use_rep, strict=True)
        ]
        return found + [fields.CategoricalObsField(name, key) for name, key in columns.items()]
    found = []
    for name, place in zip(names, setup.use_rep, strict=True):
        mod, colon, key = place.partition(":")
        options = {"is_count_data": False, "correct_data_format": False, "mod_key": mod if colon else None}
        if colon and key == MATRIX:
            found.append(fields.MuDataLayerField(name, None, **options))
        else:
            found.append(fields.MuDataObsmField(name, key if colon else place, **options))
    for name, key in columns.items():
        mod, _, own = (None, "", key) if key in data.obs else key.partition(":")
        found.append(fields.MuDataCategoricalObsField(name, own, mod_key=mod))
    return found


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
