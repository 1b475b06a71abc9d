"""Sentences in an AnnData: whatever holds it, all or nothing, and clear about what cannot be a word."""

import logging
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import tcellmil as tm

PLACE = "X_cell_sentence"


def counts_of(n_cells=40, n_vars=60, seed=0):
    """Counts with a population of genes; most that are expressed have one count."""
    rng = np.random.default_rng(seed)
    counts = rng.poisson(rng.gamma(0.4, 2, n_vars), (n_cells, n_vars)).astype(np.float32)
    counts[:, 0] += 1
    counts[:, 1] += 2
    genes = [f"G{i}" for i in range(n_vars)]
    adata = ad.AnnData(sparse.csr_matrix(counts), var=pd.DataFrame(index=genes))
    adata.obs_names = [f"cell{i}" for i in range(n_cells)]
    return adata


@pytest.fixture
def counts():
    return counts_of()


@pytest.fixture
def logs(counts):
    sc.pp.normalize_total(counts, target_sum=1e4)
    sc.pp.log1p(counts)
    return counts


def unchanged(adata, before):
    assert set(adata.uns) == set(before.uns) and set(adata.obsm) == set(before.obsm)
    assert list(adata.obs) == list(before.obs) and list(adata.var) == list(before.var)
    assert adata.shape == before.shape and (adata.X != before.X).sum() == 0


def words_by_hand(adata, n_genes):
    """Sentences as text, from a table of the values, cell by cell."""
    rows = (row[row > 0].sort_values(ascending=False, kind="stable") for _, row in adata.to_df().iterrows())
    return [" ".join(row.index[:n_genes]) for row in rows]


def test_a_sentence_names_the_highest_genes_in_order(counts):
    assert tm.pp.cell_sentences(counts, n_genes=12) is None
    assert counts.obsm[PLACE].dtype == np.int32 and counts.obsm[PLACE].shape == (40, 12)
    assert tm.get.cell_sentences(counts).tolist() == words_by_hand(counts, 12)


def test_counts_and_logarithms_give_the_same_sentences(counts):
    logs = counts.copy()
    sc.pp.normalize_total(logs, target_sum=1e4)
    sc.pp.log1p(logs)
    for adata in (counts, logs):
        tm.pp.cell_sentences(adata, n_genes=30)
    np.testing.assert_array_equal(counts.obsm[PLACE], logs.obsm[PLACE])
    line, of_logs = (adata.uns["cell_sentence"]["line"] for adata in (counts, logs))
    np.testing.assert_allclose(list(line.values()), list(of_logs.values()), rtol=1e-4)
    assert [adata.uns["cell_sentence"]["params"]["values"] for adata in (counts, logs)] == ["counts", "log"]


def test_the_total_of_a_cell_includes_genes_outside_of_its_sentence(counts):
    tm.pp.cell_sentences(counts, n_genes=5, exclude=["G1"])
    line = counts.uns["cell_sentence"]["line"]
    X = counts.X.toarray()
    values = np.log1p(np.take_along_axis(X, counts.obsm[PLACE], 1) / X.sum(axis=1, keepdims=True) * 1e4)
    expected = np.polyfit(np.tile(np.log10(1 + np.arange(5)), 40), values.ravel(), 1)
    np.testing.assert_allclose([line["slope"], line["intercept"]], expected, rtol=1e-5)


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_what_holds_the_matrix_does_not_matter(counts, kind, tmp_path):
    expected = tm.pp.cell_sentences(counts, n_genes=12, copy=True)
    counts.X = kind(counts.X.toarray())
    tm.pp.cell_sentences(counts, n_genes=12)
    np.testing.assert_array_equal(counts.obsm[PLACE], expected.obsm[PLACE])


