"""The cells with the most attention, as groups for scanpy."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.mark.parametrize(("fraction", "n_top"), [(0.2, 3), (0.01, 1), (0.99, 14)])
def test_the_same_share_of_every_patient_is_marked(fitted, fraction, n_top):
    tm.tl.top_cells(fitted, fraction)
    marks = fitted.obs["tcellmil_top_cells"]
    assert marks.cat.categories.tolist() == ["top", "other"]
    of_patient = (marks == "top").groupby(fitted.obs["patient"]).sum()
    assert of_patient.unique().tolist() == [n_top]
    cells = tm.get.attention(fitted)
    for patient, own in cells.groupby("sample"):
        lowest = own["attention"][(marks[own.index] == "top")].min()
        assert lowest >= own["attention"][(marks[own.index] == "other")].max(), patient


def test_ties_do_not_depend_on_the_order_of_the_cells(fitted):
    fitted.obs["tcellmil_attention"] = 1 / 15
    tm.tl.top_cells(fitted)
    shuffled = fitted[np.random.default_rng(0).permutation(fitted.n_obs)].copy()
    tm.tl.top_cells(shuffled)
    pd.testing.assert_series_equal(
        shuffled.obs["tcellmil_top_cells"].reindex(fitted.obs_names), fitted.obs["tcellmil_top_cells"]
    )


def test_cells_without_attention_are_in_no_group(fitted):
    unseen = fitted.obs["patient"] == "P0"
    fitted.obs.loc[unseen, "tcellmil_attention"] = np.nan
    tm.tl.top_cells(fitted)
    assert fitted.obs.loc[unseen, "tcellmil_top_cells"].isna().all()
    fitted.obs["tcellmil_attention"] = np.nan
    with pytest.raises(ValueError, match="no cell has attention"):
        tm.tl.top_cells(fitted)


@pytest.mark.parametrize("fraction", [0, 1, -0.1, "0.1", True, np.nan])
def test_a_fraction_out_of_range_is_refused(fitted, fraction):
    with pytest.raises(ValueError, match="fraction=.* must be between 0 and 1"):
        tm.tl.top_cells(fitted, fraction)
    assert "tcellmil_top_cells" not in fitted.obs


def test_groups_survive_a_file(fitted, tmp_path):
    import anndata as ad

    tm.tl.top_cells(fitted)
    fitted.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    assert back.obs["tcellmil_top_cells"].tolist() == fitted.obs["tcellmil_top_cells"].tolist()
