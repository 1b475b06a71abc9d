"""Loom files of others: only known members, only what the file itself holds, and no more than it stores."""

import re

import anndata as ad
import h5py
import numpy as np
import pytest

import tcellmil as tm

N_GENES, N_CELLS = 12, 8
FIELDS = np.dtype([("A(+)", "f8"), ("B(+)", "f8")])
ABSENT = object()


def write(path, changes=None, regulons=("",)):
    """A loom file, some of whose members are what ``changes`` says: a value, or a function of the file."""
    rng = np.random.default_rng(0)
    members = {
        "matrix": rng.poisson(1, (N_GENES, N_CELLS)).astype("f4"),
        "row_attrs/Gene": np.array([f"G{i}" for i in range(N_GENES)], "S"),
        "col_attrs/CellID": np.array([f"c{i}" for i in range(N_CELLS)], "S"),
        "col_attrs/share": rng.random(N_CELLS),
    }
    for kind in regulons:
        auc, member = np.zeros(N_CELLS, FIELDS), np.zeros(N_GENES, [("A(+)", "i8"), ("B(+)", "i8")])
        auc["A(+)"] = rng.random(N_CELLS)
        member["A(+)"][:5] = 1
        members |= {f"col_attrs/{kind}RegulonsAUC": auc, f"row_attrs/{kind}Regulons": member}
    with h5py.File(path, "w") as file:
        for name, value in (members | (changes or {})).items():
            if callable(value):
                value(file)
            elif value is not ABSENT:
                file[name] = value
    return path


def test_regulons_by_motifs_and_by_tracks_are_both_read(tmp_path):
    path = write(tmp_path / "x.loom", regulons=("Motif", "Track"))
    adata = tm.io.read_scenic_loom(path)
    assert set(adata.obsm) == {"X_motif_regulons", "X_track_regulons"}
    for key in ("motif_regulons", "track_regulons"):
        table = tm.get.regulons(adata, result_key=key)
        assert list(table.columns) == ["A(+)", "B(+)"] and (table["A(+)"] > 0).all()
        assert adata.uns[key]["targets"]["target"].tolist() == [f"G{i}" for i in range(5)]
    assert set(tm.io.read_scenic_loom(path, key_added="scenic").obsm) == {"X_motif_scenic", "X_track_scenic"}


def test_regulons_without_scores_are_warned_about(tmp_path):
    path = write(tmp_path / "x.loom", {"col_attrs/RegulonsAUC": ABSENT})
    with pytest.warns(UserWarning, match="x.loom has Regulons of the genes, but no RegulonsAUC of the cells: left out"):
        assert not tm.io.read_scenic_loom(path).obsm


def external(file):
    file.create_dataset("matrix", (N_GENES, N_CELLS), "f4", external=[("elsewhere.bin", 0, 4 * N_GENES * N_CELLS)])


def virtual(file):
    layout = h5py.VirtualLayout((N_GENES, N_CELLS), "f4")
    layout[:] = h5py.VirtualSource("elsewhere.h5", "matrix", (N_GENES, N_CELLS))
    file.create_virtual_dataset("matrix", layout)


