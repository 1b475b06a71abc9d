"""Quality filter: the paper's thresholds, on counts, in place or on a copy, and harmless when it fails."""

import logging
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

import tcellmil as tm

N_GENES = 12_000


@pytest.fixture
def counts():
    """Cells named after what is wrong with them: two mitochondrial genes, then ordinary ones."""
    matrix = np.zeros((6, N_GENES), dtype=np.float32)
    matrix[:, 2:502] = 2  # 500 genes, 1,000 counts
    matrix[0, 0] = 100  # 9% of 1,100
    matrix[1, :2] = 150  # 23% of 1,300
    matrix[2, 302:] = 0  # 300 genes: the lowest number that stays
    matrix[3, 301:] = 0  # 299
    matrix[4, 2:10_002] = 1  # 10,000: the highest that stays
    matrix[5, 2:10_003] = 1  # 10,001
    genes = ["MT-ND1", "MT-CO1", *(f"G{i}" for i in range(N_GENES - 2))]
    cells = ["good", "mito", "low_ok", "low", "high_ok", "high"]
    return ad.AnnData(matrix, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))


def _assert_unchanged(adata: ad.AnnData, before: ad.AnnData) -> None:
    assert adata.shape == before.shape
    pd.testing.assert_frame_equal(adata.obs, before.obs)
    pd.testing.assert_frame_equal(adata.var, before.var)
    assert (adata.X != before.X).sum() == 0


@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array])
def test_default_thresholds_are_those_of_the_paper_and_inclusive(counts, container):
    counts.X = container(counts.X)
    assert tm.pp.qc(counts) is None
    assert counts.obs_names.tolist() == ["good", "low_ok", "high_ok"]
    assert counts.obs["n_genes_by_counts"].tolist() == [501, 300, 10_000]
    np.testing.assert_allclose(counts.obs["pct_counts_mt"], [100 / 1100 * 100, 0, 0], rtol=1e-6)


def test_copy_leaves_the_original_as_it_was(counts):
    before = counts.copy()
    changed = tm.pp.qc(counts, copy=True)
    assert changed.n_obs == 3 and not changed.is_view
    _assert_unchanged(counts, before)


def test_layers_and_embeddings_follow_the_cells(counts):
    counts.layers["double"] = counts.X * 2
    counts.obsm["X_index"] = np.arange(6)[:, None]
    counts.raw = counts.copy()
    tm.pp.qc(counts)
    assert counts.obsm["X_index"].ravel().tolist() == [0, 2, 4]
    np.testing.assert_array_equal(counts.layers["double"], counts.X * 2)
    assert counts.raw.X.shape[0] == 3


def test_counts_come_from_the_layer_that_is_named(counts):
    counts.layers["counts"] = counts.X.copy()
    counts.X = counts.X - 1
    tm.pp.qc(counts, layer="counts")
    assert counts.obs_names.tolist() == ["good", "low_ok", "high_ok"]


@pytest.mark.parametrize("base", [None, 2])
def test_log_values_give_the_same_cells_with_a_warning(counts, base):
    import scanpy as sc

    expected = tm.pp.qc(counts, copy=True)
    sc.pp.normalize_total(counts, target_sum=1e4)
    sc.pp.log1p(counts, base=base)
    with pytest.warns(UserWarning, match="adata.X does not hold counts; it is taken as log") as record:
        tm.pp.qc(counts)
    assert record[0].filename == __file__  # the warning points at the caller
    assert counts.obs_names.tolist() == expected.obs_names.tolist()
    np.testing.assert_allclose(counts.obs["pct_counts_mt"], expected.obs["pct_counts_mt"], rtol=1e-4)


def test_values_that_no_natural_logarithm_has_are_refused(counts):
    """log2(TPM + 1) reaches 20 and more: read as a natural logarithm, that is a billion counts."""
    linear = counts.X / counts.X.sum(axis=1, keepdims=True) * 1e6
    linear[:, 100] += 2e6
    counts.X = np.log2(linear + 1)
    before = counts.copy()
    with (
        warnings.catch_warnings(),
        pytest.raises(
            ValueError,
            match=r"taken as log\(1 \+ x\) to base 2.718 a cell would have .* counts, which no cell has.*base=2",
        ),
    ):
        warnings.simplefilter("error")
        tm.pp.qc(counts)
    _assert_unchanged(counts, before)


