"""At most n cells of a sample, drawn by name and seed, in the order of the table."""

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import tcellmil as tm


def _cells(sizes: dict[str, int], seed: int = 0) -> ad.AnnData:
    sample = np.random.default_rng(seed).permutation(np.repeat(list(sizes), list(sizes.values())))
    obs = pd.DataFrame({"patient": sample}, index=[f"cell{i}" for i in range(len(sample))])
    return ad.AnnData(np.arange(len(sample), dtype=np.float32)[:, None], obs=obs)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.integers(1, 30), min_size=1, max_size=6), st.integers(1, 35), st.integers(0, 2**32 - 1))
def test_each_sample_has_the_smaller_of_its_size_and_n_cells(sizes, n_cells, seed):
    sizes = {f"P{i}": size for i, size in enumerate(sizes)}
    adata = _cells(sizes, seed)
    before = adata.copy()
    assert tm.pp.subsample_bags(adata, "patient", n_cells=n_cells, seed=seed) is None

    assert adata.obs["patient"].value_counts().to_dict() == {p: min(n, n_cells) for p, n in sizes.items()}
    order = before.obs_names.get_indexer(adata.obs_names)
    assert (np.diff(order) > 0).all()  # the cells that stay keep their order
    np.testing.assert_array_equal(adata.X, before.X[order])


def test_which_cells_stay_does_not_depend_on_the_order_of_the_table():
    adata = _cells({"A": 50, "B": 40, "C": 5})
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    kept = [tm.pp.subsample_bags(a, "patient", n_cells=10, copy=True).obs_names for a in (adata, shuffled)]
    assert set(kept[0]) == set(kept[1])
    assert kept[1].tolist() == [name for name in shuffled.obs_names if name in set(kept[0])]


def test_which_cells_stay_does_not_depend_on_other_samples():
    adata = _cells({"A": 50, "B": 40})
    alone = adata[adata.obs["patient"] == "B"].copy()
    kept = tm.pp.subsample_bags(adata, "patient", n_cells=10, copy=True)
    kept_alone = tm.pp.subsample_bags(alone, "patient", n_cells=10, copy=True)
    assert kept_alone.obs_names.tolist() == kept.obs_names[kept.obs["patient"] == "B"].tolist()


def test_seed_decides():
    adata = _cells({"A": 100})
    first, again, other = (tm.pp.subsample_bags(adata, "patient", 20, seed=s, copy=True) for s in (0, 0, 1))
    assert first.obs_names.tolist() == again.obs_names.tolist() != other.obs_names.tolist()


def test_every_cell_is_as_likely_to_stay():
    adata = _cells({"A": 20})
    kept = pd.concat(
        [tm.pp.subsample_bags(adata, "patient", 10, seed=s, copy=True).obs for s in range(200)]
    ).index.value_counts()
    assert len(kept) == 20
    assert kept.between(65, 135).all()  # 100 expected, standard deviation 7


@pytest.mark.parametrize("values", [["A", "B"], [1, 2], pd.Categorical(["A", "B"], categories=["A", "B", "unused"])])
def test_any_kind_of_label_names_a_sample(values):
    adata = ad.AnnData(np.zeros((8, 1), dtype=np.float32))
    adata.obs["patient"] = pd.Series(values).repeat(4).to_numpy() if isinstance(values, list) else values.repeat(4)
    tm.pp.subsample_bags(adata, "patient", n_cells=3)
    assert adata.n_obs == 6


def test_everything_of_a_cell_follows_it():
    adata = _cells({"A": 30, "B": 3})
    adata.obsm["X_index"] = adata.X.copy()
    adata.layers["counts"] = adata.X.copy()
    adata.uns["kept"] = "yes"
    tm.pp.subsample_bags(adata, "patient", n_cells=5)
    np.testing.assert_array_equal(adata.obsm["X_index"], adata.X)
    np.testing.assert_array_equal(adata.layers["counts"], adata.X)
    assert adata.uns["kept"] == "yes"


def test_says_in_one_line_how_many_cells_went(caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.pp.subsample_bags(_cells({"A": 30, "B": 3}), "patient", n_cells=5)
    assert caplog.messages == [
        "subsample_bags: removed 25 of 33 cells; 1 of 2 samples had at most 5 cells and stay whole"
    ]


def test_a_missing_column_is_named():
    adata = _cells({"A": 3})
    with pytest.raises(KeyError, match="sample_key='donor' is not a column of adata.obs; there are .*patient"):
        tm.pp.subsample_bags(adata, "donor")


def test_cells_without_a_sample_are_counted_and_nothing_is_removed():
    adata = _cells({"A": 30})
    adata.obs["patient"] = adata.obs["patient"].where(np.arange(30) > 3)
    with pytest.raises(ValueError, match=r"4 of 30 cells have no sample in adata.obs\['patient'\]"):
        tm.pp.subsample_bags(adata, "patient", n_cells=5)
    assert adata.n_obs == 30


def test_n_cells_below_one_is_an_error():
    with pytest.raises(ValueError, match="n_cells=0 must be a whole number of at least 1"):
        tm.pp.subsample_bags(_cells({"A": 3}), "patient", n_cells=0)


def test_views_and_backed_files_are_refused(tmp_path):
    adata = _cells({"A": 30})
    with pytest.raises(ValueError, match="view"):
        tm.pp.subsample_bags(adata[:10], "patient", n_cells=5)
    adata.write_h5ad(tmp_path / "cells.h5ad")
    backed = ad.read_h5ad(tmp_path / "cells.h5ad", backed="r")
    with pytest.raises(ValueError, match="backed"):
        tm.pp.subsample_bags(backed, "patient", n_cells=5)
    backed.file.close()
