"""Mean profiles of generated cells against those of real ones."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import tcellmil as tm

TYPES = ["T", "NK", "B"]


def cells(n=90, n_genes=40, seed=0, types=TYPES):
    """Counts of cells, each type with genes of its own."""
    rng = np.random.default_rng(seed)
    rate = np.random.default_rng(7).gamma(0.5, 2, size=(len(TYPES), n_genes)) + 0.05
    of_cell = [types[i % len(types)] for i in range(n)]
    X = rng.poisson(rate[[TYPES.index(name) for name in of_cell]]).astype(np.float32)
    obs = pd.DataFrame({"cell_type": pd.Categorical(of_cell, categories=types)}, index=[f"c{i}" for i in range(n)])
    return ad.AnnData(X, obs=obs, var=pd.DataFrame(index=[f"G{i}" for i in range(n_genes)]))


def in_logs(adata):
    adata = adata.copy()
    sc.pp.normalize_total(adata, target_sum=1e4)
    sc.pp.log1p(adata)
    return adata


@pytest.fixture
def real():
    return cells()


@pytest.fixture
def written():
    return in_logs(cells(20, seed=1, types=["NK", "T"]))


def profiles(adata, names):
    frame = in_logs(adata).to_df().groupby(adata.obs["cell_type"].astype(str).to_numpy()).mean()
    return frame.loc[list(names)].astype(float)


@pytest.mark.parametrize("metric", ["correlation", "euclidean"])
def test_the_table_is_that_of_pandas_and_scanpy(real, written, metric):
    table = tm.get.generated_profiles(written, real, "cell_type", metric=metric)
    one = written.to_df().groupby(written.obs["cell_type"].astype(str).to_numpy()).mean().loc[["NK", "T"]]
    other = profiles(real, TYPES)
    if metric == "correlation":
        expected = np.corrcoef(one, other)[:2, 2:]
    else:
        expected = np.linalg.norm(one.to_numpy()[:, None] - other.to_numpy(), axis=2)
    np.testing.assert_allclose(table[TYPES].to_numpy(dtype=float), expected, rtol=1e-5)
    assert table.index.tolist() == ["NK", "T"] and table.index.name == "generated"
    assert table.columns.tolist() == [*TYPES, "nearest"]
    assert table["nearest"].tolist() == ["NK", "T"]


def test_counts_logs_layers_and_files_of_real_cells_are_the_same(real, written, tmp_path):
    table = tm.get.generated_profiles(written, real, "cell_type")
    others = {"logs": in_logs(real), "sparse": real.copy(), "columns": real.copy(), "layer": in_logs(real)}
    others["sparse"].X, others["columns"].X = sparse.csr_matrix(real.X), sparse.csc_matrix(real.X)
    others["layer"].layers["counts"] = real.X
    others["layer"].X = -others["layer"].X
    others["sparse"].write_h5ad(tmp_path / "real.h5ad")
    others["file"] = ad.read_h5ad(tmp_path / "real.h5ad", backed="r")
    for name, other in others.items():
        layer = "counts" if name == "layer" else None
        found = tm.get.generated_profiles(written, other, "cell_type", layer=layer)
        pd.testing.assert_frame_equal(found, table, rtol=1e-5, obj=name)
    others["file"].file.close()


def test_counts_are_normalised_over_all_genes_not_the_shared_ones(real, written):
    few = written[:, ["G7", "G3", "G5", "G20"]].copy()
    table = tm.get.generated_profiles(few, real, "cell_type", metric="euclidean")
    one = few.to_df().groupby(few.obs["cell_type"].astype(str).to_numpy()).mean().loc[["NK", "T"]]
    other = profiles(real, TYPES)[few.var_names]
    expected = np.linalg.norm(one.to_numpy()[:, None] - other.to_numpy(), axis=2)
    np.testing.assert_allclose(table[TYPES].to_numpy(dtype=float), expected, rtol=1e-4)


def test_the_order_of_cells_and_genes_does_not_matter(real, written):
    table = tm.get.generated_profiles(written, real, "cell_type")
    rng = np.random.default_rng(0)
    other = real[rng.permutation(real.n_obs)][:, rng.permutation(real.n_vars)].copy()
    pd.testing.assert_frame_equal(tm.get.generated_profiles(written, other, "cell_type"), table)


def test_cells_against_themselves_are_nearest_to_themselves(real):
    table = tm.get.generated_profiles(real, real, "cell_type", metric="euclidean")
    np.testing.assert_allclose(np.diag(table[TYPES].astype(float)), 0, atol=1e-9)
    assert table["nearest"].tolist() == table.index.tolist()


def test_genes_are_matched_by_the_words_of_the_sentences(real, written):
    table = tm.get.generated_profiles(written, real, "cell_type")
    other = real.copy()
    other.var["symbol"] = other.var_names.to_numpy()
    other.var_names = [f"id-{i}" for i in range(other.n_vars)]
    tm.pp.cell_sentences(other, n_genes=10, gene_symbols="symbol", empty="drop")
    pd.testing.assert_frame_equal(tm.get.generated_profiles(written, other, "cell_type"), table)


def test_what_tl_generate_cells_writes_is_compared():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    adata.obs["bulk_labels"] = adata.obs["cell_type"]
    tm.pp.cell_sentences(adata, n_genes=20)
    model = tm.model.C2S.from_scratch(adata, size={"hidden_size": 16})
    asked = {"cell_type": ["CD19+ B", "CD34+"] * 2}
    generated = tm.tl.generate_cells(model, 4, asked, progress=False)
    table = tm.get.generated_profiles(generated, adata, "bulk_labels", generated_groupby="cell_type")
    assert table.index.tolist() == ["CD19+ B", "CD34+"]
    assert table.columns.tolist() == [*adata.obs["cell_type"].cat.categories, "nearest"]


def test_cells_without_a_group_are_left_out(real, written):
    few = real.copy()
    few.obs["cell_type"] = few.obs["cell_type"].where(np.arange(90) < 60)
    table = tm.get.generated_profiles(written, real[:60].copy(), "cell_type")
    pd.testing.assert_frame_equal(tm.get.generated_profiles(written, few, "cell_type"), table)


def test_few_shared_genes_are_said(real, written):
    few = real[:, :10].copy()
    with pytest.warns(UserWarning, match="of 40 genes of generated, 10 are in adata; profiles are of these only"):
        tm.get.generated_profiles(written, few, "cell_type")


def test_columns_and_genes_that_are_not_there_are_named(real, written):
    with pytest.raises(
        KeyError, match=r"groupby='louvain' is not a column of generated.obs; there are \['cell_type'\]"
    ):
        tm.get.generated_profiles(written, real, "louvain")
    with pytest.raises(KeyError, match="groupby='louvain' is not a column of adata.obs"):
        tm.get.generated_profiles(written, real, "louvain", generated_groupby="cell_type")
    with pytest.raises(KeyError, match="generated_groupby='type' is not a column of generated.obs"):
        tm.get.generated_profiles(written, real, "cell_type", generated_groupby="type")
    with pytest.raises(KeyError, match="layer='counts' is not in adata.layers"):
        tm.get.generated_profiles(written, real, "cell_type", layer="counts")
    with pytest.raises(ValueError, match="metric='cosine' is not known; choose from 'correlation', 'euclidean'"):
        tm.get.generated_profiles(written, real, "cell_type", metric="cosine")
    real.var_names = [f"ENSG{i}" for i in range(real.n_vars)]
    with pytest.raises(ValueError, match=r"share 0 genes; generated has \['G0', .*, adata \['ENSG0'"):
        tm.get.generated_profiles(written, real, "cell_type")


def test_values_that_have_no_profile_are_refused(real, written):
    negative, empty, twice = written.copy(), written.copy(), written.copy()
    negative.X = -negative.X
    with pytest.raises(ValueError, match="of the generated cells, adata.X holds negative values"):
        tm.get.generated_profiles(negative, real, "cell_type")
    empty.X = np.zeros_like(empty.X)
    message = r"the mean profile of generated \['NK', 'T'\] is the same for all 40 shared genes"
    with pytest.raises(ValueError, match=message):
        tm.get.generated_profiles(empty, real, "cell_type")
    assert np.isfinite(tm.get.generated_profiles(empty, real, "cell_type", metric="euclidean")["B"]).all()
    twice.var_names = ["G0", *twice.var_names[:-1]]
    with pytest.raises(ValueError, match=r"names of genes of generated are not unique: \['G0'\]"):
        tm.get.generated_profiles(twice, real, "cell_type")


def test_groups_that_cannot_be_columns_are_refused(real, written):
    real.obs["cell_type"] = real.obs["cell_type"].cat.rename_categories({"B": "nearest"})
    with pytest.raises(ValueError, match="a real group is named 'nearest', as the column of the result is; rename it"):
        tm.get.generated_profiles(written, real, "cell_type")
    real.obs["cell_type"] = pd.Series([None] * 90, index=real.obs_names, dtype=object)
    with pytest.raises(ValueError, match="groupby='cell_type' has no values; no cell has a group"):
        tm.get.generated_profiles(written, real, "cell_type")
