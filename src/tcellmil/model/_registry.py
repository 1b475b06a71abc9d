"""What scvi-tools keeps of a model's data, without its chatter."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from tcellmil.model._representations import MATRIX, labels
from tcellmil.model._setup import Setup

if TYPE_CHECKING:
    from mudata import MuData
    from scvi.data.fields import BaseAnnDataField


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


def fields_of_anndata(setup: Setup) -> list[BaseAnnDataField]:
    """What is read, as fields of scvi-tools."""
    from scvi.data.fields import CategoricalObsField, ObsmField

    fields = [ObsmField(name, place, is_count_data=False) for name, place in _representations(setup)]
    return fields + [CategoricalObsField(name, column) for name, column in _columns(setup)]


def fields_of_mudata(mdata: MuData, setup: Setup) -> list[BaseAnnDataField]:
    """What is read of the modalities, and of the MuData itself, as fields of scvi-tools."""
    from scvi.data.fields import MuDataCategoricalObsField, MuDataLayerField, MuDataObsmField

    fields = []
    for name, place in _representations(setup):
        mod, colon, key = place.partition(":")
        options = {"is_count_data": False, "correct_data_format": False, "mod_key": mod if colon else None}
        if colon and key == MATRIX:
            fields.append(MuDataLayerField(name, None, **options))
        else:
            fields.append(MuDataObsmField(name, key if colon else place, **options))
    for name, column in _columns(setup):
        mod, _, own = (None, "", column) if column in mdata.obs else column.partition(":")
        fields.append(MuDataCategoricalObsField(name, own, mod_key=mod))
    return fields


def _representations(setup: Setup) -> list[tuple[str, str]]:
    several = len(setup.use_rep) > 1
    names = [f"representation_{label}" for label in labels(setup.use_rep)] if several else ["representation"]
    return list(zip(names, setup.use_rep, strict=True))


def _columns(setup: Setup) -> list[tuple[str, str]]:
    columns = {"sample": setup.sample_key, "batch": setup.batch_key}
    return [(name, column) for name, column in columns.items() if column is not None]


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
