"""From sentences back to expression."""

import logging
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse, stats

import tcellmil as tm
from tcellmil.c2s import RankLine

GENES = ["CD3D", "LYZ", "NKG7", "IL7R"]
LINE = RankLine(slope=-1.0, intercept=3.0)


def at(position):
    return 3 - np.log10(1 + position)


def expression(texts, **options):
    return tm.tl.sentences_to_expression(texts, LINE, GENES, **options)


def test_a_gene_has_the_expression_of_its_place():
    adata = expression(["LYZ CD3D", "NKG7"])
    assert sparse.issparse(adata.X) and adata.X.dtype == np.float32
    assert adata.var_names.tolist() == GENES and adata.obs_names.tolist() == ["0", "1"]
    np.testing.assert_allclose(adata.X.toarray(), [[at(1), at(0), 0, 0], [0, 0, at(0), 0]], rtol=1e-6)


def test_unknown_words_take_no_place():
    adata = expression(["well LYZ here CD3D"])
    np.testing.assert_allclose(adata.X.toarray(), [[at(1), at(0), 0, 0]], rtol=1e-6)
    assert adata.obs[["n_words", "n_unknown", "n_repeated"]].to_numpy().tolist() == [[4, 2, 0]]


def test_a_repeated_gene_takes_the_mean_of_its_places():
    adata = expression(["CD3D CD3D CD3D LYZ"])
    np.testing.assert_allclose(adata.X.toarray()[0, :2], [at(1), at(3)], rtol=1e-6)
    assert adata.obs["n_repeated"].tolist() == [2]


def test_a_full_stop_is_no_part_of_a_gene():
    np.testing.assert_array_equal(expression(["LYZ CD3D."]).X.toarray(), expression(["LYZ CD3D"]).X.toarray())


def test_values_below_zero_become_zero():
    steep = tm.tl.sentences_to_expression(["LYZ CD3D NKG7"], {"slope": -10, "intercept": 1}, GENES)
    assert steep.X.toarray().tolist() == [[0, 1, 0, 0]] and steep.X.nnz == 1


def test_cells_are_named_by_the_series():
    texts = pd.Series(["LYZ", "CD3D"], index=["a", "b"])
    assert expression(texts).obs_names.tolist() == ["a", "b"]


def test_indices_are_sentences_too():
    ids = np.array([[1, 0, -1], [-1, 2, 2]])
    adata = expression(ids)
    np.testing.assert_array_equal(adata.X.toarray(), expression(["LYZ CD3D", "NKG7 NKG7"]).X.toarray())
    assert adata.obs["n_words"].tolist() == [2, 2] and adata.obs["n_repeated"].tolist() == [0, 1]
    texts = np.array(["LYZ CD3D", "NKG7 NKG7"])
    np.testing.assert_array_equal(expression(texts).X.toarray(), adata.X.toarray())


@pytest.fixture(scope="module")
def cells():
    """Expression on a line but for noise; gene names are identifiers."""
    rng = np.random.default_rng(0)
    counts = rng.poisson(rng.gamma(0.5, 8, 80), (30, 80)).astype(np.float32)
    adata = ad.AnnData(counts, obs=pd.DataFrame({"donor": "D1"}, index=[f"c{i}" for i in range(30)]))
    adata.var_names = [f"ENSG{i:011d}" for i in range(80)]
    adata.var["symbol"] = [f"G{i}" for i in range(80)]
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    tm.pp.cell_sentences(adata, n_genes=40, gene_symbols="symbol")
    return adata


def test_an_anndata_goes_there_and_back(cells):
    back = tm.tl.sentences_to_expression(cells)
    assert back.var_names.tolist() == cells.var_names.tolist() and back.obs["donor"].tolist() == ["D1"] * 30
    assert back.var["word"].tolist() == cells.var["symbol"].tolist()
    named = back.X.toarray() > 0
    assert (named.sum(axis=1) == 40).all()
    r = stats.pearsonr(back.X.toarray()[named], cells.X[named]).statistic
    assert r == pytest.approx(cells.uns["cell_sentence"]["line"]["pearson"], abs=1e-6)