@pytest.mark.parametrize("kind", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_a_backed_anndata_is_read_in_blocks_and_not_written(counts, kind, tmp_path, monkeypatch):
    expected = tm.pp.cell_sentences(counts, n_genes=12, copy=True)
    counts.X = kind(counts.X.toarray())
    counts.write_h5ad(tmp_path / "cells.h5ad")
    monkeypatch.setattr("tcellmil._matrix.BLOCK_VALUES", 7 * counts.n_vars)
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    tm.pp.cell_sentences(backed, n_genes=12)
    assert backed.isbacked
    np.testing.assert_array_equal(backed.obsm[PLACE], expected.obsm[PLACE])
    assert backed.uns["cell_sentence"]["line"] == pytest.approx(expected.uns["cell_sentence"]["line"], rel=1e-5)
    assert tm.get.cell_sentences(backed).tolist() == tm.get.cell_sentences(expected).tolist()
    with pytest.raises(ValueError, match="backed by a file; load it into memory first"):
        tm.pp.cell_sentences(backed, n_genes=12, copy=True)
    backed.file.close()
    assert PLACE not in ad.read_h5ad(tmp_path / "cells.h5ad").obsm


@pytest.mark.parametrize("ties", ["stable", "random"])
def test_a_sentence_does_not_depend_on_other_cells(counts, ties):
    whole = tm.pp.cell_sentences(counts, n_genes=30, ties=ties, seed=5, copy=True)
    some = counts[[30, 2, 17]].copy()
    tm.pp.cell_sentences(some, n_genes=30, ties=ties, seed=5)
    np.testing.assert_array_equal(some.obsm[PLACE], whole.obsm[PLACE][[30, 2, 17]])


def test_random_ties_follow_names_and_seed_not_places(counts):
    tm.pp.cell_sentences(counts, n_genes=30, ties="random")
    again = counts[::-1, ::-1].copy()
    del again.obsm[PLACE], again.uns["cell_sentence"]
    tm.pp.cell_sentences(again, n_genes=30, ties="random")
    assert tm.get.cell_sentences(again)[::-1].tolist() == tm.get.cell_sentences(counts).tolist()
    tm.pp.cell_sentences(again, n_genes=30, ties="random", seed=1)
    assert tm.get.cell_sentences(again)[::-1].tolist() != tm.get.cell_sentences(counts).tolist()


def test_results_and_arguments_are_in_the_file(counts, tmp_path):
    counts.var["is_ribosomal"] = np.arange(60) < 3
    tm.pp.cell_sentences(counts, n_genes=12, exclude="is_ribosomal", key_added="top")
    counts.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    np.testing.assert_array_equal(read.obsm["X_top"], counts.obsm["X_top"])
    params = read.uns["top"]["params"]
    assert params["verb"] == "cell_sentences" and params["ties"] == "stable" and params["n_genes"] == 12
    assert params["exclude"].tolist() == ["G0", "G1", "G2"]
    texts = [tm.get.cell_sentences(adata, result_key="top").tolist() for adata in (read, counts)]
    assert texts[0] == texts[1]
    assert set(read.uns["top"]) == {"vocabulary", "line", "density", "params"}


def test_one_line_says_what_was_written(counts, caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.pp.cell_sentences(counts, n_genes=12)
    assert "cell_sentences: 40 sentences of 12 genes (0 are shorter); values are counts, normalised" in caplog.text


EXCLUDED = {"names": ["G0", "G1"], "mask": np.arange(60) < 2, "column": "out", "index": pd.Index(["G0", "G1"])}


@pytest.mark.parametrize("exclude", EXCLUDED.values(), ids=EXCLUDED)
def test_excluded_genes_are_not_named(counts, exclude):
    counts.var["out"] = np.isin(np.arange(60), [0, 1])
    tm.pp.cell_sentences(counts, n_genes=12, exclude=exclude)
    assert tm.get.cell_sentences(counts).tolist() == words_by_hand(counts[:, 2:], 12)


def test_nothing_excluded_is_everything(counts):
    tm.pp.cell_sentences(counts, n_genes=12, exclude=[])
    assert tm.get.cell_sentences(counts).tolist() == words_by_hand(counts, 12)


def test_symbols_are_words_where_names_are_identifiers(counts):
    symbols = counts.var_names.tolist()
    counts.var_names = [f"ENSG{i:011d}" for i in range(60)]
    before = counts.copy()
    with pytest.raises(ValueError, match=r"var_names look like Ensembl identifiers.*put their symbols into a column"):
        tm.pp.cell_sentences(counts, n_genes=12)
    columns = {"chromosome": "chr1", "symbol": [f"x{i}" for i in range(60)], "feature_name": symbols}
    counts.var = counts.var.assign(**columns)
    with pytest.raises(ValueError, match=r"symbols: gene_symbols='feature_name'"):
        tm.pp.cell_sentences(counts, n_genes=12)
    tm.pp.cell_sentences(counts, n_genes=12, gene_symbols="feature_name")
    vocabulary = counts.uns["cell_sentence"]["vocabulary"]
    assert vocabulary["word"].tolist() == symbols and vocabulary["gene"].tolist() == counts.var_names.tolist()
    assert set(tm.get.cell_sentences(counts).iloc[0].split()) <= set(symbols)
    assert "cell_sentence" not in before.uns


def test_names_with_identifiers_behind_them_are_refused_with_a_way_out(counts):
    counts.var_names = [f"HLA-DR{i}_ENSG{i:011d}" for i in range(60)]
    with pytest.raises(ValueError, match=r"look like Ensembl.*var_names.str.replace\(r'_ENS") as error:
        tm.pp.cell_sentences(counts, n_genes=12)
    exec(str(error.value).split("symbols: ")[1], {"adata": counts})
    tm.pp.cell_sentences(counts, n_genes=12)
    assert tm.get.cell_sentences(counts).str.match(r"HLA-DR\d+( HLA-DR\d+)*$").all()


def test_capitals_are_kept_unless_asked_for(counts):
    counts.var_names = [f"Gene{i}" for i in range(60)]
    tm.pp.cell_sentences(counts, n_genes=12)
    assert "Gene1" in tm.get.cell_sentences(counts).iloc[0].split()
    tm.pp.cell_sentences(counts, n_genes=12, case="upper")
    assert "GENE1" in tm.get.cell_sentences(counts).iloc[0].split()


def test_genes_of_two_species_are_not_one_word(counts):
    counts.var_names = [*counts.var_names[:-2], "Actb", "ACTB"]
    before = counts.copy()
    with pytest.raises(ValueError, match="genes 'Actb' and 'ACTB' would be the same word 'ACTB'"):
        tm.pp.cell_sentences(counts, n_genes=12, case="upper")
    unchanged(counts, before)
    tm.pp.cell_sentences(counts, n_genes=12)


def test_cells_without_genes_are_named_or_left_without_a_sentence(counts):
    X = counts.X.toarray()
    X[[3, 8]] = 0
    counts.X = sparse.csr_matrix(X)
    before = counts.copy()
    with pytest.raises(ValueError, match=r"2 of 40 cells express no gene.*\['cell3', 'cell8'\].*empty='drop'"):
        tm.pp.cell_sentences(counts, n_genes=12)
    unchanged(counts, before)
    with pytest.warns(UserWarning, match=r"2 of 40 cells express no gene.*have no sentence: \['cell3', 'cell8'\]"):
        tm.pp.cell_sentences(counts, n_genes=12, empty="drop")
    assert counts.n_obs == 40 and (counts.obsm[PLACE][[3, 8]] == -1).all()
    assert counts.uns["cell_sentence"]["params"]["n_empty"] == 2
    assert tm.get.cell_sentences(counts).loc[["cell3", "cell8"]].tolist() == ["", ""]
    counts.X = sparse.csr_matrix(np.zeros_like(X))
    with pytest.raises(ValueError, match="40 of 40 cells express no gene of the vocabulary"):
        tm.pp.cell_sentences(counts, n_genes=12, empty="drop")


def test_a_cell_with_fewer_genes_has_a_shorter_sentence(counts):
    X = counts.X.toarray()
    X[3, 4:] = 0
    X[3, :4] = [0, 2, 3, 1]
    counts.X = X
    tm.pp.cell_sentences(counts, n_genes=12)
    assert counts.obsm[PLACE][3].tolist() == [2, 1, 3] + 9 * [-1]
    assert tm.get.cell_sentences(counts).loc["cell3"] == "G2 G1 G3"


def negative(adata):
    adata.X = adata.X.toarray() - 1


def missing(adata):
    adata.X = adata.X.toarray()
    adata.X[2, :3] = np.nan


def infinite(adata):
    adata.X.data[5] = np.inf


def repeated_genes(adata):
    adata.var_names = ["G1", *adata.var_names[1:]]


def blank(adata):
    adata.var_names = ["CD4 protein", *adata.var_names[1:]]


def repeated_symbols(adata):
    adata.var["symbol"] = ["A", "A", *adata.var_names[2:]]


def as_it_is(adata):
    pass


@pytest.mark.parametrize(
    ("spoil", "arguments", "error", "message"),
    [
        (negative, {}, ValueError, r"adata.X holds negative values \(smallest -1\), so it is scaled"),
        (missing, {}, ValueError, "adata.X holds 3 NaN or infinite values"),
        (infinite, {}, ValueError, "adata.X holds 1 NaN or infinite values"),
        (repeated_genes, {}, ValueError, r"var_names are not unique: \['G1'\]"),
        (blank, {}, ValueError, r"empty or hold blanks.*\['CD4 protein'\]"),
        (repeated_symbols, {"gene_symbols": "symbol"}, ValueError, "genes 0 and 1 have the same name 'A'"),
        (as_it_is, {"n_genes": 61}, ValueError, "n_genes=61 is more than there are: 60 genes; choose fewer"),
        (as_it_is, {"n_genes": 60, "exclude": ["G1"]}, ValueError, "60 genes, 1 of them excluded"),
        (as_it_is, {"n_genes": 1}, ValueError, "needs a cell that expresses two genes, and n_genes of 2"),
        (as_it_is, {"layer": "counts"}, KeyError, "layer='counts' is not in adata.layers"),
        (as_it_is, {"gene_symbols": "symbol"}, KeyError, "gene_symbols='symbol' is not a column of adata.var"),
        (as_it_is, {"exclude": ["G1", "MALAT1"]}, KeyError, r"exclude names \['MALAT1'\], which are no genes here"),
        (as_it_is, {"exclude": "MALAT1"}, KeyError, r"is not a column of adata.var; .*exclude=\['MALAT1'\]"),
        (as_it_is, {"exclude": np.ones(3, bool)}, ValueError, "exclude has 3 values of bool, but there are 60 genes"),
        (as_it_is, {"exclude": "n"}, ValueError, r"adata.var\['n'\], named by exclude, holds int64, not bool"),
        (as_it_is, {"ties": "any"}, ValueError, "ties='any' is not known"),
        (as_it_is, {"case": "any"}, ValueError, "case='any' is not known"),
        (as_it_is, {"empty": "any"}, ValueError, "empty='any' is not known"),
        (as_it_is, {"seed": -1}, ValueError, "seed=-1 must be a whole number of at least 0"),
        (as_it_is, {"key_added": "a/b"}, ValueError, "files need a name without a slash"),
        (as_it_is, {"key_added": "pca"}, ValueError, r"'X_pca'\] is there, which pp.cell_sentences did not write"),
    ],
)
def test_bad_input_is_named_and_changes_nothing(counts, spoil, arguments, error, message):
    counts.var["n"] = np.arange(60)
    counts.obsm["X_pca"] = np.ones((40, 2))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spoil(counts)
    before = counts.copy()
    with pytest.raises(error, match=message):
        tm.pp.cell_sentences(counts, **{"n_genes": 12} | arguments)
    assert set(counts.uns) == set(before.uns) and set(counts.obsm) == set(before.obsm)


def test_a_mudata_a_view_and_no_cells_are_refused(counts, make_mudata):
    with pytest.raises(TypeError, match=r"adata must be an AnnData, got MuData; pass one of its modalities"):
        tm.pp.cell_sentences(make_mudata())
    with pytest.raises(ValueError, match="adata is a view"):
        tm.pp.cell_sentences(counts[:5], n_genes=12)
    with pytest.raises(ValueError, match="adata has no cells"):
        tm.pp.cell_sentences(counts[:0].copy(), n_genes=12)


def test_a_result_of_another_verb_is_not_replaced(counts):
    counts.uns["tcellmil"] = {"params": {"verb": "fit_mil"}}
    with pytest.raises(ValueError, match=r"holds a result of tl\.fit_mil, which pp\.cell_sentences would replace"):
        tm.pp.cell_sentences(counts, n_genes=2, key_added="tcellmil")


def test_the_line_of_real_counts_explains_nine_tenths(shared_data):
    adata = ad.read_h5ad(shared_data("kang_pbmc_ifnb.h5ad"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tm.pp.cell_sentences(adata, layer="counts")
    assert adata.uns["cell_sentence"]["line"]["r2"] >= 0.9
    tm.pp.cell_sentences(adata, key_added="of_logs")
    assert adata.uns["of_logs"]["line"]["r2"] >= 0.9


def test_the_line_of_real_logarithms_explains_nine_tenths():
    adata = sc.datasets.pbmc68k_reduced().raw.to_adata()
    tm.pp.cell_sentences(adata)
    assert adata.uns["cell_sentence"]["line"]["r2"] >= 0.9
    assert adata.uns["cell_sentence"]["params"]["values"] == "log"


def test_the_line_of_tpm_is_good_at_the_top_only_and_says_so(shared_data):
    adata = ad.read_h5ad(shared_data("melanoma_icb.h5ad"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tm.pp.cell_sentences(adata)
    assert adata.uns["cell_sentence"]["line"]["r2"] >= 0.9
    with pytest.warns(UserWarning, match=r"the line from rank to expression explains little: R² 0\.46"):
        tm.pp.cell_sentences(adata, n_genes=adata.n_vars)
    assert adata.uns["cell_sentence"]["line"]["r2"] == pytest.approx(0.461, abs=0.005)
