"""Correlation with attention: the statistics of scipy and statsmodels, over cells, inside patients, over patients."""

import functools

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, kendalltau, spearmanr, wilcoxon

import tcellmil as tm
from tcellmil.stats import random_intercept

COLUMNS = [
    *("regulon", "tau", "tau_p", "tau_padj", "rho", "rho_p", "rho_padj"),
    *("tau_within", "tau_within_p", "tau_within_padj", "rho_within", "rho_within_p", "rho_within_padj", "n_patients"),
    *("mixed_coef", "mixed_se", "mixed_p", "mixed_padj", "mixed_status"),
]


def with_attention(fit_of, n_patients=12, slopes=(1.0, 0.0, -1.0), spread=0.0, seed=0):
    """Patients of 20 to 60 cells; activity goes with log attention by ``slopes``, which vary by ``spread``."""
    rng = np.random.default_rng(seed)
    names = np.array([f"P{i:02d}" for i in range(n_patients)])
    patient = np.repeat(np.arange(n_patients), rng.integers(20, 60, n_patients))
    logit = rng.normal(size=len(patient))
    raw = np.exp(logit)
    n_cells, total = np.bincount(patient), np.bincount(patient, raw)
    slope = np.array(slopes) + spread * rng.normal(size=(n_patients, len(slopes)))
    activity = slope[patient] * logit[:, None] + rng.normal(size=(n_patients, len(slopes)))[patient]
    activity += rng.normal(size=activity.shape)
    obs = pd.DataFrame(
        {"patient": names[patient], "tcellmil_attention": raw / total[patient]},
        index=[f"cell{i}" for i in range(len(patient))],
    )
    adata = ad.AnnData(np.ones((len(obs), 1), dtype=np.float32), obs=obs)
    adata.obsm["X_regulons"] = activity.astype(np.float32)
    adata.uns["regulons"] = {"names": np.array([f"TF{i}(+)" for i in range(len(slopes))], dtype=object)}
    adata.uns["tcellmil"] = fit_of(names, n_cells)
    return adata


@pytest.fixture(scope="module")
def attended(fit_of):
    return functools.partial(with_attention, fit_of)


def correlated(adata, **options):
    """The table in the order of the representation."""
    tm.tl.attention_correlation(adata, **options)
    return adata.uns["tcellmil_attention_correlation"]["regulons"]


def test_regulons_that_go_with_attention_are_found_with_their_sign(attended):
    table = correlated(attended()).set_index("regulon")
    for effect, p in [("tau", "tau"), ("rho", "rho"), ("tau_within", "tau_within"), ("mixed_coef", "mixed")]:
        assert table.loc["TF0(+)", effect] > 0.3 and table.loc["TF2(+)", effect] < -0.3
        assert (table.loc[["TF0(+)", "TF2(+)"], f"{p}_padj"] < 0.01).all()
    assert abs(table.loc["TF1(+)", "tau_within"]) < 0.1


def test_over_cells_and_inside_patients_statistics_are_scipys(attended):
    adata = attended()
    table, cells = correlated(adata), tm.get.attention(adata)
    assert table.columns.tolist() == COLUMNS and table["regulon"].tolist() == ["TF0(+)", "TF1(+)", "TF2(+)"]
    for j, row in table.iterrows():
        x, y = adata.obsm["X_regulons"][:, j], cells["relative"].to_numpy()
        tau, rho = kendalltau(x, y, method="asymptotic"), spearmanr(x, y)
        assert row[["tau", "tau_p", "rho", "rho_p"]].tolist() == pytest.approx([*tau, *rho], rel=1e-9)
        inside = [
            (kendalltau(x[rows], y[rows]).statistic, spearmanr(x[rows], y[rows]).statistic)
            for rows in (cells["sample"] == patient for patient in cells["sample"].unique())
        ]
        assert row["n_patients"] == len(inside) == 12
        for name, values in zip(("tau_within", "rho_within"), np.transpose(inside), strict=True):
            assert row[name] == pytest.approx(values.mean())
            assert row[f"{name}_p"] == pytest.approx(wilcoxon(values).pvalue)
    for name in ("tau", "rho", "tau_within", "rho_within", "mixed"):
        np.testing.assert_allclose(table[f"{name}_padj"], false_discovery_control(table[f"{name}_p"]))


