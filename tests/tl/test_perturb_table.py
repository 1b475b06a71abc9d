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


def test_the_deviation_of_the_patient_may_move_what_the_global_one_cannot(fitted):
    fitted.obsm["X_regulons"][fitted.obs["patient"] == "P2", 5] = np.linspace(0.1, 0.4, 15)
    tm.tl.perturb(fitted, regulons=["TF5(+)"])
    assert len(fitted.uns["tcellmil_perturbation"]["patients"]) == 0
    tm.tl.perturb(fitted, regulons=["TF5(+)"], mad="patient")
    assert set(fitted.uns["tcellmil_perturbation"]["patients"]["patient"]) == {"P2"}
    assert (fitted.uns["tcellmil_perturbation"]["stats"]["n_patients"] == 1).all()


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
