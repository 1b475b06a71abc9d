"""The tables of the batch effect come out as copies; what is missing names the verb."""

import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture
def measured(explored):
    return explored


@pytest.mark.parametrize("part", ["ari", "tests"])
def test_tables_come_out_as_they_were_written(measured, part, assert_same):
    table = tm.get.batch_effect(measured, part).reset_index()
    assert_same(table, measured.uns["batch_effect"][part])


@pytest.mark.parametrize("part", ["ari", "tests"])
def test_changing_a_table_changes_nothing_in_adata(measured, part):
    before = tm.get.batch_effect(measured, part)
    table = tm.get.batch_effect(measured, part)
    table.iloc[:, 0] = 7
    pd.testing.assert_frame_equal(tm.get.batch_effect(measured, part), before)


def test_another_key_is_found_and_a_missing_one_names_the_verb(measured):
    written = tm.get.batch_effect(measured)
    measured.uns["effect"] = measured.uns.pop("batch_effect")
    pd.testing.assert_frame_equal(tm.get.batch_effect(measured, result_key="effect"), written)
    with pytest.raises(KeyError, match=r"no 'batch_effect'; run tl.batch_effect\(adata, ...\) first"):
        tm.get.batch_effect(measured)
    with pytest.raises(KeyError, match=r"run tl.batch_effect\(adata, ..., key_added='other'\) first"):
        tm.get.batch_effect(measured, result_key="other")
    with pytest.raises(ValueError, match="part='table' is not known; choose from 'ari', 'tests'"):
        tm.get.batch_effect(measured, "table")
