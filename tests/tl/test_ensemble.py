"""``ensemble=True`` from the fit to the file and to everything that explains it."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

NETWORK = {"network": {}}  # both configurations as they are


@pytest.fixture(scope="module")
def averaged_once(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=8)
    fit_quickly(adata, "cohort", cv="loo", ensemble=True, **NETWORK)
    return adata


@pytest.fixture
def averaged(averaged_once):
    return averaged_once.copy()


def test_the_choice_is_in_the_file_and_adds_up(averaged):
    table = averaged.uns["tcellmil"]["configurations"]
    assert list(table) == ["replica", "seed", "fold", "configuration", "weight", "loss"]
    assert table["configuration"].unique().tolist() == ["pca 6, attention", "features, mean with sd, standardised"]
    np.testing.assert_allclose(table.groupby("replica")["weight"].sum(), 1)
    assert np.isfinite(table["loss"]).all() and len(table) == 16
    params = averaged.uns["tcellmil"]["params"]
    assert params["ensemble"] == "average" and params["calibration"] == "spread"


@pytest.mark.parametrize("kind", ["h5ad", "zarr"])
@pytest.mark.filterwarnings("ignore:Writing zarr v2")
def test_an_ensemble_goes_through_a_file(averaged, tmp_path, kind):
    path = tmp_path / f"result.{kind}"
    getattr(averaged, f"write_{kind}")(path)
    read = getattr(ad, f"read_{kind}")(path)
    model, again = tm.get.model(averaged), tm.get.model(read)
    np.testing.assert_array_equal(again.module.mixture, model.module.mixture)
    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)
    expected = model.predict()
    np.testing.assert_allclose(tm.get.predictions(read)["prob_R"], expected["prob_R"], rtol=1e-6)


def test_an_ensemble_is_saved_in_a_folder(averaged, tmp_path):
    model = tm.get.model(averaged)
    model.save(tmp_path / "model")
    again = tm.model.TcellMIL.load(tmp_path / "model", averaged)
    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda m: m * 2, "do not add up to 1"),
        (lambda m: np.stack([m[0] + 2, m[1] - 2]), "negative weights"),
        (lambda m: m[:1], r"the array weights/mixture is float64 \(1, 8\), the configuration has float64 \(2, 8\)"),
    ],
)
def test_weights_that_no_fit_has_are_refused(averaged, change, message):
    weights = averaged.uns["tcellmil"]["weights"]
    weights["mixture"] = change(weights["mixture"])
    with pytest.raises(ValueError, match=message):
        tm.tl.perturb(averaged)


def test_what_explains_a_fit_explains_an_ensemble(averaged):
    tm.tl.perturb(averaged)
    assert np.isfinite(tm.get.perturb(averaged)["prob"]).all()
    tm.tl.shap(averaged, "bag", background=60, progress=False)
    errors = tm.get.shap(averaged, "additivity")
    assert (errors["error"] < 0.02).all()
    stages = tm.get.history(averaged).index.get_level_values("stage").unique().tolist()
    assert stages == ["mil:pca 6, attention", "mil:features, mean with sd, standardised"]
    tm.pl.history(averaged, show=False)


def test_a_permutation_test_makes_the_whole_choice_again(averaged):
    tm.tl.permutation_test(averaged, n_permutations=3, progress=False)
    assert 0 < tm.get.permutation_test(averaged)["p"].iloc[0] <= 1


def test_new_patients_are_predicted_by_an_ensemble(averaged, make_cohort):
    new = make_cohort(n_patients=4, prefix="new", seed=3)
    tm.tl.predict(new, averaged)
    assert tm.get.predictions(new)["prob_R"].between(0, 1).all()


def test_the_best_alone_has_all_of_the_weight(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=8)
    fit_quickly(adata, cv=2, ensemble="best", calibration="temperature", **NETWORK)
    table = adata.uns["tcellmil"]["configurations"]
    assert set(table["weight"]) == {0.0, 1.0}
    best = table.loc[table.groupby("replica")["loss"].idxmin()]
    assert (best["weight"] == 1).all()
    assert adata.uns["tcellmil"]["params"]["calibration"] == "temperature"


def test_one_network_has_a_row_a_replica(fitted):
    table = fitted.uns["tcellmil"]["configurations"]
    assert (table["weight"] == 1).all() and table["loss"].isna().all() and len(table) == 16


QUICK = {"training": {"max_epochs": 2, "max_epochs_ae": 1}, "n_boot": 20, "progress": False}


@pytest.mark.parametrize(
    ("n_patients", "options", "expected", "n_seeds"),
    [
        (8, {}, "average", 3),
        (8, {"ensemble": False}, "", 3),
        (8, {"network": {"n_attention": 4}}, "", 3),
        (8, {"cv": [(["P0", "P1", "P2"], ["P3", "P4", "P5", "P6", "P7"])]}, "", 3),  # one patient of a class
        (9, {"classes": ("NR", "PR", "R")}, "", 3),
        (48, {}, "", 1),
        (47, {"n_seeds": 2}, "average", 2),
    ],
)
def test_what_a_cohort_gets_by_default(make_cohort, n_patients, options, expected, n_seeds):
    cohort = {"classes": options["classes"]} if "classes" in options else {}
    adata = make_cohort(n_patients=n_patients, n_cells=6, **cohort)
    own = {"cv": 2, **QUICK, **{name: value for name, value in options.items() if name != "classes"}}
    tm.tl.fit_mil(adata, "patient", "response", **own)
    params = adata.uns["tcellmil"]["params"]
    assert (params["ensemble"], params["n_seeds"]) == (expected, n_seeds)
    n_networks = 2 if expected else 1
    assert len(tm.get.configurations(adata)) == n_networks * len(tm.get.model(adata).module.replicas.seed)


def test_a_model_class_has_the_same_default(make_cohort):
    adata = make_cohort(n_patients=8)
    for network, n_networks in (({}, 2), ({"n_attention": 4}, 1)):
        tm.model.TcellMIL.setup_anndata(adata, "patient", "response")
        model = tm.model.TcellMIL(adata, **network)
        model.train(max_epochs=2, progress=False)
        assert len(model.module.networks) == n_networks and len(model.module) == 3


@pytest.mark.parametrize("ensemble", [False, True, "best"])
def test_a_loaded_model_is_trained_again_as_it_was(make_cohort, ensemble):
    adata = make_cohort(n_patients=8)
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response")
    model = tm.model.TcellMIL(adata)
    model.train(ensemble=ensemble, n_seeds=1, max_epochs=2, progress=False)
    again = tm.model.TcellMIL.from_state(model.to_state(), adata)
    again.train(n_seeds=1, max_epochs=2, progress=False)
    pd.testing.assert_frame_equal(again.predict(), model.predict())
    assert again.training["ensemble"] == model.training["ensemble"]


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"ensemble": "all"}, ValueError, "ensemble='all' is not known; choose from 'auto', False, True, 'best'"),
        (
            {"ensemble": True, "outcome": "continuous"},
            ValueError,
            "ensemble is for classes, the outcome is 'continuous'",
        ),
    ],
)
def test_what_an_ensemble_cannot_do_is_said(make_cohort, fit_quickly, options, error, message):
    adata = make_cohort()
    adata.obs["response"] = (
        adata.obs["patient"].str[1:].astype(float) if "outcome" in options else adata.obs["response"]
    )
    before = set(adata.uns), set(adata.obs), set(adata.obsm)
    with pytest.raises(error, match=message):
        fit_quickly(adata, **options)
    assert (set(adata.uns), set(adata.obs), set(adata.obsm)) == before


def test_too_few_patients_to_choose_are_named(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=6)
    names = [f"P{i}" for i in range(6)]
    with pytest.raises(ValueError, match=r"two training patients of every class .* has 1 of 'R'; use ensemble=False"):
        fit_quickly(adata, cv=[(names[:3], names[3:])], ensemble=True)
