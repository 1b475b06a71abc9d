import loompy
import numpy as np
import pandas as pd
import pytest
from anndata import AnnData
from scipy import sparse

import tcellmil as tm


@pytest.fixture
def scored():
    rng = np.random.default_rng(0)
    genes = [f"g{i}" for i in range(40)]
    obs = pd.DataFrame(
        {
            "cell_type": pd.Categorical(["T", "B"] * 15),
            "n": np.arange(30),
            "share": rng.random(30),
            "is_driver": [True, False] * 15,
        },
        index=[f"c{i}" for i in range(30)],
    )
    X = sparse.csr_matrix(rng.poisson(0.7, (30, 40)).astype(np.float32))
    adata = AnnData(X, obs=obs, var=pd.DataFrame({"length": np.arange(40)}, index=genes))
    net = pd.DataFrame({"source": ["A(+)"] * 6 + ["B(-)"] * 6, "target": genes[:6] + genes[4:9] + ["absent"]})
    tm.tl.regulons(adata, net=net, auc_threshold=0.6)
    return adata


def test_results_survive_a_round_trip(scored, tmp_path):
    tm.io.write_scenic_loom(scored, tmp_path / "x.loom")
    back = tm.io.read_scenic_loom(tmp_path / "x.loom")
    assert (back.X != scored.X).nnz == 0
    np.testing.assert_array_equal(back.obsm["X_regulons"], scored.obsm["X_regulons"])
    pd.testing.assert_frame_equal(tm.get.regulons(back), tm.get.regulons(scored))
    assert list(back.obs["cell_type"]) == list(scored.obs["cell_type"])
    np.testing.assert_array_equal(back.obs["share"], scored.obs["share"])
    np.testing.assert_array_equal(back.var["length"], scored.var["length"])
    there = scored.uns["regulons"]["targets"].query("target != 'absent'")
    pd.testing.assert_frame_equal(back.uns["regulons"]["targets"], there.reset_index(drop=True), check_dtype=False)


def test_a_file_that_was_read_scores_as_before(scored, tmp_path):
    tm.io.write_scenic_loom(scored, tmp_path / "x.loom")
    back = tm.io.read_scenic_loom(tmp_path / "x.loom")
    tm.tl.regulons(back, net=back.uns["regulons"]["targets"], auc_threshold=0.6)
    np.testing.assert_array_equal(back.obsm["X_regulons"], scored.obsm["X_regulons"])
    back.write_h5ad(tmp_path / "x.h5ad")


def test_loompy_reads_what_is_written(scored, tmp_path):
    tm.io.write_scenic_loom(scored, tmp_path / "x.loom")
    # Structured attributes are not in the specification of loom: pySCENIC opens its own files without validation too.
    with loompy.connect(str(tmp_path / "x.loom"), validate=False) as file:
        assert list(file.ca.CellID) == list(scored.obs_names)
        assert list(file.ra.Gene) == list(scored.var_names)
        np.testing.assert_array_equal(file[:, :], scored.X.toarray().T)
        assert file.ca.RegulonsAUC.dtype.names == ("A(+)", "B(-)")
        np.testing.assert_array_equal(file.ca.RegulonsAUC["A(+)"], scored.obsm["X_regulons"][:, 0])
        assert file.ra.Regulons["B(-)"].sum() == 5


def test_what_pyscenic_writes_is_read(tmp_path):
    auc = np.array([(0.1, 0.2), (0.3, 0.4), (0.5, 0.6)], dtype=[("X(+)", float), ("Y(+)", float)])
    members = np.array([(1, 0), (1, 1)], dtype=[("X(+)", int), ("Y(+)", int)])
    matrix = np.arange(6.0).reshape(2, 3)
    rows, columns = (
        {"Gene": np.array(["a", "b"]), "Regulons": members},
        {"CellID": np.array(["1", "2", "3"]), "RegulonsAUC": auc},
    )
    loompy.create(str(tmp_path / "x.loom"), matrix, rows, columns, file_attrs={"title": "x"})
    adata = tm.io.read_scenic_loom(tmp_path / "x.loom", key_added="scenic")
    np.testing.assert_array_equal(adata.X.toarray(), matrix.T)
    np.testing.assert_allclose(adata.obsm["X_scenic"], [[0.1, 0.2], [0.3, 0.4], [0.5, 0.6]], rtol=1e-6)
    assert adata.uns["scenic"]["targets"].values.tolist() == [
        ["X(+)", "a", 1.0],
        ["X(+)", "b", 1.0],
        ["Y(+)", "b", 1.0],
    ]


def test_a_real_file_without_regulons_is_read(shared_data):
    adata = tm.io.read_scenic_loom(shared_data("scenicprotocol_expr_mat.loom"))
    assert adata.shape == (100, 8146)
    assert sparse.isspmatrix_csr(adata.X)
    assert (adata.obs["nUMI"] == adata.X.sum(axis=1).A1).all() or (
        adata.obs["nGene"] == (adata.X > 0).sum(axis=1).A1
    ).all()
    assert not adata.uns


def test_bad_input_is_named(scored, tmp_path):
    with pytest.raises(FileNotFoundError, match="does not exist"):
        tm.io.read_scenic_loom(tmp_path / "x.loom")
    (tmp_path / "text.loom").write_text("text")
    with pytest.raises(ValueError, match="not in HDF5 format"):
        tm.io.read_scenic_loom(tmp_path / "text.loom")
    scored.write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(ValueError, match="it lacks"):
        tm.io.read_scenic_loom(tmp_path / "x.h5ad")
    with pytest.raises(KeyError, match="run tl.regulons"):
        tm.io.write_scenic_loom(scored, tmp_path / "x.loom", key="other")
    scored.obs["a/b"] = 1
    with pytest.raises(ValueError, match=r"\['a/b'\] hold a slash"):
        tm.io.write_scenic_loom(scored, tmp_path / "x.loom")
    assert not (tmp_path / "x.loom").exists()
