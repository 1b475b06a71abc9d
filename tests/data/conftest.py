"""A small AnnData with every kind of column that a model reads."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

N_PATIENTS, N_CELLS = 8, 5


def build(names):
    rng = np.random.default_rng(0)
    patient = np.repeat(np.arange(len(names)), N_CELLS)
    obs = {
        "patient": np.array(names)[patient],
        "response": np.array(["NR", "R"])[patient % 2],
        "stage": pd.Categorical(np.array(["III", "I"])[patient % 2], ["I", "II", "III", "IV"], ordered=True),
        "age": 40.0 + patient,
        "days": 10.0 * (patient + 1),
        "death": patient % 2,
        "cohort": np.array(["one", "two"])[patient // 4 % 2],
        "person": np.array(names)[patient // 2 * 2 % len(names)],
        "dose": patient / 2,
        "site": np.array(["A", "B", "C"])[patient % 3],
    }
    cells = [f"cell{i:03d}" for i in range(len(patient))]
    adata = ad.AnnData(np.zeros((len(patient), 1), dtype=np.float32), obs=pd.DataFrame(obs, index=cells))
    adata.obsm["X_pca"] = rng.normal(size=(len(patient), 4)).astype(np.float32)
    adata.obsm["X_scores"] = pd.DataFrame(
        rng.random((len(patient), 2)).astype(np.float32), index=cells, columns=["A(+)", "B(+)"]
    )
    return adata


@pytest.fixture
def adata():
    """Eight patients, P0 to P7."""
    return build([f"P{i}" for i in range(N_PATIENTS)])


@pytest.fixture
def new_adata():
    """Two other patients."""
    return build(["N0", "N1"])
