"""Patients as points."""

import numpy as np
import pytest

import tcellmil as tm


def test_a_patient_is_the_mean_of_its_cells_by_attention(fitted):
    patients = tm.get.patients(fitted)
    attention, scores = fitted.obs["tcellmil_attention"].to_numpy(float), fitted.obsm["X_regulons"]
    for patient in patients.obs_names:
        own = (fitted.obs["patient"] == patient).to_numpy()
        expected = np.average(scores[own].astype(float), axis=0, weights=attention[own])
        np.testing.assert_allclose(patients[patient].X.ravel(), expected, rtol=1e-5)
    assert patients.var_names.tolist() == fitted.uns["regulons"]["names"].tolist()
    assert patients.obs.equals(tm.get.predictions(fitted))


def test_patients_that_nobody_held_out_have_no_place(make_cohort, fit_quickly):
    adata = make_cohort()
    names = sorted(adata.obs["patient"].unique())
    fit_quickly(adata, cv=[(names[:6], names[6:])])
    assert tm.get.patients(adata).obs_names.tolist() == names[6:]


def test_new_patients_have_a_place_too(fitted, make_cohort):
    new = make_cohort(prefix="N")
    tm.tl.predict(new, fitted)
    assert tm.get.patients(new).shape == (8, 6)


def test_relative_attention_is_one_on_average(fitted):
    relative = fitted.obs["tcellmil_attention_relative"]
    np.testing.assert_allclose(relative.groupby(fitted.obs["patient"]).mean(), 1, rtol=1e-5)
    np.testing.assert_allclose(relative, tm.get.attention(fitted)["relative"], rtol=1e-6)


def test_regulons_as_anndata_are_drawn_by_scanpy(fitted):
    import matplotlib.pyplot as plt
    import scanpy as sc

    fitted.obsm["X_umap"] = fitted.obsm["X_pca"][:, :2]
    cells = tm.get.regulons(fitted, as_anndata=True)
    np.testing.assert_array_equal(cells.X, fitted.obsm["X_regulons"])
    assert cells.obs.equals(fitted.obs) and "X_umap" in cells.obsm
    sc.pl.umap(cells, color=cells.var_names[:2].tolist(), show=False)
    plt.close("all")
    cells.X[:] = 0
    assert fitted.obsm["X_regulons"].any()


@pytest.mark.parametrize("get", ["patients", "predictions", "metrics"])
def test_a_wrong_key_names_the_fits(fitted, get):
    with pytest.raises(KeyError, match=r"fits here: \['tcellmil'\]; pass key='tcellmil'"):
        getattr(tm.get, get)(fitted, key="other")


def test_the_model_has_its_history(fitted):
    model = tm.get.model(fitted)
    assert set(model.history) == {"cross_entropy_train"}
    assert len(model.history["cross_entropy_train"]) == 5
