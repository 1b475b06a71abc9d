"""Configurations of an ensemble: the share of replicas in which each counts, and its losses."""

import numpy as np
import pytest

import tcellmil as tm


@pytest.fixture
def adata(cohort):
    return cohort(n_patients=8, n_regulons=2)


def test_shares_and_losses_are_those_of_the_table(adata):
    table = tm.get.configurations(adata)
    assert table.index.names == ["replica", "configuration"] and list(table) == ["seed", "fold", "weight", "loss"]
    left, right = tm.pl.configurations(adata, show=False)
    bars = {(round(bar.get_y() + 0.3), round(bar.get_x(), 6)): bar.get_width() for bar in left.patches}
    # Of eight replicas two have the first alone; the other six average both.
    assert bars[0, 0.0] == 0.25 and bars[0, 0.25] == 0.75
    assert bars[1, 0.0] == 0.75 and bars[1, 0.75] == 0.25
    names = [label.get_text() for label in left.get_yticklabels()]
    assert names == table.index.unique("configuration").tolist() and left.get_title(loc="left") == "n = 8 replicas"
    points = [c for c in right.collections if len(c.get_offsets()) == 8]
    for name, of_name in zip(names, points, strict=True):
        np.testing.assert_allclose(of_name.get_offsets()[:, 0], table["loss"].xs(name, level="configuration"))
    assert right.lines[-1].get_xdata()[0] == pytest.approx(np.log(2))


def test_of_one_configuration_it_says_that_nothing_was_chosen(adata):
    fit = adata.uns["tcellmil"]
    fit["configurations"] = fit["configurations"].iloc[::2].assign(weight=1.0, loss=np.nan)
    left, right = tm.pl.configurations(adata, show=False)
    assert [bar.get_width() for bar in left.patches if bar.get_width()] == [1.0]
    assert "there is one configuration" in right.texts[0].get_text()


def test_without_a_fit_both_name_the_call(adata):
    for call in (tm.get.configurations, tm.pl.configurations):
        with pytest.raises(KeyError, match="'other'; run tl.fit_mil"):
            call(adata, key="other")


def test_a_file_of_an_older_fit_has_no_such_table(adata):
    del adata.uns["tcellmil"]["configurations"]
    with pytest.raises(KeyError, match="configurations"):
        tm.get.configurations(adata)