def undefined(shape, **options):
    return lambda file: file.create_dataset("matrix", shape, "f8", **options)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {"matrix": h5py.ExternalLink("elsewhere.h5", "/matrix")},
            "matrix is a link to elsewhere.h5:/matrix, which",
        ),
        ({"col_attrs/share": h5py.ExternalLink("/etc/passwd", "/")}, "col_attrs/share is a link to /etc/passwd"),
        ({"col_attrs/share": h5py.SoftLink("/row_attrs/Gene")}, "col_attrs/share is a link to /row_attrs/Gene, which"),
        ({"matrix": external}, "matrix keeps its values in other files, elsewhere.bin; they are not followed"),
        ({"matrix": virtual}, "matrix is a virtual dataset, whose values may be in other files"),
        (
            {"matrix": undefined((10**6, 10**6), chunks=(100, 100))},
            "declares 1000000 x 1000000 values of float64",
        ),
        (
            {"matrix": undefined((N_GENES, N_CELLS * 10**4))},
            "declares 12 x 80000 values of float64, but stores 0",
        ),
        ({"matrix": np.zeros((N_GENES, N_CELLS + 1))}, "col_attrs/CellID has 8 values, but the matrix 9"),
        ({"matrix": np.zeros(N_GENES)}, r"matrix has shape \(12,\) and float64; it must be genes x cells"),
        ({"matrix": np.zeros((N_GENES, N_CELLS), "S3")}, "matrix has shape .* it must be genes x cells"),
        ({"matrix": h5py.Empty("f4")}, "matrix holds nothing"),
        ({"col_attrs/share": np.arange(3)}, "col_attrs/share has 3 values, but the matrix 8"),
        ({"col_attrs/share": lambda file: file.create_group("col_attrs/share")}, "col_attrs/share is not a dataset"),
        ({"row_attrs/Gene": np.full(N_GENES, "same", "S4")}, r"Gene names genes more than once, \['same'\]"),
        ({"row_attrs/Gene": np.zeros((N_GENES, 2))}, "row_attrs/Gene has 2 dimensions, not one"),
        ({"row_attrs/Gene": np.full(N_GENES, b"\xff", "S1")}, "is not UTF-8 text"),
        ({"col_attrs/RegulonsAUC": np.zeros(N_CELLS)}, "col_attrs/RegulonsAUC must have one field of numbers"),
        ({"col_attrs/RegulonsAUC": np.zeros(N_CELLS, [("A(+)", "S3")])}, "RegulonsAUC must have one field of numbers"),
        ({"col_attrs/RegulonsAUC": np.zeros(N_CELLS, [("A(+)", "f4", (2,))])}, "must have one field of numbers"),
        (
            {"col_attrs/RegulonsAUC": np.zeros(N_CELLS, [("A(+)", "f4"), ("C(+)", "f4")])},
            r"RegulonsAUC and Regulons differ in the regulons \['B\(\+\)', 'C\(\+\)'\]",
        ),
        (
            {"col_attrs/share": lambda file: file.create_dataset("col_attrs/share", (N_CELLS,), h5py.ref_dtype)},
            "col_attrs/share holds neither numbers nor text",
        ),
    ],
)
def test_what_a_file_must_not_hold_is_named(tmp_path, changes, message):
    path = write(tmp_path / "x.loom", changes)
    with pytest.raises(ValueError, match=rf"^{re.escape(str(path))}.*{message}"):
        tm.io.read_scenic_loom(path)


def test_a_matrix_that_expands_too_far_is_refused(tmp_path):
    def ones(file):
        file.create_dataset("matrix", data=np.ones((N_GENES, N_CELLS)), compression="gzip")

    path = write(tmp_path / "x.loom", {"matrix": ones})
    with pytest.raises(ValueError, match=r"expands to more than 1,000 bytes; .* higher max_bytes"):
        tm.io.read_scenic_loom(path, max_bytes=1_000)
    assert tm.io.read_scenic_loom(path, max_bytes=10_000).X.sum() == N_GENES * N_CELLS


def test_a_file_that_is_cut_off_is_refused(tmp_path):
    path = write(tmp_path / "x.loom")
    path.write_bytes(path.read_bytes()[:-500])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} cannot be read, it is damaged or incomplete"):
        tm.io.read_scenic_loom(path)


@pytest.mark.parametrize("dtype", ["f2", ">f4", ">i8", "u1", "?"])
def test_the_type_of_the_values_does_not_matter(tmp_path, dtype):
    values = np.random.default_rng(1).integers(0, 2, (N_GENES, N_CELLS))
    adata = tm.io.read_scenic_loom(write(tmp_path / "x.loom", {"matrix": values.astype(dtype)}))
    np.testing.assert_array_equal(adata.X.toarray(), values.T)
    assert adata.X.dtype.isnative


def test_embeddings_and_other_members_are_left_out(tmp_path):
    embedding = np.zeros(N_CELLS, [("_X", "f4"), ("_Y", "f4")])
    adata = tm.io.read_scenic_loom(
        write(tmp_path / "x.loom", {"col_attrs/Embedding": embedding, "col_attrs/PCA": np.zeros((N_CELLS, 3))})
    )
    assert list(adata.obs) == ["share"] and isinstance(adata, ad.AnnData)