def test_mixed_models_are_of_log_relative_attention(attended, assert_same):
    adata = attended()
    expected = random_intercept(
        adata.obsm["X_regulons"], np.log(tm.get.attention(adata)["relative"]), adata.obs["patient"]
    )
    got = correlated(adata)[["mixed_coef", "mixed_se", "mixed_p", "mixed_status"]]
    assert_same(got, expected.add_prefix("mixed_"), rtol=1e-6)


def test_slopes_around_zero_convince_cells_but_not_patients(attended):
    """Why the p-values over patients are those to read."""
    table = correlated(attended(n_patients=20, slopes=np.zeros(60), spread=0.6))
    share = {name: (table[f"{name}_p"] < 0.05).mean() for name in ("tau", "mixed", "tau_within", "rho_within")}
    assert share["tau"] > 0.25 and share["mixed"] > 0.25
    assert share["tau_within"] < 0.15 and share["rho_within"] < 0.15


def test_few_cells_and_constant_regulons_have_no_correlation_of_their_own(attended):
    adata = attended()
    few = adata.obs["patient"].value_counts()
    first = adata.obs["patient"] == few.index[0]
    adata.obsm["X_regulons"][first.to_numpy(), 1] = 0.5
    table = correlated(adata, min_cells=int(few.iloc[-1]) + 1)
    enough = int((few > few.iloc[-1]).sum())
    assert table["n_patients"].tolist() == [enough, enough - 1, enough] and enough < 12


def test_a_constant_regulon_is_reported_and_the_others_are_as_without_it(attended):
    adata = attended()
    alone = correlated(adata)
    adata.obsm["X_regulons"][:, 1] = 0.2
    table = correlated(adata)
    constant = table.iloc[1]
    assert constant["mixed_status"] == "constant" and constant["n_patients"] == 0
    assert constant.drop(["regulon", "mixed_status", "n_patients"]).isna().all()
    same = [name for name in COLUMNS if not name.endswith("padj")]
    pd.testing.assert_frame_equal(table.iloc[[0, 2]][same], alone.iloc[[0, 2]][same])
    tested = false_discovery_control(table["tau_p"].dropna())
    np.testing.assert_allclose(table["tau_padj"].dropna(), tested)


def test_a_singular_mixed_model_keeps_its_estimates(attended):
    adata = attended()
    activity = pd.DataFrame(adata.obsm["X_regulons"].astype(float))
    centred = activity - activity.groupby(adata.obs["patient"].to_numpy()).transform("mean")
    adata.obsm["X_regulons"] = centred.to_numpy().astype(np.float32)
    table = correlated(adata)
    assert (table["mixed_status"] == "singular").all()
    assert table[["mixed_coef", "mixed_se", "mixed_p", "mixed_padj"]].notna().all(axis=None)


def test_without_mixed_models_their_columns_are_left_out(attended):
    adata = attended()
    table = correlated(adata, mixed_model=False)
    assert table.columns.tolist() == COLUMNS[:-5]
    pd.testing.assert_frame_equal(table, correlated(adata)[COLUMNS[:-5]])


def test_cells_without_attention_are_left_out_and_counted(attended, caplog):
    adata = attended()
    gone = adata.obs["patient"] == "P03"
    expected = correlated(adata[~gone].copy())
    adata.obs.loc[gone, "tcellmil_attention"] = np.nan
    with caplog.at_level("INFO", logger="tcellmil"):
        table = correlated(adata)
    sizes = table.set_index("regulon")["tau_within"]
    found = ", ".join(f"{name} {sizes[name]:+.2g}" for name in sizes.abs().sort_values(ascending=False).index)
    assert f"over 11 patients; largest mean tau within a patient: {found}; {gone.sum()} cells have no" in caplog.text
    pd.testing.assert_frame_equal(table, expected)


def test_an_attention_of_zero_counts_as_the_lowest_above(attended):
    adata = attended()
    lowest = adata.obs["tcellmil_attention"].idxmin()
    expected = correlated(adata)
    adata.obs.loc[lowest, "tcellmil_attention"] = 0
    table = correlated(adata)
    assert table["mixed_status"].eq("ok").all()
    np.testing.assert_allclose(table["mixed_coef"], expected["mixed_coef"], atol=0.02)