def test_the_base_can_be_given(counts):
    expected = tm.pp.qc(counts, copy=True)
    counts.X = np.log2(counts.X + 1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tm.pp.qc(counts, base=2)
    np.testing.assert_allclose(counts.obs["pct_counts_mt"], expected.obs["pct_counts_mt"], rtol=1e-4)


@pytest.mark.parametrize("base", [1, 0.5, np.inf, "2", np.nan])
def test_what_is_no_base_is_refused(counts, base):
    with pytest.raises(ValueError, match="base=.* must be the base of a logarithm, above 1"):
        tm.pp.qc(counts, base=base)


def test_symbols_are_read_from_a_column(counts):
    expected = tm.pp.qc(counts, copy=True)
    counts.var["feature_name"] = pd.Categorical(counts.var_names)
    counts.var_names = [f"ENSG{i:011d}" for i in range(N_GENES)]
    tm.pp.qc(counts, gene_symbols="feature_name")
    pd.testing.assert_frame_equal(counts.obs, expected.obs)


def test_genes_by_cells_are_recognised(counts):
    with pytest.raises(ValueError, match="2 obs_names begin with .*, and no gene: this is genes x cells; transpose it"):
        tm.pp.qc(counts.T.copy())


def test_half_precision_does_not_overflow(counts):
    """Sums of counts above 65,504 are infinite in half precision."""
    counts.X = (counts.X * 100).astype(np.float16)
    tm.pp.qc(counts)
    assert counts.obs_names.tolist() == ["good", "low_ok", "high_ok"]


def test_indices_out_of_range_are_refused(counts):
    counts.X = sparse.csr_matrix(counts.X)
    counts.X.indices[3] = N_GENES
    with pytest.raises(ValueError, match="it has a value in column 12000, which does not exist"):
        tm.pp.qc(counts)


def test_a_table_in_obsm_keeps_its_names(counts):
    counts.obsm["X_scores"] = pd.DataFrame({"A(+)": np.arange(6.0)}, index=counts.obs_names)
    tm.pp.qc(counts)
    assert counts.obsm["X_scores"]["A(+)"].tolist() == [0, 2, 4]


@pytest.mark.filterwarnings("error:.*does not hold counts")
def test_log_values_need_no_warning_where_no_gene_is_mitochondrial(counts):
    counts.X = np.log1p(counts.X)
    with pytest.warns(UserWarning, match="no gene name begins with"):
        tm.pp.qc(counts, mito_prefix="chrM")
    assert counts.obs_names.tolist() == ["good", "mito", "low_ok", "high_ok"]


def test_linear_values_need_no_warning(counts):
    counts.X = counts.X * 100.5  # counts per something: within a cell still proportional to counts
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        tm.pp.qc(counts)
    assert counts.obs_names.tolist() == ["good", "low_ok", "high_ok"]


def test_integer_matrices_are_counts(counts):
    counts.X = sparse.csr_matrix(counts.X.astype(np.int32))
    tm.pp.qc(counts)
    assert counts.n_obs == 3


def test_no_mitochondrial_gene_warns_and_leaves_the_percentage_unknown(counts):
    with pytest.warns(
        UserWarning, match=r"no gene name begins with 'chrM'.*'MT-ND1', 'MT-CO1', 'G0', \.\.\. 11997 more"
    ):
        tm.pp.qc(counts, mito_prefix="chrM")
    assert counts.obs["pct_counts_mt"].isna().all()
    assert "mito" in counts.obs_names


def test_mouse_names_count_as_mitochondrial(counts):
    counts.var_names = ["mt-Nd1", "mt-Co1", *counts.var_names[2:]]
    tm.pp.qc(counts)
    assert "mito" not in counts.obs_names


def test_says_in_one_line_how_many_cells_failed_each_filter(counts, caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.pp.qc(counts)
    assert caplog.messages == [
        "qc: removed 3 of 6 cells "
        "(1 with over 15% mitochondrial counts, 1 with under 300 genes, 1 with over 10,000 genes)"
    ]


def test_all_cells_failing_is_an_error_and_nothing_is_written(counts):
    before = counts.copy()
    with pytest.raises(
        ValueError, match="none of the 6 cells would be left: 1 with over 15%.* 6 with under 11,000 genes"
    ):
        tm.pp.qc(counts, min_genes=11_000, max_genes=12_000)
    _assert_unchanged(counts, before)


def test_stored_zeros_are_not_detected_genes(counts):
    matrix = sparse.csr_matrix(counts.X)
    matrix.data[matrix.indptr[2]] = 0  # one of the 300 genes of this cell
    counts.X = matrix
    tm.pp.qc(counts)
    assert counts.obs_names.tolist() == ["good", "high_ok"]


def test_empty_cells_go(counts):
    counts.X[0] = 0
    tm.pp.qc(counts)
    assert counts.obs_names.tolist() == ["low_ok", "high_ok"]


@pytest.mark.parametrize(
    ("value", "message"), [(-1, "negative values .smallest -1"), (np.nan, "1 NaN or inf"), (np.inf, "1 NaN or inf")]
)
@pytest.mark.parametrize("container", [np.asarray, sparse.csr_matrix])
def test_impossible_values_are_an_error_and_nothing_is_written(counts, container, value, message):
    counts.X[0, 5] = value
    counts.X = container(counts.X)
    with pytest.raises(ValueError, match=message):
        tm.pp.qc(counts)
    assert counts.n_obs == 6 and counts.obs.columns.empty


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"max_mito": 150}, ValueError, "max_mito=150 must be a percentage"),
        ({"min_genes": 500, "max_genes": 100}, ValueError, "min_genes=500 must be between 0 and max_genes=100"),
        ({"layer": "raw"}, KeyError, "layer='raw' is not in adata.layers"),
    ],
)
def test_arguments_out_of_range_raise(counts, arguments, error, message):
    with pytest.raises(error, match=message):
        tm.pp.qc(counts, **arguments)


