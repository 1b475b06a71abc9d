"""Fractions closer than the true match, by a column of the conditions."""

import numpy as np
import pytest

import tcellmil as tm


def test_each_value_of_the_column_is_a_row_with_its_conditions(complete):
    table = tm.get.match_bulk(complete).reset_index()
    for column in ("cell_type", "patient"):
        ax = tm.pl.match_bulk(complete, column, show=False)
        names = [text.get_text() for text in ax.get_yticklabels()]
        assert names == sorted(table[column].unique())
        for name, points in zip(names, ax.collections, strict=True):
            drawn = np.sort(np.asarray(points.get_offsets())[:, 0])
            np.testing.assert_allclose(drawn, np.sort(table.loc[table[column] == name, "foscttm"]))


def test_the_first_column_is_the_default_and_chance_is_drawn(complete):
    ax = tm.pl.match_bulk(complete, show=False)
    assert len(ax.get_yticklabels()) == 12
    assert any(np.array_equal(line.get_xdata(), [0.5, 0.5]) for line in ax.get_lines())
    mean = tm.get.match_bulk(complete)["foscttm"].mean()
    assert ax.get_title() == f"24 conditions, mean {mean:.3f}"


def test_a_column_that_is_none_of_the_conditions_is_refused(complete):
    with pytest.raises(ValueError, match="groupby='batch' is not known; choose from 'patient', 'cell_type'"):
        tm.pl.match_bulk(complete, "batch", show=False)
