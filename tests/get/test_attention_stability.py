"""The tables of the stability come out as copies, by part; what is missing names the verb."""

import pandas as pd
import pytest

import tcellmil as tm

PARTS = ("attention", "regulators", "top")


@pytest.fixture
def compared(explored):
    return explored


@pytest.mark.parametrize("part", PARTS)
def test_each_part_comes_out_as_a_copy_of_what_was_written(compared, part, assert_same):
    table = tm.get.attention_stability(compared, part)
    assert_same(table.reset_index(), compared.uns["tcellmil_attention_stability"][part])
    before = table.copy()
    table.iloc[:, 0] = 7
    assert_same(tm.get.attention_stability(compared, part), before)


def test_without_a_part_it_is_the_attention(compared):
    pd.testing.assert_frame_equal(
        tm.get.attention_stability(compared), tm.get.attention_stability(compared, "attention")
    )
    assert tm.get.attention_stability(compared).index.unique("across").tolist() == ["seeds", "folds"]


def test_results_of_another_model_and_of_an_own_key_are_found(compared):
    written = {part: tm.get.attention_stability(compared, part) for part in PARTS}
    compared.uns["gated_attention_stability"] = compared.uns["own"] = compared.uns.pop("tcellmil_attention_stability")
    for part, table in written.items():
        pd.testing.assert_frame_equal(tm.get.attention_stability(compared, part, key="gated"), table)
        pd.testing.assert_frame_equal(tm.get.attention_stability(compared, part, result_key="own"), table)


def test_what_is_missing_names_the_verb(compared):
    del compared.uns["tcellmil_attention_stability"]
    with pytest.raises(KeyError, match=r"no 'tcellmil_attention_stability'; run tl.attention_stability\(adata\) first"):
        tm.get.attention_stability(compared)
    with pytest.raises(KeyError, match=r"run tl.attention_stability\(adata, key='gated'\) first"):
        tm.get.attention_stability(compared, key="gated")
    with pytest.raises(KeyError, match=r"run tl.attention_stability\(adata, key_added='own'\) first"):
        tm.get.attention_stability(compared, result_key="own")


def test_an_unknown_part_is_named(compared):
    with pytest.raises(ValueError, match="part='cells' is not known; choose from 'attention', 'regulators', 'top'"):
        tm.get.attention_stability(compared, "cells")
