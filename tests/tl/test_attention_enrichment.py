"""Enrichment finds what is planted, finds nothing where nothing is, and reports what it leaves out."""

import functools

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, kstest

import tcellmil as tm
from tcellmil.stats import signed_rank_by_column

TYPES = ("B", "CD4 T", "CD8 T", "Mono")
SHARES = (0.08, 0.42, 0.3, 0.2)


def with_attention(fit_of, n_patients=24, n_cells=80, log_attention=None, seed=0, key="tcellmil"):
    """Cells with skewed attention that knows nothing of their type, as a fitted model would leave them."""
    rng = np.random.default_rng(seed)
    names = np.array([f"P{i:02d}" for i in range(n_patients)])
    obs = pd.DataFrame(
        {
            "patient": np.repeat(names, n_cells),
            "cell_type": pd.Categorical(rng.choice(TYPES, size=n_patients * n_cells, p=SHARES)),
        },
        index=[f"cell{i}" for i in range(n_patients * n_cells)],
    )
    adata = ad.AnnData(np.ones((len(obs), 1), dtype=np.float32), obs=obs)
    adata.uns[key] = fit_of(names, n_cells, codes=np.arange(n_patients) % 2)
    attend(adata, rng.normal(size=len(obs)), key)
    return adata


def attend(adata, logits, key="tcellmil"):
    raw = pd.Series(np.exp(logits))
    adata.obs[f"{key}_attention"] = (raw / raw.groupby(adata.obs["patient"].to_numpy()).transform("sum")).to_numpy()


def planted(adata, patients, size=1.5, cell_type="CD8 T", seed=1):
    there = (adata.obs["cell_type"] == cell_type) & adata.obs["patient"].isin(patients)
    attend(adata, np.random.default_rng(seed).normal(size=adata.n_obs) + size * there.to_numpy())


@pytest.fixture(scope="module")
def attended(fit_of):
    return functools.partial(with_attention, fit_of)


@pytest.fixture(scope="module")
def enriched_once(attended):
    adata = attended()
    planted(adata, [f"P{i:02d}" for i in range(1, 24, 2)])
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=1_000)
    return adata


@pytest.fixture
def enriched(enriched_once):
    return enriched_once.copy()


def test_an_enrichment_planted_in_half_of_the_patients_is_found(enriched):
    stats = enriched.uns["tcellmil_attention_enrichment"]["stats"].set_index("group")
    assert stats.loc["CD8 T", "padj"] < 0.01 and stats.loc["CD8 T", "median_difference"] > 0
    assert (stats.drop("CD8 T")["mean_excess"] < 0).all()  # attention sums to 1: the others have less
    table = tm.get.attention_enrichment(enriched, groups="CD8 T").reset_index()
    share = (table["padj"] < 0.05).groupby(table["label"]).mean()
    assert share["R"] > 0.8 and share["NR"] == 0
    assert stats.loc["CD8 T", "n_enriched"] == (table["padj"] < 0.05).sum()


@pytest.fixture(scope="module", params=["lognormal", "two kinds of cells"])
def cohorts_without_effect(attended, request):
    """500 cohorts of 24 patients, attention that knows nothing of the groups, in one table."""
    adata = attended(n_patients=12_000, n_cells=30)
    if request.param != "lognormal":
        rng = np.random.default_rng(2)
        attend(adata, 0.2 * rng.normal(size=adata.n_obs) + 1.5 * (rng.random(adata.n_obs) < 0.4))
    tm.tl.attention_enrichment(adata, "cell_type", n_permutations=200)
    return tm.get.attention_enrichment(adata, groups="Mono").reset_index()


def p_of_cohorts(table, column):
    return signed_rank_by_column(table[column].to_numpy().reshape(24, 500))[1]


@pytest.mark.slow
def test_p_over_patients_is_uniform_without_an_effect(cohorts_without_effect):
    assert kstest(p_of_cohorts(cohorts_without_effect, "excess"), "uniform").pvalue > 0.01


@pytest.mark.slow
@pytest.mark.parametrize("cohorts_without_effect", ["two kinds of cells"], indirect=True)
def test_the_difference_of_medians_would_find_effects_that_are_not_there(cohorts_without_effect):
    """Why the test is on the excess."""
    assert (p_of_cohorts(cohorts_without_effect, "excess") < 0.05).mean() < 0.075
    assert (p_of_cohorts(cohorts_without_effect, "difference") < 0.05).mean() > 0.09