def test_the_order_of_the_cells_does_not_matter(attended):
    adata = attended()
    shuffled = adata[np.random.default_rng(1).permutation(adata.n_obs)].copy()
    pd.testing.assert_frame_equal(correlated(shuffled), correlated(adata), check_exact=True)


def test_another_representation_and_one_without_names(attended):
    adata = attended()
    adata.obsm["X_pca"] = adata.obsm["X_regulons"][:, :2].copy()
    adata.obsm["scores"] = pd.DataFrame(adata.obsm["X_pca"], index=adata.obs_names, columns=["A", "B"])
    by_default = correlated(adata)
    for use_rep, names in (("X_pca", ["X_pca_0", "X_pca_1"]), ("scores", ["A", "B"])):
        table = correlated(adata, use_rep=use_rep)
        assert table["regulon"].tolist() == names
        assert table["tau"].tolist() == by_default["tau"].tolist()[:2]


def test_only_the_documented_key_is_written_and_it_survives_a_file(attended, tmp_path, assert_same):
    adata = attended()
    adata.obsm["X_regulons"][:, 1] = 0.2  # NaN among the numbers
    before = set(adata.uns)
    result = tm.tl.attention_correlation(adata, copy=True)
    assert set(adata.uns) == before and set(result.uns) - before == {"tcellmil_attention_correlation"}
    assert tm.tl.attention_correlation(adata, key_added="mine") is None
    assert set(adata.uns) - before == {"mine"}
    adata.write_h5ad(tmp_path / "a.h5ad")
    read = ad.read_h5ad(tmp_path / "a.h5ad")
    tables = (a.uns["mine"]["regulons"] for a in (read, adata))
    assert_same(*tables, check_dtype=False)
    adata.uns["other"], adata.obs["other_attention"] = adata.uns["tcellmil"], adata.obs["tcellmil_attention"]
    tm.tl.attention_correlation(adata, key="other", mixed_model=False)
    assert "other_attention_correlation" in adata.uns


def test_a_fitted_cohort_and_new_patients_are_correlated_as_they_come(fitted, make_cohort):
    table = correlated(fitted)
    assert table["regulon"].tolist() == list(fitted.uns["regulons"]["names"])
    assert table.set_index("regulon").loc["TF5(+)", "mixed_status"] == "constant"
    new = make_cohort(n_patients=4, seed=5, prefix="N")
    tm.tl.predict(new, fitted)
    assert correlated(new)["n_patients"].max() == 4


@pytest.mark.parametrize(
    ("change", "options", "error", "message"),
    [
        ({}, {"key": "other"}, KeyError, "adata.uns has no fit 'other'; fits here: "),
        ({}, {"use_rep": "X_umap"}, KeyError, "'X_umap' is not in adata.obsm"),
        ({}, {"min_cells": 2}, ValueError, "min_cells=2 must be at least 3; two cells are always perfectly correlated"),
        (
            {"attention": np.nan},
            {},
            ValueError,
            r"obs\['tcellmil_attention'\] is NaN in all .* no patient was held out",
        ),
        ({"activity": np.nan}, {}, ValueError, r"obsm\['X_regulons'\] holds .* NaN or infinite values .*TF0"),
        ({"patients": 1}, {}, ValueError, r"needs at least two patients, there is \['P00'\]"),
    ],
)
def test_what_cannot_be_answered_is_explained_and_nothing_written(attended, change, options, error, message):
    adata = attended(n_patients=change.get("patients", 4))
    if "attention" in change:
        adata.obs["tcellmil_attention"] = change["attention"]
    if "activity" in change:
        adata.obsm["X_regulons"][0] = change["activity"]
    before = set(adata.uns)
    with pytest.raises(error, match=message):
        tm.tl.attention_correlation(adata, **options)
    assert set(adata.uns) == before


def test_constant_attention_has_nothing_to_correlate_with(attended):
    adata = attended(n_patients=4)
    adata.obs["tcellmil_attention"] = 1 / adata.uns["tcellmil"]["predictions"]["n_cells"].max()
    adata.uns["tcellmil"]["predictions"]["n_cells"] = 8
    with pytest.raises(ValueError, match=rf"attention is the same in all {adata.n_obs} cells"):
        tm.tl.attention_correlation(adata)
