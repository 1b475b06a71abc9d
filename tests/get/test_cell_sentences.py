"""Text and data sets of sentences."""

import sys

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture
def written():
    X = np.array([[3, 1, 0, 2], [0, 0, 0, 0], [1, 5, 1, 0]], dtype=np.float32)
    obs = pd.DataFrame({"age": [30, 40, 50], "weight": [1.5, 2.0, np.nan]})
    obs["cell_type"] = pd.Categorical(["T", "B", None])
    adata = ad.AnnData(X, obs=obs.set_axis(["c0", "c1", "c2"]), var=pd.DataFrame(index=["CD3D", "LYZ", "NKG7", "IL7R"]))
    with pytest.warns(UserWarning, match="1 of 3 cells"):
        tm.pp.cell_sentences(adata, n_genes=3, empty="drop")
    return adata


TEXTS = ["CD3D IL7R LYZ", "", "LYZ CD3D NKG7"]


def test_text_is_held_by_arrow_and_named_by_cell(written):
    texts = tm.get.cell_sentences(written)
    assert texts.tolist() == TEXTS and texts.index.tolist() == ["c0", "c1", "c2"] and texts.name == "sentence"
    assert texts.dtype == "string[pyarrow]"


def test_text_is_there_without_pyarrow(written, monkeypatch):
    monkeypatch.setattr("tcellmil.get._cell_sentences.find_spec", lambda name: None)
    texts = tm.get.cell_sentences(written)
    assert texts.tolist() == TEXTS and texts.dtype == "string[python]"


def test_text_is_that_of_the_genes_that_there_were(written):
    part = written[["c2", "c0"], ["IL7R", "LYZ"]]
    assert tm.get.cell_sentences(part).tolist() == [TEXTS[2], TEXTS[0]]


@pytest.mark.parametrize(
    ("spoil", "error", "message"),
    [
        (
            lambda a: a.uns.pop("cell_sentence"),
            KeyError,
            r"uns has no 'cell_sentence'; run pp.cell_sentences\(adata\) first",
        ),
        (lambda a: a.uns.update(cell_sentence=3), KeyError, r"uns\['cell_sentence'\] holds no sentences; run pp"),
        (lambda a: a.obsm.pop("X_cell_sentence"), KeyError, "obsm has no 'X_cell_sentence'; run pp.cell_sentences"),
        (lambda a: a.obsm.update(X_cell_sentence=np.full((3, 2), 4)), ValueError, "from 4 to 4, .* has 4 words"),
    ],
)
def test_what_is_not_there_is_named(written, spoil, error, message):
    spoil(written)
    with pytest.raises(error, match=message):
        tm.get.cell_sentences(written)


def test_another_key_is_named_in_the_call(written):
    with pytest.raises(KeyError, match=r"run pp.cell_sentences\(adata, key_added='other'\) first"):
        tm.get.cell_sentences(written, result_key="other")


@pytest.fixture
def dataset():
    pytest.importorskip("datasets")
    return tm.get.cell_sentence_dataset


def test_a_data_set_has_a_row_for_each_sentence(written, dataset):
    table = dataset(written, ["cell_type", "age", "weight"])
    assert table[0] == {"cell": "c0", "sentence": TEXTS[0], "cell_type": "T", "age": 30, "weight": 1.5}
    assert table[1] == {"cell": "c2", "sentence": TEXTS[2], "cell_type": None, "age": 50, "weight": None}
    assert table.num_rows == 2
    assert dataset(written).column_names == ["cell", "sentence"]
    assert dataset(written, "age").column_names == ["cell", "sentence", "age"]


def test_a_fingerprint_is_of_data_arguments_and_version(written, dataset, monkeypatch):
    columns = ["cell_type", "age"]
    first = dataset(written, columns)._fingerprint
    assert dataset(written, columns)._fingerprint == first
    again = written.copy()
    tm.pp.cell_sentences(again, n_genes=3, empty="drop")  # at another time
    assert dataset(again, columns)._fingerprint == first
    others = [dataset(written, "age"), dataset(written, columns[::-1])]
    again.obs["age"] += 1
    others.append(dataset(again, columns))
    again = written.copy()
    again.obsm["X_cell_sentence"][0, 0] = 1
    others.append(dataset(again, columns))
    again = written.copy()
    again.uns["cell_sentence"]["params"]["layer"] = "counts"
    others.append(dataset(again, columns))
    monkeypatch.setattr("tcellmil.get._cell_sentences.version", lambda name: "99")
    others.append(dataset(written, columns))
    fingerprints = [first, *(other._fingerprint for other in others)]
    assert len(set(fingerprints)) == len(fingerprints) == 7


def test_what_was_mapped_before_is_not_served_for_changed_sentences(written, dataset, tmp_path):
    def count(row):
        return {"n": len(row["sentence"].split())}

    def mapped():
        return dataset(written).map(count, cache_file_name=None)["n"]

    assert list(mapped()) == [3, 3]
    written.obsm["X_cell_sentence"][0, 1:] = -1
    assert list(mapped()) == [1, 3]


def test_a_backed_anndata_gives_the_same_data_set(written, dataset, tmp_path):
    written.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    assert dataset(backed, "cell_type").to_dict() == dataset(written, "cell_type").to_dict()
    backed.file.close()


def test_columns_that_cannot_go_along_are_named(written, dataset):
    with pytest.raises(KeyError, match="columns='tissue' is not a column of adata.obs"):
        dataset(written, "tissue")
    written.obs["cell"] = 1
    with pytest.raises(ValueError, match=r"columns \['cell'\] would replace those of the data set"):
        dataset(written, ["cell"])


def test_without_the_library_the_command_is_named(written, monkeypatch):
    monkeypatch.setattr("tcellmil.get._cell_sentences.find_spec", lambda name: None)
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(ImportError, match=r'install with: pip install "tcellmil\[c2s\]"'):
        tm.get.cell_sentence_dataset(written)


def test_tables_of_the_line_are_copies(written):
    table = tm.get.rank_expression(written)
    assert table.index.names == ["rank_low", "rank_high", "value_low", "value_high"]
    assert table["n"].sum() == 6
    line = tm.get.rank_expression(written, "line")
    assert line.index.tolist() == ["counts"] and line["n_cells"].item() == 2
    table["n"] = line["slope"] = 0
    assert written.uns["cell_sentence"]["density"]["n"].sum() == 6 and written.uns["cell_sentence"]["line"]["slope"] < 0
    with pytest.raises(ValueError, match="part='lines' is not known"):
        tm.get.rank_expression(written, "lines")
    with pytest.raises(KeyError, match=r"run pp.cell_sentences\(adata, key_added='other'\) first"):
        tm.get.rank_expression(written, result_key="other")
