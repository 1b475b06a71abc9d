"""Cells and the pseudobulks of their conditions, in one embedding."""

import logging

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse

import tcellmil as tm
from tcellmil.metrics import foscttm

SCORES = ["similarity", "closer_bulks", "closer_cells", "foscttm"]


def build(n_donors=5, types=("B", "T"), n_cells=15, n_genes=40, seed=0, noise=1.0):
    rng = np.random.default_rng(seed)
    donor, cell_type = (
        np.repeat(np.arange(n_donors), len(types) * n_cells),
        np.tile(np.repeat(types, n_cells), n_donors),
    )
    profile = np.exp(noise * rng.normal(size=(n_donors, len(types), n_genes)))
    rate = profile[donor, np.searchsorted(types, cell_type)]
    obs = pd.DataFrame({"donor": pd.Categorical([f"D{i}" for i in donor]), "cell_type": cell_type})
    obs.index = [f"cell{i}" for i in rng.permutation(len(obs))]
    adata = ad.AnnData(sparse.csr_matrix(rng.poisson(rate).astype(np.float32)), obs=obs)
    adata.obs["batch"] = np.where(np.arange(len(obs)) % 2, "x", "y")
    adata.obsm["X_log"] = log_expression(adata)
    adata.obsm["X_noise"] = rng.normal(size=(len(obs), 30)).astype(np.float32)
    return adata


def log_expression(data):
    counts = data.X.toarray() if sparse.issparse(data.X) else data.X
    return np.log1p(1e3 * counts / counts.sum(axis=1, keepdims=True))


@pytest.fixture
def adata():
    return build()


CONDITION = ["donor", "cell_type"]


def test_tables_are_of_pairs_and_conditions(adata):
    assert tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4) is None
    result = adata.uns["match_bulk"]
    assert list(result["pairs"]) == [*CONDITION, "cell", *SCORES]
    assert list(result["conditions"]) == [*CONDITION, "n_cells", *SCORES]
    assert len(result["pairs"]) == 40 and len(result["conditions"]) == 10
    assert set(result["conditions"]["n_cells"]) == {11}
    of_cell = adata.obs.loc[result["pairs"]["cell"], CONDITION].astype(str).reset_index(drop=True)
    # Names are stored as object, whatever type of text the pandas in use has.
    pd.testing.assert_frame_equal(result["pairs"][CONDITION], of_cell, check_dtype=False, check_column_type=False)
    means = result["pairs"].groupby(CONDITION)[SCORES].mean()
    np.testing.assert_allclose(result["conditions"].set_index(CONDITION).loc[means.index, SCORES], means)
    assert result["params"]["foscttm"] == pytest.approx(result["pairs"]["foscttm"].mean())
    assert result["params"]["n_features"] == 40 and result["params"]["groupby"].tolist() == CONDITION


@pytest.mark.parametrize("leave_out", [True, False])
def test_the_pseudobulk_of_a_representation_is_its_mean(adata, leave_out):
    tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4, leave_out=leave_out)
    pairs, conditions = adata.uns["match_bulk"]["pairs"], adata.uns["match_bulk"]["conditions"]
    used = adata[~adata.obs_names.isin(pairs["cell"])] if leave_out else adata
    means = pd.DataFrame(used.obsm["X_log"]).groupby([used.obs[c].astype(str).to_numpy() for c in CONDITION]).mean()
    bulks = means.loc[list(conditions[CONDITION].itertuples(index=False, name=None))].to_numpy()
    cells = adata[pairs["cell"]].obsm["X_log"].astype(float)
    np.testing.assert_allclose(pairs["foscttm"], foscttm(cells, bulks, np.repeat(np.arange(10), 4)), atol=1e-9)
    own = np.repeat(bulks, 4, axis=0)
    cosine = (cells * own).sum(axis=1) / np.linalg.norm(cells, axis=1) / np.linalg.norm(own, axis=1)
    np.testing.assert_allclose(pairs["similarity"], cosine, atol=1e-6)


