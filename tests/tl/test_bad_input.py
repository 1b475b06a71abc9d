"""Whatever is wrong with the input: one clear error, and the AnnData as it was."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest


def drop_column(name):
    def spoil(adata):
        del adata.obs[name]

    return spoil


def label(patients, value):
    def spoil(adata):
        adata.obs["response"] = adata.obs["response"].astype(object)
        adata.obs.loc[adata.obs["patient"].isin(patients), "response"] = value

    return spoil


def two_labels(adata):
    adata.obs.loc[adata.obs_names[0], "response"] = "R"


def two_cohorts(adata):
    adata.obs.loc[adata.obs_names[0], "cohort"] = "B"


def no_cohort(adata):
    adata.obs.loc[adata.obs["patient"] == "P1", "cohort"] = np.nan


def no_patient(adata):
    adata.obs.loc[adata.obs_names[:3], "patient"] = np.nan


def single_cell(adata):
    adata.obs.loc[adata.obs_names[0], "patient"] = "lonely"


def value(number):
    def spoil(adata):
        adata.obsm["X_regulons"][[2, 2, 30], [0, 1, 1]] = number

    return spoil


def no_representation(adata):
    del adata.obsm["X_regulons"]


def outside_unit_interval(adata):
    adata.obsm["X_regulons"][0, 0] = 1.5


def repeated_genes(adata):
    adata.var_names = ["a", "a", "b"]


def repeated_cells(adata):
    names = adata.obs_names.to_numpy().copy()
    names[1] = names[0]
    adata.obs_names = names


def one_patient_cohort(adata):
    adata.obs["cohort"] = adata.obs["cohort"].astype(str).where(adata.obs["patient"] != "P1", "alone")


def cohort_is_label(adata):
    adata.obs["cohort"] = adata.obs["response"].astype(str)


def as_it_is(adata):
    pass


PATIENTS = [f"P{i}" for i in range(8)]
ALL_R, TWO_NR = label(PATIENTS, "R"), label(["P0", "P2"], "R")

DATA = {
    "sample column": (
        drop_column("patient"),
        KeyError,
        r"sample_key='patient' is not a column of adata.obs; there are \['response', 'cohort', 'cell_type'\]",
    ),
    "label column": (drop_column("response"), KeyError, "label_key='response' is not a column of adata.obs; there are"),
    "batch column": (drop_column("cohort"), KeyError, "batch_key='cohort' is not a column of adata.obs; there are"),
    "two labels": (
        two_labels,
        ValueError,
        r"'response' has several values within patients \['P0'\].*'R', 'NR'.*exactly one",
    ),
    "two cohorts": (two_cohorts, ValueError, r"'cohort' has several values within patients \['P0'\]"),
    "no cohort": (
        no_cohort,
        ValueError,
        r"'cohort' is missing for patients \['P1'\]; fill it in, or leave batch_key out",
    ),
    "no patient": (no_patient, ValueError, "sample_key 'patient' is missing for 3 cells; drop them"),
    "unlabelled": (
        label(["P3", "P6"], None),
        ValueError,
        r"'response' is missing for patients \['P3', 'P6'\]; drop them or set unlabelled='predict'",
    ),
    "one class": (ALL_R, ValueError, r"'response' has one class only, \['R'\]; a prediction needs at least two"),
    "few patients": (
        TWO_NR,
        ValueError,
        r"fewer than 3 patients of class \['NR'\] \(R: 6, NR: 2\); each class needs at least 3: add patients",
    ),
    "single cell": (single_cell, ValueError, r"patients \['lonely'\] have a single cell; .*drop these patients"),
    "nan": (
        value(np.nan),
        ValueError,
        r"obsm\['X_regulons'\] holds 3 NaN or infinite values in 2 cells \(\['TF0\(\+\)', 'TF1",
    ),
    "inf": (value(-np.inf), ValueError, r"obsm\['X_regulons'\] holds 3 NaN or infinite values in 2 cells"),
    "no representation": (
        no_representation,
        KeyError,
        r"use_rep='X_regulons' is not in adata.obsm; there are \['X_pca'\], and 'X' for adata.X",
    ),
    "gene names": (repeated_genes, ValueError, r"var_names are not unique: \['a'\]; call adata.var_names_make_unique"),
    "cell names": (
        repeated_cells,
        ValueError,
        r"obs_names are not unique: \['P-cell0'\]; call adata.obs_names_make_unique",
    ),
}

ARGUMENTS = {
    "cv": ({"cv": "kfold"}, ValueError, "cv='kfold' is not known; choose from .*'rebalanced_loo'"),
    "one fold": ({"cv": 1}, ValueError, "cv=1 folds must be between 2 and the size of the smallest class, 4 patients"),
    "many folds": (
        {"cv": 5},
        ValueError,
        "cv=5 folds must be between 2 and the size of the smallest class, 4 patients",
    ),
    "no cv": ({"cv": None}, ValueError, "cv=None would hold out no patient"),
    "cv type": (
        {"cv": 0.2},
        TypeError,
        "cv must be a string, a number, a splitter or pairs of patient names, got float",
    ),
    "cohort without key": ({"cv": "cohort", "batch_key": None}, ValueError, "cv='cohort' needs the cohort .*batch_key"),
    "unknown patients": (
        {"cv": [(PATIENTS[:4], ["P5", "X9"])]},
        ValueError,
        r"split 0 names patients .*not there: \['X9'\]",
    ),
    "overlap": ({"cv": [(PATIENTS[:5], ["P4", "P5"])]}, ValueError, r"'fold 0' both trains on and holds out \['P4'\]"),
    "one class in training": (
        {"cv": [(["P0", "P2"], ["P1"])]},
        ValueError,
        r"'fold 0' would train without any patient of 1 of the classes, such as \['P1', 'P3', 'P5', ... 1 more\]",
    ),
    "one class held out": ({"cv": [(PATIENTS[:6], ["P6"])]}, ValueError, "hold out no patient of 1 of the classes"),
    "encoder": (
        {"training": {"encoder": "frozen"}},
        ValueError,
        "encoder='frozen' is not known; choose from .*per_fold",
    ),
    "early stopping": (
        {"training": {"early_stopping": "yes"}},
        ValueError,
        "early_stopping='yes' is not known; choose from .*both",
    ),
    "scaling": (
        {"scaling": "minmax"},
        ValueError,
        "scaling='minmax' is not known; choose from 'auto', 'unit_interval'",
    ),
    "unlabelled": (
        {"unlabelled": "drop"},
        ValueError,
        "unlabelled='drop' is not known; choose from 'error', 'predict'",
    ),
    "positive class": (
        {"positive_class": "yes"},
        ValueError,
        "positive_class='yes' is not known; choose from 'NR', 'R'",
    ),
    "learning rate": ({"training": {"lr": -0.1}}, ValueError, "lr=-0.1 must be positive"),
    "no seeds": ({"n_seeds": 0}, ValueError, "n_seeds=0 must be a whole number of at least 1"),
    "no epochs": ({"training": {"max_epochs": 0}}, ValueError, "max_epochs=0 must be a whole number of at least 1"),
    "overwriting": (
        {"use_rep": "X_pca", "key_added": "pca"},
        ValueError,
        "key_added='pca': adata.obsm\\['X_pca'\\] is there",
    ),
    "bootstrap": ({"n_boot": 0}, ValueError, "n_boot=0 must be a whole number of at least 1"),
    "network option": (
        {"network": {"n_layers": 3}},
        TypeError,
        r"network has no options \['n_layers'\]; choose from 'n_hidden', 'n_latent'",
    ),
    "training option": (
        {"training": {"cv": 3, "batchsize": 64}},
        TypeError,
        r"training has no options \['cv', 'batchsize'\]; choose from .*'batch_size', 'bags_per_batch'",
    ),
    "options in a list": ({"training": ["weight_decay"]}, TypeError, "training must be a dict of options, got list"),
    "attention": ({"network": {"attention": "dot"}}, ValueError, "attention='dot' is not known; choose from .*gated"),
}


@pytest.fixture
def cohort(make_cohort):
    return make_cohort()


def check_refused(fit, adata, error, message, **options):
    """``fit`` raises, and ``adata`` is what it was."""
    before = adata.copy()
    with pytest.raises(error, match=message):
        fit(adata, **{"batch_key": "cohort", "training": {"max_epochs": 1}} | options)
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    assert set(adata.obsm) == set(before.obsm)
    for key in before.obsm:
        np.testing.assert_array_equal(adata.obsm[key], before.obsm[key])
    assert set(adata.uns) == set(before.uns)
    assert set(adata.uns["regulons"]) == set(before.uns["regulons"])
    assert adata.obs_names.equals(before.obs_names) and adata.var_names.equals(before.var_names)


@pytest.mark.filterwarnings("ignore:.*names are not unique")
@pytest.mark.parametrize("case", DATA)
def test_bad_data_are_named_and_left_as_they_are(cohort, fit_quickly, case):
    spoil, error, message = DATA[case]
    spoil(cohort)
    check_refused(fit_quickly, cohort, error, message)


@pytest.mark.parametrize("case", ARGUMENTS)
def test_a_bad_argument_is_named_and_nothing_is_written(cohort, fit_quickly, case):
    options, error, message = ARGUMENTS[case]
    check_refused(fit_quickly, cohort, error, message, **options)


def test_a_cohort_of_one_patient_is_not_left_out(cohort, fit_quickly):
    one_patient_cohort(cohort)
    check_refused(fit_quickly, cohort, ValueError, r"a cohort of one patient, \['P1'\]; merge", cv="cohort")


def test_cohorts_that_are_the_classes_are_not_left_out(cohort, fit_quickly):
    cohort_is_label(cohort)
    message = r"would train without any patient of 1 of the classes, such as \['P0', 'P2', 'P4', ... 1 more\]"
    check_refused(fit_quickly, cohort, ValueError, message, cv="cohort")


def test_scores_outside_the_unit_interval_are_not_scaled_as_if_inside(cohort, fit_quickly):
    outside_unit_interval(cohort)
    message = r"needs values in \[0, 1\], obsm\['X_regulons'\] has .*1.5\]; use scaling='standard'"
    check_refused(fit_quickly, cohort, ValueError, message, scaling="unit_interval")


def test_leave_pair_out_of_three_classes_is_refused(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=9, classes=("a", "b", "c"))
    check_refused(fit_quickly, adata, ValueError, "needs two classes, there are 3", cv="leave_pair_out")


def test_a_view_is_refused_and_stays_one(cohort, fit_quickly):
    view = cohort[cohort.obs["cell_type"] != "B"]
    with pytest.raises(ValueError, match=r"is a view of another AnnData.*adata = adata.copy\(\)"):
        fit_quickly(view)
    assert view.is_view and "tcellmil" not in cohort.uns


def test_a_backed_anndata_is_refused(cohort, fit_quickly, tmp_path):
    cohort.write_h5ad(tmp_path / "cohort.h5ad")
    backed = ad.read_h5ad(tmp_path / "cohort.h5ad", backed="r")
    with pytest.raises(ValueError, match=r"backed by a file; load it into memory first: adata = adata.to_memory\(\)"):
        fit_quickly(backed)
    assert backed.isbacked and "tcellmil" not in backed.uns
    backed.file.close()


@pytest.mark.parametrize("thing", [pd.DataFrame({"patient": []}), None, "cohort.h5ad"])
def test_what_is_no_anndata_is_refused(fit_quickly, thing):
    with pytest.raises(TypeError, match=f"adata must be an AnnData, got {type(thing).__name__}"):
        fit_quickly(thing)