@pytest.mark.parametrize("container", [np.asarray, np.asfortranarray, sparse.csr_matrix, sparse.csc_array])
@pytest.mark.parametrize("transform", [np.rint, np.log1p])
@pytest.mark.filterwarnings("ignore:adata.X does not hold counts")
def test_blocks_of_cells_give_the_bits_of_the_whole(container, transform, monkeypatch):
    matrix = transform(np.random.default_rng(0).gamma(0.3, 3, (31, 40))).astype(np.float32)
    whole, blocks = (ad.AnnData(container(matrix)) for _ in range(2))
    for adata in (whole, blocks):
        adata.var_names = [f"MT-{i}" if i < 6 else f"G{i}" for i in range(40)]
    tm.pp.qc(whole, max_mito=100, min_genes=0)
    monkeypatch.setattr("tcellmil._matrix.BLOCK_VALUES", 3 * 40)  # 10 blocks of 3 cells and one of a single cell
    monkeypatch.setattr("tcellmil.pp._qc.CELLS", 3)
    tm.pp.qc(blocks, max_mito=100, min_genes=0)
    pd.testing.assert_frame_equal(blocks.obs, whole.obs, check_exact=True)


def test_stored_zeros_stay_in_the_matrix(counts):
    matrix = sparse.csr_matrix(counts.X)
    matrix.data[::7] = 0
    counts.X, before = matrix, matrix.copy()
    tm.pp.qc(counts, min_genes=0, max_genes=N_GENES, max_mito=100)
    assert (counts.X.nnz, (counts.X != before).nnz) == (before.nnz, 0)


def test_without_cells_there_is_nothing_to_filter():
    with pytest.raises(ValueError, match="adata has no cells"):
        tm.pp.qc(ad.AnnData(np.ones((0, 5), dtype=np.float32)))


def test_a_view_is_refused(counts):
    with pytest.raises(ValueError, match="view"):
        tm.pp.qc(counts[:4])


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0, 100, allow_subnormal=False), st.integers(0, 20), st.integers(20, 40))
def test_a_cell_stays_if_and_only_if_it_passes_every_filter(seed, max_mito, min_genes, max_genes):
    matrix = np.random.default_rng(seed).poisson(0.5, (30, 40))
    adata = ad.AnnData(matrix.astype(np.float32))
    adata.var_names = [f"MT-{i}" if i < 6 else f"G{i}" for i in range(40)]
    percent = 100 * matrix[:, :6].sum(axis=1) / np.maximum(matrix.sum(axis=1), 1)
    detected = (matrix > 0).sum(axis=1)
    expected = (percent <= max_mito + 1e-4) & (detected >= min_genes) & (detected <= max_genes)
    borderline = np.abs(percent - max_mito) < 1e-3
    if not expected.any() or borderline.any():
        return
    tm.pp.qc(adata, max_mito=max_mito, min_genes=min_genes, max_genes=max_genes)
    assert adata.obs_names.tolist() == [str(i) for i in np.flatnonzero(expected)]
