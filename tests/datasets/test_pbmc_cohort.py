"""The cohort is real enough to try things on, and its answer is known."""

from functools import cache

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy import sparse
from scipy.stats import rankdata
from sklearn.metrics import roc_auc_score

import tcellmil as tm
from tcellmil.datasets import _pbmc_cohort


@pytest.fixture(scope="module")
def cohort():
    return tm.datasets.pbmc_cohort(effect=2, seed=1)


def _planted(adata: ad.AnnData) -> np.ndarray:
    """Mean log expression of the planted targets, one value per cell."""
    return np.asarray(adata[:, adata.uns["truth"]["targets"]].X.mean(axis=1)).ravel()


def _recovery(adata: ad.AnnData) -> np.ndarray:
    """How early the targets come among the top 5% of a cell's genes: AUCell, with mean ranks for ties."""
    cutoff = round(0.05 * adata.n_vars)
    rank = rankdata(-adata.X.toarray(), axis=1)[:, adata.var_names.get_indexer(adata.uns["truth"]["targets"])]
    return np.maximum(0, cutoff - rank).mean(axis=1)


def test_default_is_24_patients_of_150_cells_of_sparse_log_expression():
    adata = tm.datasets.pbmc_cohort()

    assert adata.shape == (3600, 765)
    assert sparse.issparse(adata.X) and adata.X.format == "csr" and adata.X.dtype == np.float32
    assert adata.X.min() >= 0 and adata.X.max() < np.log1p(1e4)
    assert adata.obs_names.is_unique
    assert adata.obs.columns.tolist() == ["patient", "response", "cohort", "cell_type", "is_driver"]
    assert adata.obs["patient"].value_counts().to_dict() == {f"P{i:02d}": 150 for i in range(1, 25)}


def test_expression_looks_like_the_real_cells(cohort):
    from scanpy.datasets import pbmc68k_reduced

    real = pbmc68k_reduced().raw.to_adata()

    density = cohort.X.nnz / np.prod(cohort.shape), real.X.nnz / np.prod(real.shape)
    assert density[0] == pytest.approx(density[1], abs=0.05)
    gene_means = cohort.X.mean(axis=0).A1, real[:, cohort.var_names].X.mean(axis=0).A1
    assert np.corrcoef(*gene_means)[0, 1] > 0.95
    assert set(cohort.obs["cell_type"]) == set(real.obs["bulk_labels"])


@pytest.mark.parametrize(("n_patients", "n_cohorts"), [(24, 3), (7, 2), (10, 5), (9, 4), (6, 1)])
def test_cohorts_are_of_one_size_and_have_both_classes(n_patients, n_cohorts):
    obs = tm.datasets.pbmc_cohort(n_patients, 30, n_cohorts).obs
    patients = obs.groupby("patient", observed=True)[["response", "cohort"]].first()
    table = pd.crosstab(patients["cohort"], patients["response"])

    assert table.shape == (n_cohorts, 2)
    assert table.to_numpy().min() >= 1
    assert np.ptp(table.sum(axis=1)) <= 1
    assert abs(table["R"].sum() - table["NR"].sum()) <= 1


def test_cohort_and_response_are_independent_beyond_that():
    counts = []
    for seed in range(200):
        patients = _pbmc_cohort._patients(24, 3, np.random.default_rng(seed))
        counts.append((patients.loc[patients["cohort"] == 0, "response"] == "R").sum())
    assert np.mean(counts) == pytest.approx(4, abs=0.3)
    assert len(set(counts)) > 2  # an exact half in every cohort would bias leave-one-out


def test_labels_belong_to_patients(cohort):
    assert (cohort.obs.groupby("patient", observed=True)[["response", "cohort"]].nunique() == 1).all(axis=None)


def test_drivers_are_one_cell_type_of_responders_and_every_patient_has_it(cohort):
    obs = cohort.obs
    of_type = obs["cell_type"] == cohort.uns["truth"]["driver_cell_type"]
    np.testing.assert_array_equal(obs["is_driver"], of_type & (obs["response"] == "R"))
    share = of_type.groupby(obs["patient"], observed=True).mean()
    assert share.min() >= 3 / 150
    assert 0.06 < share.mean() < 0.2


def test_composition_differs_between_patients(cohort):
    share = pd.crosstab(cohort.obs["patient"], cohort.obs["cell_type"], normalize="index")
    binomial = np.sqrt(share.mean() * (1 - share.mean()) / 150)
    assert (share.std() > 1.5 * binomial)[share.mean() > 0.05].all()


@pytest.mark.parametrize(("effect", "lowest", "highest"), [(0, 0.4, 0.6), (1, 0.75, 0.95), (2, 0.95, 1.0)])
def test_effect_sets_how_well_driver_cells_stand_out(effect, lowest, highest):
    auroc = []
    for seed in range(3):
        adata = tm.datasets.pbmc_cohort(effect=effect, seed=seed)
        of_type = adata.obs["cell_type"] == adata.uns["truth"]["driver_cell_type"]
        auroc.append(roc_auc_score((adata.obs["response"] == "R")[of_type], _recovery(adata)[of_type]))
    assert lowest <= np.mean(auroc) <= highest


def test_driver_cells_predict_better_than_the_mean_over_all_cells():
    bulk, driver = [], []
    for seed in range(5):
        adata = tm.datasets.pbmc_cohort(effect=1, seed=seed)
        obs = adata.obs.assign(planted=_planted(adata))
        patients = obs.groupby("patient", observed=True)
        is_responder = patients["response"].first() == "R"
        of_type = obs[obs["cell_type"] == adata.uns["truth"]["driver_cell_type"]]
        bulk.append(roc_auc_score(is_responder, patients["planted"].mean()))
        driver.append(roc_auc_score(is_responder, of_type.groupby("patient", observed=True)["planted"].mean()))
    assert np.mean(driver) > 0.95
    assert np.mean(bulk) < np.mean(driver) - 0.05


