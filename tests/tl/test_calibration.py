"""Temperature scaling, from the fit to the picture."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pytest
from scipy.special import logit

import tcellmil as tm


@pytest.fixture(scope="module")
def both_once(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=12)
    fit_quickly(adata, "cohort")
    fit_quickly(adata, "cohort", calibration="temperature", key_added="cooled")
    return adata


@pytest.fixture
def both(both_once):
    return both_once.copy()


def test_logits_are_divided_by_each_replicas_temperature(both):
    temperature = tm.get.model(both, key="cooled").module.members[0].temperature
    plain, cooled = (tm.get.predictions(both, key=key) for key in ("tcellmil", "cooled"))
    assert len(temperature) == 12 and not np.allclose(temperature, 1)
    np.testing.assert_allclose(logit(cooled["prob_R"]) * temperature, logit(plain["prob_R"]), rtol=1e-3, atol=1e-4)
    np.testing.assert_array_equal(both.obs["cooled_attention"], both.obs["tcellmil_attention"])


def test_a_calibrated_model_is_stored_perturbed_and_explained_as_such(both, tmp_path):
    both.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    for adata in (both, back):
        tm.tl.perturb(adata, key="cooled")
        tm.tl.shap(adata, "bag", background=60, key="cooled", progress=False)
    first, second = (tm.get.perturb(adata, key="cooled").reset_index() for adata in (both, back))
    np.testing.assert_array_equal(first["prob"], second["prob"])
    base = first.drop_duplicates("patient").set_index("patient")["prob_base"]
    np.testing.assert_allclose(base, tm.get.predictions(both, key="cooled")["prob_R"][base.index], rtol=1e-5)
    additivity = tm.get.shap(back, "additivity", key="cooled")
    np.testing.assert_allclose(additivity["output"], base[additivity.index], rtol=1e-4)


def test_the_table_is_of_the_out_of_fold_predictions(both):
    table = tm.get.calibration(both, n_bins=3)
    predictions = tm.get.predictions(both)
    assert table["n"].sum() == 12
    assert (table["n"] * table["observed"]).sum() == pytest.approx((predictions["label"] == "R").sum())
    assert (table["n"] * table["predicted"]).sum() == pytest.approx(predictions["prob_R"].sum())
    other = tm.get.calibration(both, n_bins=3, target_class="NR")
    np.testing.assert_allclose(np.sort(1 - other["observed"]), np.sort(table["observed"]))


def test_the_picture_draws_the_table_of_each_fit(both):
    ax = tm.pl.calibration(both, key=["tcellmil", "cooled"], n_bins=3, show=False)
    lines = [line for line in ax.lines if line.get_marker() == "o"]
    for line, key in zip(lines, ("tcellmil", "cooled"), strict=True):
        np.testing.assert_array_equal(line.get_ydata(), tm.get.calibration(both, key=key, n_bins=3)["observed"])
    plt.close("all")


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: tm.get.calibration(a, key="other"), KeyError, r"run tl.fit_mil"),
        (lambda a: tm.get.calibration(a, target_class="CR"), ValueError, r"target_class='CR' is not known"),
        (
            lambda a: tm.pl.calibration(a, n_bins=0, show=False),
            ValueError,
            r"n_bins=0 must be a whole number",
        ),
        (
            lambda a: tm.tl.fit_mil(a, "patient", "response", calibration="platt"),
            ValueError,
            r"calibration='platt' is not known; choose from None, 'temperature'",
        ),
    ],
)
def test_bad_input_is_named(both, call, error, message):
    with pytest.raises(error, match=message):
        call(both)
