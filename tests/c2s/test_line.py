"""The line from rank to expression, there and back."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse, stats

from tcellmil.c2s import RankLine, fit_rank_line, rank_genes, rank_line_expression
from tcellmil.c2s import _line as module
from tcellmil.c2s._line import rank_density, sentence_values


@pytest.fixture(scope="module")
def counts():
    rng = np.random.default_rng(0)
    return rng.poisson(rng.gamma(0.5, 2, 150), (80, 150)).astype(np.float32)


def log_normalised(counts):
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)


def points(X, ids):
    """Position and value of every word, one by one."""
    found = [(p, X[cell, gene]) for cell, row in enumerate(ids) for p, gene in enumerate(row) if gene >= 0]
    return np.array(found, dtype=float).T


def test_a_line_is_the_regression_on_every_word(counts):
    X = log_normalised(counts)
    ids = rank_genes(X, 40)
    position, value = points(X, ids)
    expected = stats.linregress(np.log10(1 + position), value)
    line = fit_rank_line(sparse.csr_matrix(X), ids)
    assert line.slope == pytest.approx(expected.slope, rel=1e-6)
    assert line.intercept == pytest.approx(expected.intercept, rel=1e-6)
    assert line.r2 == pytest.approx(expected.rvalue**2, rel=1e-6)
    assert line.pearson == pytest.approx(-expected.rvalue, rel=1e-6)
    assert line.spearman == pytest.approx(-stats.spearmanr(position, value).statistic, rel=1e-6)
    assert (line.n_cells, line.n_genes) == (80, 40)


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_array])
def test_counts_are_normalised_for_the_line(counts, container):
    ids = rank_genes(counts, 40)
    expected = fit_rank_line(log_normalised(counts), ids)
    line = fit_rank_line(container(counts), ids, counts=True)
    np.testing.assert_allclose(list(line.as_dict().values()), list(expected.as_dict().values()), rtol=1e-5)


@settings(max_examples=40, deadline=None)
@given(slope=st.floats(-5, -0.1), intercept=st.floats(8, 12), n=st.integers(2, 30))
def test_expression_on_a_line_gives_the_line_and_comes_back(slope, intercept, n):
    order = np.random.default_rng(n).permutation(n)
    X = np.zeros((3, n))
    X[:, order] = intercept + slope * np.log10(1 + np.arange(n))
    ids = rank_genes(X, n)
    line = fit_rank_line(X, ids)
    assert line.slope == pytest.approx(slope) and line.intercept == pytest.approx(intercept)
    assert line.r2 == pytest.approx(1) and line.pearson == pytest.approx(1) and line.spearman == pytest.approx(1)
    np.testing.assert_allclose(rank_line_expression(ids, line, n).toarray(), X, rtol=1e-5)


def test_cells_are_spread_over_all_where_there_are_too_many(counts, monkeypatch):
    ids = rank_genes(counts, 10)
    whole = sentence_values(counts, ids, counts=True)
    monkeypatch.setattr(module, "MAX_POINTS", 50)
    np.testing.assert_array_equal(sentence_values(counts, ids, counts=True), whole[[0, 19, 39, 59, 79]])
    assert fit_rank_line(counts, ids, counts=True).n_cells == 5


def test_cells_without_a_sentence_are_not_counted(counts):
    with_empty = counts.copy()
    with_empty[3] = 0
    ids = rank_genes(with_empty, 10)
    assert fit_rank_line(with_empty, ids, counts=True).n_cells == 79


def test_a_poor_line_warns():
    X = np.random.default_rng(0).choice([1.0, 1.01, 9.0], size=(5, 40), p=[0.1, 0.85, 0.05])
    with pytest.warns(UserWarning, match=r"explains little: R² 0\.\d+ in 5 cells.*tm\.pl\.rank_expression"):
        line = fit_rank_line(X, rank_genes(X, 40))
    assert line.r2 < 0.5


def test_values_that_do_not_vary_have_no_correlation():
    with pytest.warns(UserWarning, match="R² nan"):
        line = fit_rank_line(np.ones((2, 4)), rank_genes(np.ones((2, 4)), 4))
    assert line.slope == 0 and line.intercept == 1
    assert np.isnan([line.r2, line.pearson, line.spearman]).all()


@pytest.mark.parametrize("n_genes", [1, 3])
def test_one_gene_a_cell_is_no_line(n_genes):
    X = np.eye(4)
    with pytest.raises(ValueError, match="a line from rank to expression needs a cell that expresses two genes"):
        fit_rank_line(X, rank_genes(X, n_genes))


def test_sentences_of_other_cells_or_genes_are_refused(counts):
    ids = rank_genes(counts, 10)
    with pytest.raises(ValueError, match="there are 80 sentences, but X has 79 cells"):
        fit_rank_line(counts[1:], ids)
    with pytest.raises(ValueError, match="indices from .* but the vocabulary has 5 words"):
        fit_rank_line(counts[:, :5], ids)


def one_by_one(ids, line, n_vars):
    """Expression by the definition: mean position of each gene among the words that are there."""
    expression = np.zeros((len(ids), n_vars))
    for cell, row in enumerate(ids):
        words = [gene for gene in row if gene >= 0]
        for gene in set(words):
            position = np.mean([p for p, word in enumerate(words) if word == gene])
            expression[cell, gene] = max(0, line.intercept + line.slope * np.log10(1 + position))
    return expression


@settings(max_examples=60, deadline=None)
@given(data=st.data(), n_vars=st.integers(1, 6), slope=st.floats(-4, 1), intercept=st.floats(-1, 4))
def test_expression_is_that_of_the_mean_position(data, n_vars, slope, intercept):
    width = data.draw(st.integers(0, 8))
    row = st.lists(st.integers(-1, n_vars - 1), min_size=width, max_size=width)
    rows = data.draw(st.lists(row, max_size=5))
    ids = np.array(rows, dtype=np.int32).reshape(len(rows), width)
    line = RankLine(slope, intercept)
    X = rank_line_expression(ids, line, n_vars)
    assert X.dtype == np.float32 and X.format == "csr" and X.has_canonical_format and (X.data > 0).all()
    np.testing.assert_allclose(X.toarray(), one_by_one(ids, line, n_vars), atol=1e-6)


def test_a_gene_that_is_repeated_first_stays_first():
    expression = rank_line_expression(np.array([[0, 0, 0, 1]]), RankLine(-1, 3), 2).toarray()[0]
    np.testing.assert_allclose(expression, [3 - np.log10(2), 3 - np.log10(4)], rtol=1e-6)


@pytest.mark.parametrize("n_genes", [1, 3, 200, 1000])
def test_the_density_counts_every_value_once(n_genes):
    values = np.random.default_rng(0).gamma(2, 1, (30, n_genes))
    values[:, n_genes // 2 + 1 :][::2] = np.nan
    table = rank_density(values)
    assert table["n"].sum() == np.isfinite(values).sum() and (table["n"] > 0).all()
    assert table["rank_low"].min() == 1 and table["rank_high"].max() == n_genes
    for (low, high), part in table.groupby(["rank_low", "rank_high"]):
        assert part["share"].sum() == pytest.approx(1)
        assert part["n"].sum() == np.isfinite(values[:, low - 1 : high]).sum()


def test_a_line_comes_back_from_its_numbers():
    line = RankLine(-1.5, 4.0, 0.93, 0.96, 0.95, 300, 100)
    assert RankLine.from_dict({name: np.float64(value) for name, value in line.as_dict().items()}) == line
    assert RankLine.from_dict({"slope": -1, "intercept": 2}).expression_at([0, 9, 999]).tolist() == [2, 1, 0]


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"slope": 1}, r"a line needs slope and intercept, and knows .*; got \['slope'\]"),
        ({"slope": 1, "intercept": 1, "angle": 2}, "a line needs slope and intercept"),
        ({"slope": np.nan, "intercept": 1}, "slope=nan and intercept=1.0 of a line must be finite"),
    ],
)
def test_numbers_that_are_no_line_are_refused(values, message):
    with pytest.raises(ValueError, match=message):
        RankLine.from_dict(values)
