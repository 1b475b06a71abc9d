"""The shared cohort with a representation that has no names, and a model fitted on it; damaged fits."""

import importlib
import json
import sys
from pathlib import Path

import pytest

import tcellmil as tm
from tcellmil.model._checksum import checksum_of

FUZZ = Path(__file__).resolve().parents[2] / "fuzz"


@pytest.fixture(scope="session")
def cohort_once(make_cohort):
    adata = make_cohort()
    adata.obsm["X_small"] = adata.obsm.pop("X_regulons")
    return adata


@pytest.fixture
def cohort(cohort_once):
    return cohort_once.copy()


@pytest.fixture(scope="session")
def model(cohort_once):
    adata = cohort_once.copy()
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response", "cohort", use_rep="X_small")
    model = tm.model.TcellMIL(
        adata, compression="autoencoder", n_hidden=16, n_latent=8, n_attention=4, batch_encoding="film"
    )
    model.train(
        cv="rebalanced_loo", n_seeds=1, max_epochs=4, max_epochs_ae=3, lr=0.3, progress=False, accelerator="cpu"
    )
    return model


@pytest.fixture(scope="session")
def damage():
    """What the fuzzing does to fitted models."""
    if not FUZZ.exists():
        pytest.skip("the fuzzing is not part of this installation")
    sys.path.insert(0, str(FUZZ))
    try:
        return importlib.import_module("_damage")
    finally:
        sys.path.remove(str(FUZZ))


@pytest.fixture(scope="session")
def fits(damage, make_cohort):
    """Fits of several kinds: by name, the data and the state."""
    return damage.fits(make_cohort)


@pytest.fixture
def state(fitted):
    """The state of the shared fitted cohort, within ``fitted``."""
    return fitted.uns["tcellmil"]


def _signed(state):
    state["checksum"] = checksum_of(state["config"], state["weights"], state["splits"])
    return state


@pytest.fixture(scope="session")
def signed():
    """Give a state its right checksum."""
    return _signed


@pytest.fixture(scope="session")
def configure():
    """Change a value of the configuration, and give the state its right checksum."""

    def change(state, *path, to):
        config = json.loads(state["config"])
        part = config
        for name in path[:-1]:
            part = part[name]
        part[path[-1]] = to
        state["config"] = json.dumps(config)
        return _signed(state)

    return change
