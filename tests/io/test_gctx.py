"""GCTX: samples x genes with their metadata, whole or in part, and files that are something else."""

import h5py
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture
def path(tmp_path):
    """Seven samples of five genes."""
    with h5py.File(tmp_path / "x.gctx", "w") as file:
        file.attrs["version"] = np.bytes_("GCTX1.0")
        file["0/DATA/0/matrix"] = np.arange(35, dtype=np.float64).reshape(7, 5) / 8
        file["0/META/ROW/id"] = [b"780", b"7849", b"2978", b"2049", b"2101"]
        file["0/META/ROW/pr_gene_symbol"] = [b"DDR1", b"PAX8", b"GUCA1A", b"EPHB3", b"-666"]
        file["0/META/ROW/pr_is_lm"] = [b"1", b"0", b"0", b"1", b"-666"]
        file["0/META/COL/id"] = [f"S{i}:A375:DMSO".encode() for i in range(7)]
        file["0/META/COL/pert_dose"] = np.array([10.0, 5, -666, 1, 2, 3, 4])
        file["0/META/COL/n"] = np.arange(7)
        file["0/META/COL/cell_id"] = 7 * [b"A375"]
    return tmp_path / "x.gctx"


def test_matrix_names_and_metadata_are_those_of_the_file(path):
    adata = tm.io.read_gctx(path)
    assert adata.X.dtype == np.float32
    np.testing.assert_array_equal(adata.X, np.arange(35).reshape(7, 5) / 8)
    assert adata.var_names.tolist() == ["780", "7849", "2978", "2049", "2101"]
    assert adata.obs_names.tolist() == [f"S{i}:A375:DMSO" for i in range(7)]
    assert adata.var["pr_gene_symbol"].tolist()[:4] == ["DDR1", "PAX8", "GUCA1A", "EPHB3"]
    assert adata.var["pr_gene_symbol"].isna().tolist() == [False] * 4 + [True]
    np.testing.assert_array_equal(adata.var["pr_is_lm"], [1, 0, 0, 1, np.nan])
    np.testing.assert_array_equal(adata.obs["pert_dose"], [10, 5, np.nan, 1, 2, 3, 4])
    assert adata.obs["n"].dtype.kind == "i" and adata.obs["cell_id"].unique().tolist() == ["A375"]


def test_a_part_is_that_part_of_the_whole_in_the_order_that_was_asked_for(path, monkeypatch):
    monkeypatch.setattr("tcellmil.io._signatures._gctx.STEP", 2)
    whole = tm.io.read_gctx(path)
    genes, samples = ["2049", "780"], [f"S{i}:A375:DMSO" for i in (6, 0, 5, 1, 3)]
    part = tm.io.read_gctx(path, genes=genes, samples=samples)
    pd.testing.assert_frame_equal(part.to_df(), whole[samples, genes].to_df())
    pd.testing.assert_frame_equal(part.obs, whole.obs.loc[samples])
    assert tm.io.read_gctx(path, samples=[]).shape == (0, 5)


def test_what_was_read_is_written_and_read_again(path, tmp_path):
    from anndata import read_h5ad

    tm.io.read_gctx(path).write_h5ad(tmp_path / "x.h5ad")
    assert read_h5ad(tmp_path / "x.h5ad").var["pr_gene_symbol"].isna().sum() == 1


def test_it_is_what_cmappy_reads(path):
    parse_gctx = pytest.importorskip("cmapPy.pandasGEXpress.parse_gctx", reason="cmapPy is not installed")
    expected = parse_gctx.parse(str(path))
    adata = tm.io.read_gctx(path)
    np.testing.assert_array_equal(adata.to_df().T.loc[expected.data_df.index], expected.data_df)
    for own, other in ((adata.obs, expected.col_metadata_df), (adata.var, expected.row_metadata_df)):
        assert set(own) == set(other)
        for column in own:
            values = [table[column].astype(object).fillna("") for table in (own, other)]
            np.testing.assert_array_equal(*values)


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"genes": ["780", "TP53"]}, KeyError, r"genes \['TP53'\] are not in the file, which has 5, such as \['780'"),
        ({"samples": ["S9"]}, KeyError, r"samples \['S9'\] are not in the file, which has 7"),
        ({"genes": ["780", "780"]}, ValueError, r"genes has \['780'\] more than once"),
        ({"max_bytes": 50}, ValueError, "50 bytes"),
    ],
)
def test_what_cannot_be_read_is_named(path, options, error, message):
    with pytest.raises(error, match=message):
        tm.io.read_gctx(path, **options)


def _replace(file, name, value):
    del file[name]
    if value is not None:
        file[name] = value


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda f: _replace(f, "0/META", None), "lacks 0/META"),
        (lambda f: _replace(f, "0/META/COL/id", None), "lacks 0/META/COL/id"),
        (lambda f: _replace(f, "0/META/ROW/id", [b"a", b"b"]), r"ROW/id has shape \(2,\), the matrix has 5 genes"),
        (lambda f: _replace(f, "0/META/ROW/id", 5 * [b"a"]), r"ROW/id names genes more than once, \['a'"),
        (lambda f: _replace(f, "0/DATA/0/matrix", np.arange(5.0)), r"matrix has shape \(5,\)"),
        (lambda f: _replace(f, "0/DATA/0", np.arange(5.0)), "0/DATA/0 is not a group"),
        (lambda f: _replace(f, "0/META/COL", h5py.SoftLink("/0/META/ROW")), "is a link to /0/META/ROW"),
        (lambda f: _replace(f, "0/META", h5py.ExternalLink("other.h5", "/")), "is a link to other.h5:/"),
    ],
)
def test_another_layout_is_named(path, change, message):
    with h5py.File(path, "r+") as file:
        change(file)
    with pytest.raises(ValueError, match=message):
        tm.io.read_gctx(path)


def test_other_files_are_named(tmp_path):
    (tmp_path / "x.gctx").write_text("#1.3\n2\t2\t0\t0\n")
    with pytest.raises(ValueError, match="is not a GCTX file: it is not in HDF5 format"):
        tm.io.read_gctx(tmp_path / "x.gctx")
    with pytest.raises(FileNotFoundError):
        tm.io.read_gctx(tmp_path / "absent.gctx")
