"""The tables of matched pseudobulks come out as copies; what is missing names the verb."""

import pandas as pd
import pytest

import tcellmil as tm


@pytest.mark.parametrize("part", ["conditions", "pairs"])
def test_tables_come_out_as_copies_of_what_was_written(explored, part, assert_same):
    table = tm.get.match_bulk(explored, part)
    assert_same(table.reset_index(), explored.uns["match_bulk"][part])
    table.iloc[:, 0] = 7
    assert (tm.get.match_bulk(explored, part).iloc[:, 0] != 7).any()


def test_another_key_is_found_and_a_missing_one_names_the_verb(explored):
    written = tm.get.match_bulk(explored)
    explored.uns["other"] = explored.uns.pop("match_bulk")
    pd.testing.assert_frame_equal(tm.get.match_bulk(explored, result_key="other"), written)
    with pytest.raises(KeyError, match=r"no 'match_bulk'; run tl.match_bulk\(adata, ...\) first"):
        tm.get.match_bulk(explored)
    with pytest.raises(ValueError, match="part='table' is not known; choose from 'conditions', 'pairs'"):
        tm.get.match_bulk(explored, "table")
