"""A small cohort with a representation, and a model fitted on it."""

import pytest

import tcellmil as tm


@pytest.fixture(scope="session")
def cohort_once():
    adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=30, n_cohorts=2)
    patients = adata.obs["patient"].astype(str)
    adata.obs["response"] = patients.map({p: "R" if i % 2 else "NR" for i, p in enumerate(sorted(patients.unique()))})
    adata.obsm["X_small"] = adata.X[:, :6].toarray()
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