def test_a_model_embeds_cells_and_sums_of_counts_in_one_call(adata):
    seen = []

    def model(data):
        seen.append(data)
        return log_expression(data)

    tm.tl.match_bulk(adata, CONDITION, model=model, n_cells=4, leave_out=False)
    (data,) = seen
    pairs, conditions = adata.uns["match_bulk"]["pairs"], adata.uns["match_bulk"]["conditions"]
    assert data.shape == (50, 40) and sparse.issparse(data.X) and (data.var_names == adata.var_names).all()
    assert data.obs_names[:40].tolist() == pairs["cell"].tolist()
    assert data.obs["is_bulk"].tolist() == [False] * 40 + [True] * 10
    assert data.obs[CONDITION].iloc[40:].to_numpy().tolist() == conditions[CONDITION].to_numpy().tolist()
    np.testing.assert_array_equal(data.X[:40].toarray(), adata[pairs["cell"]].X.toarray())
    first = (adata.obs[CONDITION].astype(str) == conditions[CONDITION].iloc[0]).all(axis=1).to_numpy()
    np.testing.assert_array_equal(data.X[40].toarray(), np.asarray(adata[first].X.sum(axis=0)))
    assert adata.uns["match_bulk"]["params"]["model"].endswith("model")
    expected = foscttm(*np.split(log_expression(data), [40]), np.repeat(np.arange(10), 4))
    np.testing.assert_allclose(pairs["foscttm"], expected, atol=1e-9)


def test_values_that_are_no_counts_are_averaged_and_a_layer_is_read(adata):
    adata.layers["log"] = adata.obsm["X_log"]
    seen = []
    tm.tl.match_bulk(adata, CONDITION, model=lambda a: seen.append(a) or np.asarray(a.X), n_cells=4, layer="log")
    pairs = adata.uns["match_bulk"]["pairs"]
    tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4)
    np.testing.assert_allclose(adata.uns["match_bulk"]["pairs"][SCORES], pairs[SCORES], atol=1e-6)


class Embedder:
    """Something like a model with ``embed``."""

    def embed(self, data):
        return log_expression(data)


def test_an_object_with_embed_is_a_model(adata):
    tm.tl.match_bulk(adata, CONDITION, model=log_expression, n_cells=4)
    first = adata.uns.pop("match_bulk")
    tm.tl.match_bulk(adata, CONDITION, model=Embedder(), n_cells=4)
    pd.testing.assert_frame_equal(adata.uns["match_bulk"]["pairs"], first["pairs"])
    assert adata.uns["match_bulk"]["params"]["model"] == "Embedder"


def test_expression_finds_its_match_and_noise_does_not(adata):
    tm.tl.match_bulk(adata, CONDITION, "X_log")
    assert tm.get.match_bulk(adata)["foscttm"].mean() < 0.1
    tm.tl.match_bulk(adata, CONDITION, "X_noise")
    assert tm.get.match_bulk(adata)["foscttm"].mean() == pytest.approx(0.5, abs=0.06)


def test_noise_finds_a_pseudobulk_that_it_is_part_of(adata):
    tm.tl.match_bulk(adata, CONDITION, "X_noise", leave_out=False)
    assert tm.get.match_bulk(adata)["foscttm"].mean() < 0.2


def test_neither_order_nor_other_conditions_change_what_is_drawn(adata):
    tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4, seed=3)
    order = np.random.default_rng(0).permutation(adata.n_obs)
    shuffled = adata[order].copy()
    tm.tl.match_bulk(shuffled, CONDITION, "X_log", n_cells=4, seed=3)
    pairs = adata.uns["match_bulk"]["pairs"]
    pd.testing.assert_frame_equal(shuffled.uns["match_bulk"]["pairs"], pairs)
    fewer = adata[adata.obs["donor"] != "D0"].copy()
    tm.tl.match_bulk(fewer, CONDITION, "X_log", n_cells=4, seed=3)
    assert fewer.uns["match_bulk"]["pairs"]["cell"].tolist() == pairs.loc[pairs["donor"] != "D0", "cell"].tolist()
    tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4, seed=4)
    assert (adata.uns["match_bulk"]["pairs"]["cell"] != pairs["cell"]).any()


def test_small_and_unknown_conditions_are_left_out_and_counted(adata, caplog):
    adata.obs["cell_type"] = adata.obs["cell_type"].astype(object)
    adata.obs.loc[adata.obs_names[:12], "cell_type"] = None
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4)
    assert "12 cells have no condition and are left out" in caplog.text
    assert "1 conditions have fewer than 5 cells and are left out" in caplog.text
    conditions = adata.uns["match_bulk"]["conditions"]
    assert len(conditions) == 9 and ("D0", "B") not in set(conditions[CONDITION].itertuples(index=False, name=None))


def test_one_column_donor_type_and_batch_and_whole_numbers_will_do(adata):
    tm.tl.match_bulk(adata, "donor", "X_log")
    assert tm.get.match_bulk(adata).index.names == ["donor"]
    tm.tl.match_bulk(adata, [*CONDITION, "batch"], "X_log", n_cells=3)
    assert len(tm.get.match_bulk(adata)) == 20
    adata.obs["plate"] = np.arange(adata.n_obs) % 3
    tm.tl.match_bulk(adata, "plate", "X_log")
    assert tm.get.match_bulk(adata).index.tolist() == ["0", "1", "2"]