def test_text_with_an_anndata_uses_its_line_and_vocabulary(cells):
    from_text = tm.tl.sentences_to_expression(tm.get.cell_sentences(cells), cells)
    back = tm.tl.sentences_to_expression(cells)
    np.testing.assert_array_equal(from_text.X.toarray(), back.X.toarray())
    assert from_text.var_names.tolist() == cells.var_names.tolist()
    assert from_text.obs_names.tolist() == cells.obs_names.tolist()


def test_another_line_can_be_given_for_an_anndata(cells):
    flat = tm.tl.sentences_to_expression(cells, RankLine(slope=0.0, intercept=2.0))
    assert set(np.unique(flat.X.toarray())) == {0, 2}


def test_genes_that_are_gone_since_are_there_again(cells):
    back = tm.tl.sentences_to_expression(cells[:, :10].copy())
    np.testing.assert_array_equal(back.X.toarray(), tm.tl.sentences_to_expression(cells).X.toarray())


def test_what_comes_back_has_its_sentences(cells, tmp_path):
    texts = tm.get.cell_sentences(cells)
    back = tm.tl.sentences_to_expression(texts, cells)
    back.write_h5ad(tmp_path / "back.h5ad")
    read = ad.read_h5ad(tmp_path / "back.h5ad")
    assert tm.get.cell_sentences(read).tolist() == texts.tolist()
    assert read.uns["cell_sentence"]["params"]["verb"] == "sentences_to_expression"
    np.testing.assert_array_equal(tm.tl.sentences_to_expression(read).X.toarray(), back.X.toarray())


def test_no_sentences_are_no_cells():
    assert expression([]).shape == (0, 4)


def test_the_sentences_are_left_as_they_were(cells):
    before = cells.copy()
    tm.tl.sentences_to_expression(cells)
    pd.testing.assert_frame_equal(cells.obs, before.obs)
    assert set(cells.uns) == set(before.uns)


def test_a_line_says_how_many_words_were_unknown(caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        expression(["LYZ CD3D LYZ x"])
    assert "1 cells of 4 words, 1 of them unknown and 1 repeated" in caplog.text


def test_words_of_another_vocabulary_warn():
    with pytest.warns(UserWarning, match="3 of 4 words are not in the vocabulary and were left out"):
        expression(["lyz cd3d", "nkg7 LYZ"])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        expression(["lyz LYZ"])


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ((["LYZ"], LINE), ValueError, r"text needs a vocabulary: line=adata, .* or genes="),
        ((["LYZ"], None, GENES), ValueError, "line must be an AnnData with sentences, a RankLine or a dict.*got None"),
        ((["LYZ"], 3.0, GENES), ValueError, "line must be an AnnData with sentences.*got 3.0"),
        ((["LYZ"], {"slope": 1}, GENES), ValueError, "a line needs slope and intercept"),
        ((["LYZ"], LINE, ["LYZ", "LYZ"]), ValueError, "genes 0 and 1 have the same name 'LYZ'"),
        (("LYZ CD3D", LINE, GENES), TypeError, "got one text; put it into a list"),
        (([None], LINE, GENES), TypeError, "sentence 0 is NoneType, not text"),
        ((np.array([[9]]), LINE, GENES), ValueError, "indices from 9 to 9, but the vocabulary has 4 words"),
        ((ad.AnnData(np.ones((1, 1))),), KeyError, r"run pp.cell_sentences\(adata\) first"),
        ((["LYZ"], ad.AnnData(np.ones((1, 1)))), KeyError, r"run pp.cell_sentences\(adata\) first"),
    ],
)
def test_bad_input_is_named(arguments, error, message):
    with pytest.raises(error, match=message):
        tm.tl.sentences_to_expression(*arguments)


def test_a_vocabulary_beside_one_is_refused(cells):
    with pytest.raises(ValueError, match="here the AnnData has one"):
        tm.tl.sentences_to_expression(["G1"], cells, GENES)