def test_columns_follow_from_each_other(enriched):
    table = tm.get.attention_enrichment(enriched).reset_index()
    assert table.columns.tolist() == [
        *("patient", "group", "label", "n_cells", "observed", "null", "difference", "excess", "p", "padj")
    ]
    assert len(table) == 24 * 4
    np.testing.assert_allclose(table["difference"], table["observed"] - table["null"])
    tested = table["p"].notna()
    np.testing.assert_allclose(table.loc[tested, "padj"], false_discovery_control(table.loc[tested, "p"]))
    relative = tm.get.attention(enriched)
    for row in table[tested].sample(10, random_state=0).itertuples():
        cells = (relative["sample"] == row.patient) & (enriched.obs["cell_type"] == row.group)
        assert row.observed == pytest.approx(relative.loc[cells, "relative"].median())
        assert row.n_cells == cells.sum() and row.label == relative.loc[cells, "label"].iloc[0]


def test_statistics_are_those_of_the_excess_over_patients(enriched):
    table = tm.get.attention_enrichment(enriched).reset_index()
    stats = tm.get.attention_enrichment(enriched, "stats").reset_index()
    for row in stats.itertuples():
        rows = table[(table["group"] == row.group) & table["p"].notna()]
        statistic, p = signed_rank_by_column(rows[["excess"]].to_numpy())
        assert (row.statistic, row.p) == (statistic[0], p[0])
        assert row.n_patients == len(rows)
        assert row.mean_difference == pytest.approx(rows["difference"].mean())
        assert row.median_difference == pytest.approx(rows["difference"].median())
        assert row.mean_excess == pytest.approx(rows["excess"].mean())
        paper = signed_rank_by_column(rows[["difference"]].to_numpy())
        assert (row.statistic_difference, row.p_difference) == pytest.approx((paper[0][0], paper[1][0]))
    np.testing.assert_allclose(stats["padj"], false_discovery_control(stats["p"]))


def test_more_cells_do_not_look_like_more_attention(attended):
    """Attention relative to uniform: patients of 20 and of 200 cells have the same medians without an effect."""
    few, many = attended(n_patients=10, n_cells=20), attended(n_patients=10, n_cells=200, seed=1)
    medians = []
    for adata in (few, many):
        tm.tl.attention_enrichment(adata, "cell_type", n_permutations=50)
        medians.append(adata.uns["tcellmil_attention_enrichment"]["patients"]["null"].median())
    assert medians[0] == pytest.approx(medians[1], rel=0.15)


def test_small_groups_are_not_tested_but_permuted(enriched, caplog):
    rare = np.flatnonzero(enriched.obs["patient"] == "P03")[:2]
    enriched.obs["cell_type"] = enriched.obs["cell_type"].cat.add_categories(["rare", "unseen"])
    enriched.obs.iloc[rare, enriched.obs.columns.get_loc("cell_type")] = "rare"
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.attention_enrichment(enriched, "cell_type", n_permutations=100)
    assert "no patient could be tested for ['rare'] (min_cells=3)" in caplog.text
    table = tm.get.attention_enrichment(enriched).reset_index().set_index(["group", "patient"])
    assert table.loc[("rare", "P03"), "n_cells"] == 2
    assert table.loc["rare", ["observed", "null", "difference", "excess", "p", "padj"]].isna().all(axis=None)
    stats = tm.get.attention_enrichment(enriched, "stats")
    assert stats.loc["rare", "n_patients"] == 0 and stats.loc["rare", "n_enriched"] == 0
    assert stats.loc["rare"].drop(["n_patients", "n_enriched"]).isna().all()
    assert stats.drop("rare").notna().all(axis=None) and "unseen" not in stats.index
    tm.tl.attention_enrichment(enriched, "cell_type", n_permutations=100, min_cells=2)
    assert tm.get.attention_enrichment(enriched, "stats", groups="rare")["n_patients"].item() == 1


def test_cells_without_attention_or_group_are_left_out_and_counted(enriched, caplog):
    expected = enriched[(enriched.obs["patient"] != "P02") & (enriched.obs["cell_type"] != "B")].copy()
    enriched.obs.loc[enriched.obs["patient"] == "P02", "tcellmil_attention"] = np.nan
    enriched.obs["cell_type"] = enriched.obs["cell_type"].cat.remove_categories(["B"])
    without = int((enriched.obs["cell_type"].isna() & (enriched.obs["patient"] != "P02")).sum())
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.attention_enrichment(enriched, "cell_type", n_permutations=100)
    assert "80 cells have no attention and are left out" in caplog.text
    assert f"{without} cells have no 'cell_type' and are left out" in caplog.text
    tm.tl.attention_enrichment(expected, "cell_type", n_permutations=100)
    for part in ("patients", "stats"):
        one, other = (a.uns["tcellmil_attention_enrichment"][part] for a in (enriched, expected))
        pd.testing.assert_frame_equal(one, other)


