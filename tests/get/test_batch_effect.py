"""The tables of the batch effect come out as copies; what is missing names the verb."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture
def measured():
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    adata.uns["batch_effect"] = {
        "ari": pd.DataFrame({"representation": ["X_pca", "X_regulons"], "init": [0, 0], "ari": [0.4, 0.1]}),
        "tests": pd.DataFrame({"reference": ["X_pca"], "representation": ["X_regulons"], "ranksum_p": [0.01]}),
        "params": {"batch_key": "batch"},
    }
    return adata


def test_both_tables_come_out_as_they_were_written(measured):
    result = measured.uns["batch_effect"]
    pd.testing.assert_frame_equal(tm.get.batch_effect(measured), result["ari"])
    pd.testing.assert_frame_equal(tm.get.batch_effect(measured, tests=True), result["tests"])


@pytest.mark.parametrize("tests", [False, True])
def test_changing_a_table_changes_nothing_in_adata(measured, tests):
    before = tm.get.batch_effect(measured, tests=tests)
    tm.get.batch_effect(measured, tests=tests)["representation"] = "changed"
    pd.testing.assert_frame_equal(tm.get.batch_effect(measured, tests=tests), before)


def test_another_key_is_found_and_a_missing_one_names_the_verb(measured):
    measured.uns["effect"] = measured.uns.pop("batch_effect")
    assert len(tm.get.batch_effect(measured, "effect")) == 2
    with pytest.raises(KeyError, match=r"no 'batch_effect'; run tl.batch_effect\(adata, ...\) first"):
        tm.get.batch_effect(measured)
    with pytest.raises(KeyError, match=r"run tl.batch_effect\(adata, ..., key_added='other'\) first"):
        tm.get.batch_effect(measured, "other")
