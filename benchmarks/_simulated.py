"""Patients of the paper's shape, simulated: AUCell-like scores with a population and a signal."""

import anndata as ad
import numpy as np
import pandas as pd


def simulated_cohort(
    n_patients: int = 64, n_cells: int = 600, n_regulons: int = 154, n_cohorts: int = 4, seed: int = 0
) -> ad.AnnData:
    """Scores in [0, 1]; in half of the patients five regulons rise in 10% of the cells."""
    rng = np.random.default_rng(seed)
    n = n_patients * n_cells
    patient = np.repeat(np.arange(n_patients), n_cells)
    responder = (np.arange(n_patients) % 2 == 0)[patient]
    state = rng.integers(8, size=n)
    x = rng.beta(2, 30, size=(8, n_regulons))[state] * rng.lognormal(0, 0.4, size=(n, n_regulons))
    driver = responder & (rng.random(n) < 0.1)
    x[np.ix_(driver, np.arange(5))] += 0.1
    obs = pd.DataFrame(
        {
            "patient": [f"P{p:02d}" for p in patient],
            "response": np.where(responder, "R", "NR"),
            "cohort": [f"C{rng_c}" for rng_c in (patient // 2) % n_cohorts],
        },
        index=[f"cell{i}" for i in range(n)],
    )
    adata = ad.AnnData(obs=obs, obsm={"X_regulons": np.clip(x, 0, 1).astype(np.float32)})
    adata.uns["regulons"] = {
        "names": np.array([f"TF{i}(+)" for i in range(n_regulons)], dtype=object),
        "params": {"method": "aucell"},
    }
    return adata