def test_neither_the_order_of_the_cells_nor_the_global_random_state_matter(enriched):
    shuffled = enriched[np.random.default_rng(5).permutation(enriched.n_obs)].copy()
    np.random.seed(9)
    before = np.random.get_state()[1].copy()
    for adata in (enriched, shuffled):
        tm.tl.attention_enrichment(adata, "cell_type", n_permutations=200, seed=3)
    for part in ("patients", "stats"):
        one, other = (a.uns["tcellmil_attention_enrichment"][part] for a in (enriched, shuffled))
        pd.testing.assert_frame_equal(one, other)
    assert np.array_equal(np.random.get_state()[1], before)


@pytest.mark.parametrize("kind", [bool, int, "category", str])
def test_groups_of_any_kind_are_named_as_text(enriched, kind):
    enriched.obs["group"] = (enriched.obs["cell_type"] == "B").astype(kind)
    tm.tl.attention_enrichment(enriched, "group", n_permutations=50)
    names = {int: ["0", "1"]}.get(kind, ["False", "True"])
    assert enriched.uns["tcellmil_attention_enrichment"]["stats"]["group"].tolist() == names
    assert sorted(tm.get.attention_enrichment(enriched, "stats").index) == sorted(names)


def test_only_the_documented_keys_are_written(attended, enriched):
    del enriched.uns["tcellmil_attention_enrichment"]
    before, obs = set(enriched.uns), enriched.obs.copy()
    result = tm.tl.attention_enrichment(enriched, "cell_type", n_permutations=50, copy=True)
    assert set(enriched.uns) == before
    assert set(result.uns) - before == {"tcellmil_attention_enrichment"}
    assert tm.tl.attention_enrichment(enriched, "cell_type", n_permutations=50, key_added="mine") is None
    assert set(enriched.uns) - before == {"mine"}
    pd.testing.assert_frame_equal(enriched.obs, obs)
    other = attended(n_patients=6, key="other")
    tm.tl.attention_enrichment(other, "cell_type", n_permutations=50, key="other")
    assert set(other.uns["other_attention_enrichment"]) == {"patients", "stats", "params"}


def test_tables_survive_a_file(enriched, tmp_path, assert_same):
    enriched.uns["tcellmil"]["predictions"].loc["P00", "label"] = ""  # a patient without a label
    tm.tl.attention_enrichment(enriched, "cell_type", n_permutations=50, min_cells=9)
    enriched.write_h5ad(tmp_path / "a.h5ad")
    read = ad.read_h5ad(tmp_path / "a.h5ad")
    assert tm.get.attention_enrichment(enriched)["p"].isna().any()
    for part in ("patients", "stats"):
        back, expected = (tm.get.attention_enrichment(a, part) for a in (read, enriched))
        assert_same(back, expected, check_dtype=False)


def test_a_fitted_cohort_is_tested_as_it_comes(fitted):
    tm.tl.attention_enrichment(fitted, "cell_type", n_permutations=50, min_cells=2)
    assert tm.get.attention_enrichment(fitted).reset_index()["patient"].nunique() == 8


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"groupby": "type"}, KeyError, r"groupby='type' is not a column of adata.obs; there are \['patient'"),
        ({"key": "other"}, KeyError, "adata.uns has no fit 'other'; fits here: "),
        ({"n_permutations": 0}, ValueError, "n_permutations=0 must be a whole number of at least 1"),
        ({"min_cells": 0}, ValueError, "min_cells=0 must be a whole number of at least 1"),
        ({"groupby": "same"}, ValueError, r"groupby='same' has 1 groups .*\['x'\]; permuting needs at least two"),
        ({"groupby": "none"}, ValueError, r"groupby='none' has 0 groups among the cells with attention"),
    ],
)
def test_what_cannot_be_answered_is_explained_and_nothing_written(attended, options, error, message):
    adata = attended(n_patients=4)
    adata.obs["same"], adata.obs["none"] = "x", np.nan
    before = set(adata.uns)
    with pytest.raises(error, match=message):
        tm.tl.attention_enrichment(adata, **{"groupby": "cell_type", **options})
    assert set(adata.uns) == before


def test_a_model_that_held_no_patient_out_has_no_attention_to_test(attended):
    adata = attended(n_patients=4)
    adata.obs["tcellmil_attention"] = np.nan
    with pytest.raises(
        ValueError, match=r"obs\['tcellmil_attention'\] is NaN in all 320 cells: no patient was held out"
    ):
        tm.tl.attention_enrichment(adata, "cell_type")
    assert "tcellmil_attention_enrichment" not in adata.uns


def test_a_view_is_refused(attended):
    with pytest.raises(ValueError, match="adata is a view"):
        tm.tl.attention_enrichment(attended(n_patients=4)[:50], "cell_type")