def test_the_result_goes_through_a_file(adata, tmp_path, assert_same):
    tm.tl.match_bulk(adata, CONDITION, "X_log", n_cells=4, key_added="other")
    adata.write_h5ad(tmp_path / "a.h5ad")
    back = ad.read_h5ad(tmp_path / "a.h5ad")
    for part in ("conditions", "pairs"):
        table = tm.get.match_bulk(back, part, result_key="other")
        assert_same(table, tm.get.match_bulk(adata, part, result_key="other"), check_dtype=False)


def test_a_copy_leaves_the_original_alone(adata):
    changed = tm.tl.match_bulk(adata, CONDITION, "X_log", copy=True)
    assert "match_bulk" in changed.uns and "match_bulk" not in adata.uns


def spoiled(values, value=np.nan):
    values = values.copy()
    values[3, 1] = value
    return values


@pytest.mark.parametrize(
    ("arguments", "options", "error", "message"),
    [
        ((CONDITION,), {}, ValueError, "say what embeds: use_rep='...', .* one of the two"),
        ((CONDITION, "X_log"), {"model": log_expression}, ValueError, "say what embeds"),
        ((CONDITION, "X_none"), {}, KeyError, "use_rep='X_none' is not in adata.obsm; there are"),
        (("tissue", "X_log"), {}, KeyError, "groupby='tissue' is not a column of adata.obs"),
        (([], "X_log"), {}, ValueError, "groupby is empty"),
        ((["donor", "donor"], "X_log"), {}, ValueError, r"groupby names \['donor'\] more than once"),
        (("cell", "X_log"), {}, ValueError, r"groupby=\['cell'\] is the name of a column of the result"),
        ((CONDITION, "X_log", 15), {}, ValueError, "0 of 10 conditions of .* have at least 16 cells; two are needed"),
        (("one", "X_log"), {}, ValueError, "1 of 1 conditions"),
        ((CONDITION, "X_log", 0), {}, ValueError, "n_cells=0 must be a whole number of at least 1"),
        ((CONDITION, "X_nan"), {}, ValueError, r"obsm\['X_nan'\] holds 1 NaN or infinite values"),
        ((CONDITION, "X_zero"), {}, ValueError, "rows of cells are 0 throughout"),
        ((CONDITION,), {"model": 3}, TypeError, "model must be a function, or have a method embed, got int"),
        ((CONDITION,), {"model": lambda a: None}, TypeError, "model must return numbers.*got object"),
        ((CONDITION,), {"model": lambda a: a.X[:3].toarray()}, TypeError, "here of 110 cells and pseudobulks; got"),
        ((CONDITION,), {"model": log_expression, "layer": "none"}, KeyError, "layer='none' is not in adata.layers"),
        ((CONDITION,), {"model": log_expression, "layer": "nan"}, ValueError, "expression holds 1 NaN or infinite"),
        ((CONDITION,), {"model": lambda a: spoiled(log_expression(a))}, ValueError, "cells holds 1 NaN"),
    ],
)
def test_what_cannot_be_matched_is_named_and_nothing_is_written(adata, arguments, options, error, message):
    adata.obs["one"], adata.obs["cell"] = "same", "same"
    adata.obsm["X_nan"], adata.obsm["X_zero"] = spoiled(adata.obsm["X_log"]), 0 * adata.obsm["X_log"]
    adata.layers["nan"] = spoiled(adata.X.toarray())
    with pytest.raises(error, match=message):
        tm.tl.match_bulk(adata, *arguments, **options)
    assert not adata.uns


def test_a_mudata_is_asked_for_a_modality(make_mudata):
    with pytest.raises(TypeError, match="must be an AnnData, got MuData; pass one of its modalities"):
        tm.tl.match_bulk(make_mudata(), "patient", "X_pca")


def test_real_cells_match_their_sample_and_type_better_than_noise(shared_data):
    adata = ad.read_h5ad(shared_data("kang_pbmc_ifnb.h5ad"))
    columns, of_counts = ["sample_id", "cluster_id"], {"model": log_expression, "layer": "counts"}
    adata.obsm["X_noise"] = np.random.default_rng(0).normal(size=(adata.n_obs, 50))
    tm.tl.match_bulk(adata, columns, **of_counts)
    of_cells = adata.uns["match_bulk"]["params"]["foscttm"]
    tm.tl.match_bulk(adata, columns, "X_noise")
    assert of_cells < 0.2 and adata.uns["match_bulk"]["params"]["foscttm"] == pytest.approx(0.5, abs=0.05)