def test_effect_zero_plants_nothing(cohort):
    null = tm.datasets.pbmc_cohort(effect=0, seed=1)

    assert not null.obs["is_driver"].any()
    pd.testing.assert_frame_equal(null.obs.drop(columns="is_driver"), cohort.obs.drop(columns="is_driver"))
    rows, genes = (cohort.X != null.X).nonzero()
    truth = cohort.uns["truth"]
    assert set(cohort.var_names[np.unique(genes)]) == {truth["tf"], *truth["targets"]}
    assert cohort.obs["is_driver"].to_numpy()[np.unique(rows)].all()
    assert (cohort.X - null.X).min() >= 0  # the planted change goes up only


def test_without_effect_labels_are_independent_of_every_value(monkeypatch):
    monkeypatch.setattr(_pbmc_cohort, "_real_cells", cache(_pbmc_cohort._real_cells))
    auroc = []
    for seed in range(20):
        adata = tm.datasets.pbmc_cohort(n_patients=16, n_cells=40, effect=0, seed=seed)
        patients = adata.obs.assign(planted=_planted(adata)).groupby("patient", observed=True)
        auroc.append(roc_auc_score(patients["response"].first() == "R", patients["planted"].mean()))
    assert np.mean(auroc) == pytest.approx(0.5, abs=0.1)  # standard error 0.15 / sqrt(20)


def test_network_inference_finds_the_planted_targets(cohort):
    from rustscenic import data, grn

    truth = cohort.uns["truth"]
    tfs = sorted(set(data.tfs("hs")) & set(cohort.var_names))
    assert truth["tf"] in tfs
    assert not set(truth["targets"]) & set(tfs)  # only one regulon carries the change

    others = cohort.var_names.difference([*tfs, *truth["targets"]])[:250]
    found = grn.infer(cohort[:, [*tfs, *truth["targets"], *others]].copy(), tfs, seed=0, verbose=False)
    top = found[found["TF"] == truth["tf"]].nlargest(50, "importance")["target"]
    assert np.isin(truth["targets"], top).mean() > 0.8


def test_targets_go_up_in_real_blood_cells_under_interferon(shared_data):
    kang = ad.read_h5ad(shared_data("kang_pbmc_ifnb.h5ad"))
    truth = tm.datasets.pbmc_cohort(6, 30).uns["truth"]
    counts = kang[:, [truth["tf"], *truth["targets"]]].to_df("counts")
    stimulated = (kang.obs["group_id"] == "stim").to_numpy()
    fold = (counts[stimulated].mean() + 0.02) / (counts[~stimulated].mean() + 0.02)
    assert fold.min() > 1.7


def test_same_seed_gives_the_same_cohort_and_another_seed_another():
    first, again, other = (tm.datasets.pbmc_cohort(6, 40, seed=seed) for seed in (3, 3, 4))
    assert (first.X != again.X).nnz == 0
    pd.testing.assert_frame_equal(first.obs, again.obs)
    assert (first.X != other.X).nnz > 0


def test_generating_leaves_the_global_random_state_alone():
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    tm.datasets.pbmc_cohort(6, 30)
    np.testing.assert_array_equal(np.random.get_state()[1], before)


def test_truth_survives_h5ad(cohort, tmp_path):
    cohort.write_h5ad(tmp_path / "cohort.h5ad")
    read = ad.read_h5ad(tmp_path / "cohort.h5ad")

    truth, expected = read.uns["truth"], cohort.uns["truth"]
    assert truth["tf"] == expected["tf"] == "IRF7"
    assert truth["driver_cell_type"] == expected["driver_cell_type"] == "CD8+ Cytotoxic T"
    assert truth["effect"] == 2.0
    assert list(truth["targets"]) == list(expected["targets"])
    assert set(truth["targets"]) <= set(read.var_names)
    pd.testing.assert_frame_equal(read.obs, cohort.obs)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"n_patients": 5}, "n_patients=5 is too few"),
        ({"n_cells": 29}, "n_cells=29 is too few; a patient needs at least 30"),
        ({"n_cohorts": 0}, "n_cohorts=0 must be between 1 and n_patients // 2 = 12"),
        ({"n_cohorts": 13}, "n_cohorts=13 must be between 1"),
        ({"effect": -0.5}, "effect=-0.5 must be"),
        ({"effect": float("nan")}, "effect=nan must be"),
    ],
)
def test_numbers_out_of_range_raise(arguments, message):
    with pytest.raises(ValueError, match=message):
        tm.datasets.pbmc_cohort(**arguments)


def test_the_share_of_the_driver_type_is_as_requested():
    for share in (0.03, 0.12, 0.3):
        adata = tm.datasets.pbmc_cohort(n_patients=40, n_cells=200, driver_share=share)
        found = (adata.obs["cell_type"] == adata.uns["truth"]["driver_cell_type"]).mean()
        assert abs(found - share) < 0.25 * share + 0.01


@pytest.mark.parametrize("share", [0, 1, -0.1])
def test_a_share_that_is_none_is_refused(share):
    with pytest.raises(ValueError, match=r"driver_share=.* must be between 0 and 1"):
        tm.datasets.pbmc_cohort(driver_share=share)
