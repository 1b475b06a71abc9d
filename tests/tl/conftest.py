"""A small cohort with scores like AUCell's, and the same fitted."""

import anndata as ad
import mudata
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

REGULONS = [f"TF{i}(+)" for i in range(6)]
FIT = {
    "max_epochs": 5,
    "network": {"n_attention": 4},
    "lr": 0.3,
    "n_boot": 50,
    "accelerator": "cpu",
    "progress": False,
}


def build_cohort(n_patients=8, n_cells=15, classes=("NR", "R"), seed=0, prefix="P"):
    """Patients in two cohorts; the first regulon is higher in later classes, the last is the same in all cells."""
    rng = np.random.default_rng(seed)
    patient = np.repeat(np.arange(n_patients), n_cells)
    label = patient % len(classes)
    scores = rng.beta(2, 12, size=(len(patient), len(REGULONS)))
    scores[:, 0] += 0.15 * label
    scores[:, -1] = 0.125
    obs = pd.DataFrame(
        {
            "patient": [f"{prefix}{i}" for i in patient],
            "response": pd.Categorical(np.array(classes)[label]),
            "cohort": pd.Categorical(np.array(["A", "B"])[patient // len(classes) % 2]),
            "cell_type": np.array(["T", "NK", "B"])[rng.integers(3, size=len(patient))],
        },
        index=[f"{prefix}-cell{i}" for i in range(len(patient))],
    )
    adata = ad.AnnData(rng.poisson(1, size=(len(patient), 3)).astype(np.float32), obs=obs)
    adata.obsm["X_regulons"] = scores.astype(np.float32)
    adata.obsm["X_pca"] = rng.normal(size=(len(patient), 5)).astype(np.float32)
    adata.uns["regulons"] = {"names": np.array(REGULONS, dtype=object), "params": {"method": "aucell"}}
    return adata


def fit_cohort(adata, *args, **kwargs):
    return tm.tl.fit_mil(adata, "patient", "response", *args, **FIT | kwargs)


@pytest.fixture(scope="session")
def make_cohort():
    return build_cohort


@pytest.fixture(scope="session")
def fit_quickly():
    """``tl.fit_mil`` with a tiny network and few epochs."""
    return fit_cohort


@pytest.fixture(scope="session")
def fitted_once():
    adata = build_cohort()
    fit_cohort(adata, "cohort", n_seeds=2)
    return adata


@pytest.fixture
def fitted(fitted_once):
    """Two seeds of rebalanced leave-one-out, with cohorts."""
    return fitted_once.copy()


def build_mudata(shuffle=True, **kwargs):
    """The cohort's scores as a modality beside one of values, whose cells are in another order; columns in ``obs``."""
    adata = build_cohort(**kwargs)
    rng = np.random.default_rng(1)
    names = pd.DataFrame(index=adata.obs_names)
    regulons = ad.AnnData(adata.obsm.pop("X_regulons"), obs=names.copy(), uns={"regulons": adata.uns.pop("regulons")})
    regulons.var_names = REGULONS
    prot = ad.AnnData(rng.normal(size=(adata.n_obs, 4)).astype(np.float32), obs=names.copy())
    prot.var_names = ["CD3", "CD4", "CD8", "CD56"]
    prot.obsm["X_pca"] = prot.X[:, :2].copy()
    prot = prot[rng.permutation(prot.n_obs)].copy() if shuffle else prot
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData({"rna": adata, "prot": prot, "regulons": regulons})
    columns = ["patient", "response", "cohort", "cell_type"]
    mdata.obs[columns] = adata.obs[columns]
    return mdata


@pytest.fixture(scope="session")
def make_mudata():
    return build_mudata


@pytest.fixture(scope="session")
def fitted_mudata_once():
    mdata = build_mudata()
    network = {"compression": "autoencoder", "n_hidden": 16, "n_latent": 8, "n_attention": 4}
    options = {"cv": 4, "n_seeds": 2, "max_epochs_ae": 3, "network": network}
    fit_cohort(mdata, "cohort", use_rep={"regulons": "X", "prot": "X"}, **options)
    return mdata


@pytest.fixture
def fitted_mudata(fitted_mudata_once):
    """Scores and values together, two seeds of four folds."""
    return fitted_mudata_once.copy()
