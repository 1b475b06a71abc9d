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


@pytest.mark.parametrize("part", ["ari", "tests"])
def test_tables_come_out_as_they_were_written(measured, part):
    table = tm.get.batch_effect(measured, part).reset_index()
    pd.testing.assert_frame_equal(table, measured.uns["batch_effect"][part])


@pytest.mark.parametrize("part", ["ari", "tests"])
def test_changing_a_table_changes_nothing_in_adata(measured, part):
    before = tm.get.batch_effect(measured, part)
    table = tm.get.batch_effect(measured, part)
    table.iloc[:, 0] = 7
    pd.testing.assert_frame_equal(tm.get.batch_effect(measured, part), before)


def test_another_key_is_found_and_a_missing_one_names_the_verb(measured):
    measured.uns["effect"] = measured.uns.pop("batch_effect")
    assert len(tm.get.batch_effect(measured, result_key="effect")) == 2
    with pytest.raises(KeyError, match=r"no 'batch_effect'; run tl.batch_effect\(adata, ...\) first"):
        tm.get.batch_effect(measured)
    with pytest.raises(KeyError, match=r"run tl.batch_effect\(adata, ..., key_added='other'\) first"):
        tm.get.batch_effect(measured, result_key="other")
    with pytest.raises(ValueError, match="part='table' is not known; choose from 'ari', 'tests'"):
        tm.get.batch_effect(measured, "table")
