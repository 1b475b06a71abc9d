import anndata as ad
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture(scope="module")
def cohort():
    return tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)


def test_the_network_is_written_with_signs_and_survives_the_disk(cohort, tmp_path, assert_same):
    adata = tm.tl.grn(cohort, tf_names=["IRF7", "SPI1"], copy=True)
    assert "grn" not in cohort.uns
    edges = adata.uns["grn"]["edges"]
    assert list(edges.columns) == ["TF", "target", "importance", "rho"]
    assert set(edges.TF) == {"IRF7", "SPI1"}
    assert edges.rho.between(-1, 1).all()
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad").uns["grn"]["edges"]
    assert_same(back.reset_index(drop=True), edges, check_dtype=False)


def test_the_planted_factor_finds_its_targets(cohort):
    adata = tm.tl.grn(cohort, tf_names=["IRF7", "SPI1", "PAX5"], key_added="net", copy=True)
    irf7 = adata.uns["net"]["edges"].query("TF == 'IRF7'").head(15).target
    assert irf7.isin(cohort.uns["truth"]["targets"]).sum() >= 4


def test_a_layer_is_used_when_named(cohort):
    adata = cohort.copy()
    adata.layers["other"] = adata.X[:, ::-1]
    tm.tl.grn(adata, tf_names=["IRF7"], layer="other")
    tm.tl.grn(adata, tf_names=["IRF7"], key_added="x")
    assert not adata.uns["grn"]["edges"].equals(adata.uns["x"]["edges"])


def test_symbols_are_read_from_a_column(cohort):
    adata = ad.AnnData(cohort.X, obs=cohort.obs, var=cohort.var[[]])
    adata.var["feature_name"] = pd.Categorical(adata.var_names)
    adata.var_names = [f"ENSG{i:011d}.1" for i in range(adata.n_vars)]
    with pytest.raises(ValueError, match="but 2 values of adata.var.'feature_name'. are: pass gene_symbols='feature"):
        tm.tl.grn(adata, tf_names=["IRF7", "SPI1"])
    tm.tl.grn(adata, tf_names=["IRF7", "SPI1"], gene_symbols="feature_name")
    expected = tm.tl.grn(cohort, tf_names=["IRF7", "SPI1"], copy=True).uns["grn"]["edges"]
    pd.testing.assert_frame_equal(adata.uns["grn"]["edges"], expected)
    assert adata.uns["grn"]["params"]["gene_symbols"] == "feature_name"


def test_a_set_of_factors_gives_the_network_of_the_list(cohort):
    adata = cohort.copy()
    tm.tl.grn(adata, tf_names={"SPI1", "IRF7", "PAX5"})
    tm.tl.grn(adata, tf_names=["PAX5", "SPI1", "IRF7", "PAX5"], key_added="x")
    pd.testing.assert_frame_equal(adata.uns["grn"]["edges"], adata.uns["x"]["edges"])
    assert list(adata.uns["grn"]["params"]["tf_names"]) == ["IRF7", "PAX5", "SPI1"]


def test_genes_by_cells_are_recognised(cohort):
    adata = ad.AnnData(cohort.X.T.tocsr(), obs=cohort.var[[]], var=cohort.obs[[]])
    with pytest.raises(ValueError, match="2 obs_names are, so this is genes x cells: transpose it"):
        tm.tl.grn(adata, tf_names=["IRF7", "SPI1"])


def test_bad_input_leaves_the_data_untouched(cohort):
    with pytest.raises(KeyError, match="layer='counts' is not in adata.layers"):
        tm.tl.grn(cohort, layer="counts")
    with pytest.raises(ValueError, match="none of 1 transcription factors is among the 765 genes"):
        tm.tl.grn(cohort, tf_names=["Irf7"])
    with pytest.raises(ValueError, match="is a view"):
        tm.tl.grn(cohort[:100], tf_names=["IRF7"])
    assert set(cohort.uns) == {"truth"}
