"""One point per patient, for maps of patients."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil import _keys
from tcellmil._docs import documented
from tcellmil._results import fit_part
from tcellmil.get._mil import predictions

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData


@documented
def patients(adata: AnnData | MuData, *, key: str = _keys.TCELLMIL) -> AnnData:
    r"""Patients as an AnnData, to run PCA or UMAP on and to colour by outcome or prediction.

    The values of a patient are the means of the representation over the patient's cells, weighted by the attention of
    the networks that held the patient out: :math:`\sum_j \alpha_{ij} x_{ij}`. They are features, such as regulons,
    rather than latents: every patient is held out by other networks, and latents of several networks have no common
    axes.

    Parameters
    ----------
    %(adata_of_fit)s
    %(key)s

    Returns
    -------
    AnnData of patients x features: ``obs`` is the table of :func:`tcellmil.get.predictions`, ``var_names`` are the
    features. Patients that no replica held out are left out.

    Raises
    ------
    %(no_result)s

    Examples
    --------
    >>> import scanpy as sc, tcellmil as tm
    >>> adata = tm.datasets.pbmc_cohort(n_patients=8, n_cells=40)
    >>> tm.tl.regulons(adata)
    >>> tm.tl.fit_mil(adata, "patient", "response", cv=4, training={"max_epochs": 2}, progress=False)
    >>> patients = tm.get.patients(adata)
    >>> sc.pp.pca(patients, n_comps=2)
    >>> patients.obsm["X_pca"].shape, patients.obs["label"].nunique()
    ((8, 2), 2)
    """
    from anndata import AnnData

    values, names = fit_part(adata, key, "embedding"), fit_part(adata, key, "features")
    obs = predictions(adata, key=key)
    known = np.isfinite(values).all(axis=1)
    var = pd.DataFrame(index=pd.Index([str(name) for name in names], dtype=object))
    return AnnData(np.asarray(values)[known], obs=obs[known], var=var)
