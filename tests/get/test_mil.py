"""Predictions, metrics and attention come out as copies; what is missing names the verb."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

GETTERS = (tm.get.predictions, tm.get.metrics, tm.get.history, tm.get.configurations, tm.get.attention)


@pytest.fixture
def fitted(fitted_once, fit_of):
    """Three patients of 2, 3 and 1 cells; C was never held out and has no label."""
    obs = pd.DataFrame(
        {
            "patient": pd.Categorical(["A", "B", "A", "B", "B", "C"]),
            "tcellmil_attention": [0.25, 0.5, 0.75, 0.5, 0.0, np.nan],
        },
        index=[f"cell{i}" for i in range(6)],
    )
    adata = ad.AnnData(np.ones((6, 1), dtype=np.float32), obs=obs)
    predicted = [[0.2, 0.8], [0.4, 0.6], [np.nan, np.nan]]
    own = fit_of(["A", "B", "C"], [2, 3, 1], codes=[1, 0, -1], predicted=predicted)
    adata.uns["tcellmil"] = fitted_once.uns["tcellmil"] | own
    return adata


def test_attention_stands_beside_patient_label_and_prediction(fitted):
    table = tm.get.attention(fitted)
    assert table.index.equals(fitted.obs_names)
    assert table["sample"].tolist() == ["A", "B", "A", "B", "B", "C"]
    assert table["label"].tolist() == ["R", "NR", "R", "NR", "NR", ""]
    assert table["predicted"].tolist() == ["R", "R", "R", "R", "R", ""]
    np.testing.assert_array_equal(table["attention"], fitted.obs["tcellmil_attention"])


def test_relative_attention_is_one_on_average_in_each_patient(fitted):
    relative = tm.get.attention(fitted)["relative"]
    np.testing.assert_allclose(relative, [0.5, 1.5, 1.5, 1.5, 0.0, np.nan])
    by_patient = relative.groupby(fitted.obs["patient"].to_numpy()).mean()
    assert by_patient.dropna().tolist() == [1.0, 1.0]


def test_relative_attention_of_a_subset_is_that_of_the_whole(fitted):
    some = fitted[[1, 0]]
    np.testing.assert_allclose(tm.get.attention(some)["relative"], [1.5, 0.5])


def test_cells_without_a_patient_have_no_attention(fitted):
    fitted.obs.loc["cell0", ["patient", "tcellmil_attention"]] = np.nan
    row = tm.get.attention(fitted).loc["cell0"]
    assert np.isnan(row["relative"]) and (row["label"], row["predicted"]) == ("", "")


@pytest.mark.parametrize("getter", GETTERS)
def test_changing_a_table_changes_nothing_in_adata(fitted, getter):
    before = fitted.copy()
    table = getter(fitted)
    table.loc[:, table.select_dtypes("number").columns] = 7
    table.index = range(len(table))
    pd.testing.assert_frame_equal(fitted.obs, before.obs)
    for part in ("predictions", "metrics", "history"):
        pd.testing.assert_frame_equal(fitted.uns["tcellmil"][part], before.uns["tcellmil"][part])


@pytest.mark.parametrize("getter", GETTERS)
def test_without_a_fit_the_error_names_fit_mil(fitted, getter):
    with pytest.raises(KeyError, match=r"no 'other'; run tl.fit_mil\(adata, ..., key_added='other'\) first"):
        getter(fitted, key="other")
    del fitted.uns["tcellmil"]
    with pytest.raises(KeyError, match=r"no 'tcellmil'; run tl.fit_mil\(adata, ...\) first"):
        getter(fitted)


def test_a_part_or_column_that_is_gone_is_named(fitted):
    del fitted.uns["tcellmil"]["metrics"]
    with pytest.raises(KeyError, match=r"uns\['tcellmil'\] has no 'metrics'"):
        tm.get.metrics(fitted)
    fitted.obs = fitted.obs.rename(columns={"patient": "donor"})
    with pytest.raises(KeyError, match="sample_key='patient' is not a column"):
        tm.get.attention(fitted)
    del fitted.obs["tcellmil_attention"]
    with pytest.raises(KeyError, match="obs has no 'tcellmil_attention'; run tl.fit_mil"):
        tm.get.attention(fitted)


def test_tables_are_the_same_after_writing_and_reading(fitted, tmp_path, assert_same):
    fitted.write_h5ad(tmp_path / "result.h5ad")
    read = ad.read_h5ad(tmp_path / "result.h5ad")
    for getter in GETTERS:
        assert_same(getter(read), getter(fitted))
