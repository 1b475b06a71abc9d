"""Risk groups by themselves are those of pl.predictions."""

import matplotlib.pyplot as plt
import numpy as np
import pytest

import tcellmil as tm


def test_curves_and_numbers_are_those_of_the_predictions(complete):
    alone = tm.pl.risk_groups(complete, key="survival", show=False)
    beside = tm.pl.predictions(complete, key="survival", show=False)
    for one, other in zip(alone.lines, beside.lines, strict=True):
        np.testing.assert_array_equal(one.get_xydata(), other.get_xydata())
    assert [text.get_text() for text in alone.texts] == [text.get_text() for text in beside.texts]
    p = tm.get.risk_groups(complete, "test", key="survival")["p"].item()
    assert alone.get_title() == f"High and low risk: log-rank test p = {p:.2g}\nn = 12 patients"


def test_classes_have_no_risk_groups(complete):
    with pytest.raises(ValueError, match="risk groups are for outcome='survival'"):
        tm.pl.risk_groups(complete, show=False)
    assert not plt.get_fignums()
