"""Ranking databases in the first version of feather: the reader of Arrow ends the process on damaged ones."""

import re
import warnings

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture
def ranks():
    rng = np.random.default_rng(0)
    table = pd.DataFrame(np.argsort(rng.random((7, 30)), axis=1).astype(np.int16)).rename(columns=lambda i: f"GENE{i}")
    table.insert(0, "features", [f"motif {'ä' * i}" for i in range(7)])
    return table


@pytest.fixture
def path(ranks, tmp_path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranks.to_feather(tmp_path / "old.rankings.feather", version=1)
    assert (tmp_path / "old.rankings.feather").read_bytes().startswith(b"FEA1")
    return tmp_path / "old.rankings.feather"


def test_what_arrow_writes_is_read(ranks, path):
    expected = ranks.set_index("features")
    pd.testing.assert_frame_equal(tm.io.read_rankings(path), expected, check_index_type=False)


@pytest.mark.parametrize("text", ["string", "large_string"])
def test_text_with_short_and_long_offsets_is_read(ranks, tmp_path, text):
    import pyarrow
    from pyarrow import feather

    table = pyarrow.Table.from_pandas(ranks)
    features = table["features"].cast(getattr(pyarrow, text)())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        feather.write_feather(table.set_column(0, "features", features), tmp_path / "x.feather", version=1)
    assert tm.io.read_rankings(tmp_path / "x.feather").index.tolist() == ranks["features"].tolist()


@pytest.mark.parametrize("dtype", ["i1", "i4", "i8", "u1", "u2", "u4"])
def test_whole_numbers_of_every_size_are_read(ranks, tmp_path, dtype):
    ranks = ranks.astype(dict.fromkeys(ranks.columns[1:], dtype))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ranks.to_feather(tmp_path / "x.feather", version=1)
    assert (tm.io.read_rankings(tmp_path / "x.feather").to_numpy() == ranks.iloc[:, 1:].to_numpy()).all()


def test_a_real_database_is_read_as_arrow_reads_it(shared_data):
    from pyarrow import feather

    path = shared_data("cistarget_hg19_5motifs.rankings.feather")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        expected = feather.read_feather(path).set_index("features")
    pd.testing.assert_frame_equal(tm.io.read_rankings(path), expected, check_index_type=False)


def test_every_byte_that_changes_gives_ranks_or_an_error(path, ranks):
    data = path.read_bytes()
    n_refused = 0
    for place in range(0, len(data), 3):
        for value in (0, 255):
            damaged = bytearray(data)
            damaged[place] = value
            path.write_bytes(damaged)
            try:
                assert tm.io.read_rankings(path).shape[0] == len(ranks)
            except ValueError as error:
                assert str(path) in str(error)
                n_refused += 1
    assert n_refused > 50


@pytest.mark.parametrize("n", [1, 4, 9, 100, 1_000])
def test_a_file_that_is_cut_off_is_refused(path, n):
    path.write_bytes(path.read_bytes()[:-n])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is not a feather file, or is damaged or incomplete"):
        tm.io.read_rankings(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda table: table.rename(columns={"features": "x"}), "is not a ranking database"),
        (lambda table: table.assign(GENE0=0.5), "a database of scores is a different file"),
        (lambda table: table.assign(GENE0="x"), "is not a ranking database"),
        (lambda table: table.assign(GENE0=-1), r"has ranks below 0, the first of motif 'motif '"),
        (lambda table: table.assign(features="m"), r"names motifs more than once: \['m'\]"),
        (lambda table: table.assign(GENE0=pd.array([None, *range(6)], dtype="Int32")), "has missing values"),
    ],
)
def test_what_is_no_ranking_is_named(ranks, tmp_path, change, message):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        change(ranks).to_feather(tmp_path / "x.feather", version=1)
    with pytest.raises(ValueError, match=rf"x.feather .*{message}"):
        tm.io.read_rankings(tmp_path / "x.feather")


def test_the_limit_holds(path):
    with pytest.raises(ValueError, match="expands to more than 300 bytes"):
        tm.io.read_rankings(path, max_bytes=300)
