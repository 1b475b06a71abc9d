"""What scvi-tools keeps of a model's data, without its chatter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcellmil._checks import is_mudata

from ._fields import Fields
from ._representations import MATRIX, labels

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


def registry_without_data(fields: Fields, model_name: str) -> dict:
    """A registry for a model that holds no data: what was read, and no fields of scvi-tools."""
    from scvi import __version__

    in_modality = any(":" in place for place in fields.use_rep)
    return {
        "scvi_version": __version__,
        "model_name": model_name,
        "setup_method_name": "setup_mudata" if in_modality else "setup_anndata",
        "setup_args": fields.as_dict(),
        "field_registries": {},
    }


def registry_fields(data: AnnData | MuData, keys: Fields) -> list:
    """What scvi-tools notes of a model's data: each representation, the patient and the cohort.

    ``keys.use_rep`` holds places, as in :func:`tcellmil.data._representations.resolve_use_rep`.
    """
    from scvi.data import fields

    names = ["representation"]
    if len(keys.use_rep) > 1:
        names = [f"representation_{label}" for label in labels(keys.use_rep)]
    columns = {name: key for name, key in (("sample", keys.sample_key), ("batch", keys.batch_key)) if key is not None}
    if not is_mudata(data):
        found = [
            fields.LayerField(name, None, is_count_data=False)
            if place == MATRIX and place not in data.obsm
            else fields.ObsmField(name, place, is_count_data=False)
            for name, place in zip(names, keys.use_rep, strict=True)
        ]
        return found + [fields.CategoricalObsField(name, key) for name, key in columns.items()]
    found = []
    for name, place in zip(names, keys.use_rep, strict=True):
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
