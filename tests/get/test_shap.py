"""Tables of SHAP values, and the shap library's own object."""

import numpy as np
import pytest
import shap

import tcellmil as tm


@pytest.fixture
def adata(explored):
    return explored


def test_tables_are_copies(adata):
    for part in ("patients", "difference", "stats", "additivity"):
        table = tm.get.shap(adata, part)
        table.iloc[:, -1] = 0
        assert (adata.uns["tcellmil_shap"][part].iloc[:, -1] != 0).any()


def test_regulons_are_picked_by_name(adata):
    assert set(tm.get.shap(adata, regulons="C").index.unique("regulon")) == {"C"}
    assert tm.get.shap(adata, "stats", regulons=["C", "B"]).index.tolist() == ["B", "C"]


def test_the_explanation_is_one_that_the_shap_library_draws_from(adata):
    explanation = tm.get.shap_explanation(adata)
    assert isinstance(explanation, shap.Explanation)
    np.testing.assert_array_equal(explanation.values, adata.obsm["X_tcellmil_shap"])
    np.testing.assert_array_equal(explanation.data, adata.obsm["X_regulons"])
    assert list(explanation.feature_names) == list(adata.uns["regulons"]["names"])
    expected = tm.get.shap(adata, "additivity")["expected"]
    np.testing.assert_array_equal(explanation.base_values, expected[adata.obs["patient"].astype(str)])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: tm.get.shap(a, "cells"), ValueError, r"part='cells' is not known; choose from 'patients'"),
        (lambda a: tm.get.shap(a, regulons="TBX21"), KeyError, r"regulons \['TBX21'\] are not in the table; there are"),
        (lambda a: tm.get.shap(a, key="other"), KeyError, r"run tl.shap\(adata, key='other'\) first"),
        (lambda a: tm.get.shap(a, result_key="why"), KeyError, r"run tl.shap\(adata, key_added='why'\) first"),
        (lambda a: tm.get.shap_explanation(a, key="other"), KeyError, r"run tl.shap\(adata, key='other'\) first"),
    ],
)
def test_what_is_missing_is_named(adata, call, error, message):
    with pytest.raises(error, match=message):
        call(adata)
