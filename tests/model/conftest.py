"""The shared cohort with a representation that has no names, and a model fitted on it."""

import pytest

import tcellmil as tm


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
    model.train(cv="rebalanced_loo", max_epochs=4, max_epochs_ae=3, lr=0.3, progress=False, accelerator="cpu")
    return model
