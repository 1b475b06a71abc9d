"""The tables of a perturbation hold together, and their tests are scipy's."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, median_abs_deviation, wilcoxon

import tcellmil as tm


def test_statistics_are_those_of_scipy(fitted):
    tm.tl.perturb(fitted)
    stats = fitted.uns["tcellmil_perturbation"]["stats"].set_index(["regulon", "direction"])
    tested = stats[stats["movable"]]
    groups = fitted.uns["tcellmil_perturbation"]["patients"].groupby(["regulon", "direction"])
    assert len(tested) == len(groups) == 10
    for key, group in groups:
        expected = wilcoxon(group["delta_logit"])
        assert stats.loc[key, "statistic"] == pytest.approx(expected.statistic)
        assert stats.loc[key, "p"] == pytest.approx(expected.pvalue)
        assert stats.loc[key, "mean_delta"] == pytest.approx(group["delta"].mean())
        assert stats.loc[key, "median_delta"] == pytest.approx(group["delta"].median())
        assert stats.loc[key, "mean_delta_logit"] == pytest.approx(group["delta_logit"].mean())
        assert stats.loc[key, "n_patients"] == len(group) == 8
    np.testing.assert_allclose(tested["padj"], false_discovery_control(tested["p"]))
    mad = median_abs_deviation(fitted.obsm["X_regulons"], axis=0)
    np.testing.assert_allclose(stats.xs("up", level="direction")["mad"], mad, rtol=1e-5)


def test_a_regulon_without_deviation_is_unmovable_and_not_without_effect(fitted):
    tm.tl.perturb(fitted)
    stats = fitted.uns["tcellmil_perturbation"]["stats"].set_index("regulon")
    still = stats.loc["TF5(+)"]
    assert not still["movable"].any()
    assert still[["mean_delta", "mean_delta_logit", "statistic", "p", "padj"]].isna().all(axis=None)
    assert (still["mad"] == 0).all() and (still["n_patients"] == 0).all()
    assert stats.drop("TF5(+)")["movable"].all()
    assert "TF5(+)" not in set(fitted.uns["tcellmil_perturbation"]["patients"]["regulon"])


def test_cells_all_the_same_are_moved_by_the_global_spread_only(fitted):
    fitted.obsm["X_regulons"][fitted.obs["patient"] == "P2", 5] = np.linspace(0.1, 0.4, 15)
    tm.tl.perturb(fitted, regulons=["TF5(+)"])
    assert set(fitted.uns["tcellmil_perturbation"]["stats"]["spread"]) == {"sd"}
    assert (fitted.uns["tcellmil_perturbation"]["stats"]["n_patients"] == 8).all()
    tm.tl.perturb(fitted, regulons=["TF5(+)"], mad="patient")
    assert set(fitted.uns["tcellmil_perturbation"]["patients"]["patient"]) == {"P2"}
    assert (fitted.uns["tcellmil_perturbation"]["stats"]["n_patients"] == 1).all()
    assert set(fitted.uns["tcellmil_perturbation"]["stats"]["spread"]) == {"mad"}


@pytest.fixture
def sparse(make_cohort, fit_quickly):
    """The fourth regulon is active in a quarter of the cells, so that its median absolute deviation is 0."""
    adata = make_cohort()
    active = np.arange(adata.n_obs) % 4 == 0
    adata.obsm["X_regulons"][:, 3] = np.where(active, adata.obsm["X_regulons"][:, 3], 0)
    fit_quickly(adata)
    return adata


def test_a_regulon_without_mad_is_shifted_by_standard_deviations(sparse):
    tm.tl.perturb(sparse, n_mad=2)
    stats = tm.get.perturb(sparse, "stats", direction="up").droplevel(["direction", "n_mad"])
    assert stats["spread"].to_dict() == dict.fromkeys(stats.index, "mad") | {"TF3(+)": "sd", "TF5(+)": ""}
    scores = sparse.obsm["X_regulons"]
    assert stats.loc["TF3(+)", "mad"] == 0
    assert stats.loc["TF3(+)", "unit"] == pytest.approx(0.6745 * scores[:, 3].std(), rel=1e-5)
    by_mad = stats["spread"] == "mad"
    np.testing.assert_allclose(stats.loc[by_mad, "unit"], stats.loc[by_mad, "mad"])
    assert stats.loc["TF5(+)", "unit"] == 0 and not stats.loc["TF5(+)", "movable"]
    assert 0.2 < stats.loc["TF3(+)", "unit"] / stats.loc[by_mad, "unit"].median() < 5

    shifted = sparse.copy()
    scores = shifted.obsm["X_regulons"]
    scores[:, 3] = np.clip(scores[:, 3] + 2 * stats.loc["TF3(+)", "unit"], 0, 1)
    shifted.uns = {name: value for name, value in shifted.uns.items() if name != "tcellmil_perturbation"}
    again = tm.get.model(shifted).predict()["prob_R"]
    found = tm.get.perturb(sparse, regulons="TF3(+)", direction="up").reset_index().set_index("patient")["prob"]
    np.testing.assert_allclose(found, again.loc[found.index], atol=1e-6)


def test_the_log_says_which_regulons_are_shifted_otherwise(sparse, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.perturb(sparse)
    assert "for 1 of the regulons, whose MAD is 0, 0.6745 standard deviations stand in its place" in caplog.text
    assert "1 of the regulons cannot be moved, their deviation is 0" in caplog.text


def test_the_spread_of_the_patient_may_be_of_both_kinds(sparse):
    own = (sparse.obs["patient"] == "P2").to_numpy()
    sparse.obsm["X_regulons"][own, 3] = np.linspace(0.1, 0.4, 15)
    tm.tl.perturb(sparse, mad="patient")
    stats = tm.get.perturb(sparse, "stats", direction="up").droplevel(["direction", "n_mad"])
    assert stats.loc["TF3(+)", "spread"] == "mad, sd" and stats.loc["TF3(+)", "n_patients"] == 8
    assert stats.loc["TF3(+)", "mad"] == 0 < stats.loc["TF3(+)", "unit"]


def test_shap_and_perturbation_are_compared_for_a_regulon_without_mad(sparse):
    tm.tl.perturb(sparse)
    tm.tl.shap(sparse, background=60, progress=False)
    tm.tl.attention_correlation(sparse, mixed_model=False)
    table = tm.get.regulators(sparse)
    assert table.loc["TF3(+)", ["effect", "shap_difference"]].notna().all()
    assert table["spread"].to_dict() == {f"TF{i}(+)": "mad" for i in range(5)} | {"TF3(+)": "sd", "TF5(+)": ""}
    assert table.loc["TF5(+)", "reason"] == "cannot be moved"


def test_all_melanoma_regulons_can_be_moved(shared_data):
    adata = ad.read_h5ad(shared_data("melanoma_icb.h5ad"))
    net = pd.read_csv(shared_data("dorothea_hs_abc.csv.gz")).rename(columns={"tf": "source", "mor": "weight"})
    tm.tl.regulons(adata, net=net)
    fit = {"cv": 2, "training": {"max_epochs": 2}, "n_boot": 10, "progress": False}
    tm.tl.fit_mil(adata, "sample", "response", **fit)
    tm.tl.perturb(adata, directions="up", progress=False)
    stats = tm.get.perturb(adata, "stats")
    assert stats["spread"].value_counts().to_dict() == {"sd": 108, "mad": 84}
    assert stats["movable"].all() and stats["mean_delta"].notna().all()
    size = stats.groupby("spread")["unit"].median()
    assert 0.5 < size["sd"] / size["mad"] < 1


def test_epistasis_is_the_change_of_both_minus_the_changes_of_each(fitted):
    tm.tl.perturb(fitted, combine=2, n_mad=[1, 4])
    pairs = fitted.uns["tcellmil_perturbation"]["pairs"]
    by = ["patient", "direction", "n_mad"]
    alone = fitted.uns["tcellmil_perturbation"]["patients"].set_index([*by, "regulon"])
    assert len(pairs) == 10 * 2 * 2 * 8
    for name in ("delta", "delta_logit"):
        members = [
            alone[name].loc[pd.MultiIndex.from_frame(pairs[[*by, member]])] for member in ("regulon_1", "regulon_2")
        ]
        expected = pairs[name].to_numpy() - members[0].to_numpy() - members[1].to_numpy()
        np.testing.assert_allclose(pairs[name.replace("delta", "epistasis")], expected, atol=1e-12)
    assert pairs["epistasis_logit"].abs().max() > 1e-4


def test_statistics_of_pairs_are_those_of_scipy(fitted):
    tm.tl.perturb(fitted, combine=2)
    by = ["regulon_1", "regulon_2", "direction", "n_mad"]
    stats = fitted.uns["tcellmil_perturbation"]["pair_stats"].set_index(by)
    tested = stats[stats["movable"]]
    groups = fitted.uns["tcellmil_perturbation"]["pairs"].groupby(by)
    assert len(stats) == 15 * 2 and len(tested) == len(groups) == 10 * 2
    for key, group in groups:
        expected = wilcoxon(group["epistasis_logit"])
        assert stats.loc[key, "statistic"] == pytest.approx(expected.statistic)
        assert stats.loc[key, "p"] == pytest.approx(expected.pvalue)
        for measure in ("delta", "delta_logit", "epistasis", "epistasis_logit"):
            assert stats.loc[key, f"mean_{measure}"] == pytest.approx(group[measure].mean())
        for measure in ("delta", "epistasis"):
            assert stats.loc[key, f"median_{measure}"] == pytest.approx(group[measure].median())
        assert stats.loc[key, "n_patients"] == len(group) == 8
    np.testing.assert_allclose(tested["padj"], false_discovery_control(tested["p"]))
    assert set(stats["target_class"]) == {"R"}


def test_a_pair_with_an_unmovable_member_is_unmovable(fitted):
    tm.tl.perturb(fitted, regulons=["TF0(+)", "TF1(+)", "TF5(+)"], combine=2)
    stats = fitted.uns["tcellmil_perturbation"]["pair_stats"].set_index("regulon_2")
    still = stats.loc["TF5(+)"]
    assert len(still) == 4 and not still["movable"].any() and (still["n_patients"] == 0).all()
    assert still[["mean_delta", "mean_epistasis", "mean_epistasis_logit", "p", "padj"]].isna().all(axis=None)
    assert stats.loc["TF1(+)", "movable"].all()
    assert set(fitted.uns["tcellmil_perturbation"]["pairs"]["regulon_2"]) == {"TF1(+)"}


def test_tables_of_doses_and_pairs_survive_a_file(fitted, tmp_path, assert_same):
    tm.tl.perturb(fitted, combine=2, n_mad=[1, 3])
    fitted.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    for part in ("patients", "stats", "pairs", "pair_stats"):
        read, written = (a.uns["tcellmil_perturbation"][part] for a in (back, fitted))
        assert_same(read, written)
