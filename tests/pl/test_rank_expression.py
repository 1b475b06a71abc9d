"""The line from rank to expression over the density of values."""

import numpy as np
import pytest

import tcellmil as tm


@pytest.fixture
def cohort_with_sentences():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    tm.pp.cell_sentences(adata, n_genes=50)
    return adata


def test_the_line_is_the_one_that_was_fitted(cohort_with_sentences):
    ax = tm.pl.rank_expression(cohort_with_sentences, show=False)
    line = cohort_with_sentences.uns["cell_sentence"]["line"]
    rank, value = ax.lines[0].get_data()
    np.testing.assert_array_equal(rank, np.arange(1, 51))
    np.testing.assert_allclose(value, np.maximum(0, line["intercept"] + line["slope"] * np.log10(rank)))
    assert ax.get_title() == f"R² {line['r2']:.2f}, 180 cells"


def test_the_density_is_that_of_the_table(cohort_with_sentences):
    ax = tm.pl.rank_expression(cohort_with_sentences, show=False)
    table = tm.get.rank_expression(cohort_with_sentences)
    drawn = np.asarray(ax.collections[0].get_array())
    np.testing.assert_allclose(np.sort(drawn[drawn > 0]), np.sort(table["share"]))
    np.testing.assert_allclose(drawn.sum(axis=0), 1)
    assert ax.get_xscale() == "log"


def test_the_axis_says_what_values_are(complete):
    assert tm.pl.rank_expression(complete, show=False).get_ylabel() == "Expression, log(1 + counts per 10,000)"
    adata = complete.copy()
    adata.uns["cell_sentence"]["params"]["values"] = "log"
    assert tm.pl.rank_expression(adata, show=False).get_ylabel() == "Expression, log values of the data"


def test_a_rising_line_is_written_with_a_plus(complete):
    adata = complete.copy()
    adata.uns["cell_sentence"]["line"]["slope"] = 1.5
    ax = tm.pl.rank_expression(adata, show=False)
    assert ax.lines[0].get_label() == "4.00 + 1.50 log10(rank)"
