"""Patients and cells that were left out after the fit."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil._results import place_of

EXPLAIN = {
    "perturb": {"mad": "patient", "progress": False},
    "shap": {"background": 60, "progress": False},
    "attention_stability": {"n_top": 2},
}


@pytest.fixture
def part(fitted):
    return fitted[~fitted.obs["patient"].isin(["P2", "P5"])].copy()


@pytest.mark.parametrize("verb", EXPLAIN)
def test_those_who_are_here_are_explained_and_the_others_named(fitted, part, verb):
    with pytest.warns(UserWarning, match=r"2 of the 8 patients of the fit 'tcellmil' are not here, \['P2', 'P5'\]"):
        getattr(tm.tl, verb)(part, **EXPLAIN[verb])
    getattr(tm.tl, verb)(fitted, **EXPLAIN[verb])
    name = "attention" if verb == "attention_stability" else "patients"
    few, all_of_them = (adata.uns[place_of(verb)][name] for adata in (part, fitted))
    assert set(few["patient"]) == {"P0", "P1", "P3", "P4", "P6", "P7"}
    if verb == "perturb":
        kept = all_of_them[all_of_them["patient"].isin(set(few["patient"]))].reset_index(drop=True)
        pd.testing.assert_frame_equal(few, kept)


def test_cells_that_are_gone_are_reported(fitted):
    part = fitted[(np.arange(fitted.n_obs) % 5 != 0) | (fitted.obs["patient"] != "P1")].copy()
    with pytest.warns(UserWarning, match=r"patients \['P1'\] have .* cells in all where the fit 'tcellmil' had 120"):
        tm.tl.perturb(part, progress=False)


def test_a_permutation_test_needs_all_patients(part):
    with pytest.raises(ValueError, match=r"patients \['P2', 'P5'\] of the fit .* are not here, and all of them"):
        tm.tl.permutation_test(part, 2, progress=False)


def test_the_model_predicts_those_who_are_here(fitted, part):
    table = tm.get.model(part).predict()
    pd.testing.assert_frame_equal(table, tm.get.model(fitted).predict().loc[table.index])


@pytest.mark.parametrize("picture", ["attention", "history"])
def test_pictures_of_cells_show_those_that_are_here(part, picture):
    part.obsm["X_umap"] = part.obsm["X_pca"][:, :2]
    getattr(tm.pl, picture)(part, show=False)


def test_patients_whom_the_fit_does_not_know_are_refused(fitted, make_cohort):
    import anndata as ad

    both = ad.concat([fitted, make_cohort(prefix="N")])
    both.uns.update(fitted.uns)
    with pytest.raises(ValueError, match=r"the data also has \['N0', 'N1'.*predict new ones with tl.predict"):
        tm.tl.perturb(both)


def test_tables_and_pictures_of_all_patients_say_so(run_explanations, fitted):
    run_explanations(fitted)
    part = fitted[~fitted.obs["patient"].isin(["P2", "P5"])].copy()
    for read in (tm.get.predictions, tm.get.metrics, tm.get.perturb, tm.get.shap, tm.get.permutation_test):
        with pytest.warns(UserWarning, match=r"is of 8 patients, of whom 6 are here; .* all of them: run tl\.\w+"):
            few = read(part)
        pd.testing.assert_frame_equal(few, read(fitted))
    for picture in (tm.pl.roc, tm.pl.metrics, tm.pl.predictions, tm.pl.perturb):
        with pytest.warns(UserWarning, match="of whom 6 are here"):
            picture(part, show=False)


@pytest.mark.filterwarnings("error::UserWarning")
def test_nothing_is_said_of_patients_who_are_here(fitted):
    tm.get.predictions(fitted)
    tm.get.metrics(fitted[::2])


def test_patients_of_a_modality_are_counted_there(make_mudata, fit_quickly):
    mdata = make_mudata()
    mdata["rna"].obs[["donor", "label"]] = mdata.obs[["patient", "response"]].to_numpy()
    options = {"training": {"max_epochs": 1, "accelerator": "cpu"}, "progress": False, "n_boot": 10, "cv": 2}
    tm.tl.fit_mil(mdata, "rna:donor", "rna:label", use_rep={"regulons": "X"}, **options)
    few = mdata[(mdata["rna"].obs["donor"] != "P2").to_numpy()].copy()
    with pytest.warns(UserWarning, match="is of 8 patients, of whom 7 are here"):
        tm.get.predictions(few)
