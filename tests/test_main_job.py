"""The main job on cohorts whose answer is known, and on real patients."""

import anndata as ad
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import tcellmil as tm

pytestmark = pytest.mark.slow


def fitted(effect: float, seed: int = 0, net: pd.DataFrame | None = None, **fit) -> ad.AnnData:
    adata = tm.datasets.pbmc_cohort(effect=effect, seed=seed)
    if net is None:
        with pytest.warns(UserWarning, match="unpruned"):
            tm.tl.regulons(adata)
    else:
        tm.tl.regulons(adata, net=net)
    tm.tl.fit_mil(adata, "patient", "response", "cohort", progress=False, **fit)
    return adata


def metric(adata: ad.AnnData, name: str) -> float:
    return tm.get.metrics(adata).loc[name, "value"]


@pytest.fixture(scope="module")
def planted() -> ad.AnnData:
    return fitted(effect=2, ensemble=False)


def test_planted_effect_is_predicted_out_of_fold(planted):
    assert metric(planted, "auroc") >= 0.9


def test_the_default_predicts_it_too_and_by_attention():
    adata = fitted(effect=2, n_seeds=1)
    assert metric(adata, "auroc") >= 0.9
    weight = tm.get.configurations(adata)["weight"].unstack("configuration").mean()
    assert weight["pca 48, attention"] > 0.9
    tm.tl.perturb(adata)
    effect = tm.get.perturb(adata, "stats")["mean_delta_logit"].abs().groupby("regulon").max()
    assert f"{adata.uns['truth']['tf']}(+)" in effect.nlargest(6).index  # one in ten


def test_attention_separates_driver_cells_from_the_rest_of_a_responder(planted):
    cells = planted.obs[planted.obs["response"] == "R"]
    scores = [
        roc_auc_score(own["is_driver"], own["tcellmil_attention"])
        for _, own in cells.groupby("patient", observed=True)
        if own["is_driver"].nunique() == 2
    ]
    assert len(scores) >= 10
    assert np.mean(scores) >= 0.75


def test_planted_factor_is_among_the_top_three_of_the_perturbation(planted):
    tm.tl.perturb(planted)
    stats = tm.get.perturb(planted, "stats").reset_index()
    effect = stats.groupby("regulon")["mean_delta_logit"].agg(lambda v: v.abs().max())
    assert f"{planted.uns['truth']['tf']}(+)" in effect.nlargest(3).index


def test_planted_factor_explains_most_and_in_the_driver_cells(planted):
    tm.tl.shap(planted, "bag", progress=False)
    additivity = tm.get.shap(planted, "additivity").reset_index()
    change = additivity["output"] - additivity["expected"]
    assert ((additivity["explained"] - change).abs() <= 0.01 * change.abs()).all()

    factor = f"{planted.uns['truth']['tf']}(+)"
    stats = tm.get.shap(planted, "stats")
    assert stats["weighted_abs"].idxmax() == factor
    value = np.abs(planted.obsm["X_tcellmil_shap"][:, stats.index.get_loc(factor)]) * planted.obs["tcellmil_attention"]
    assert value[planted.obs["is_driver"]].sum() > 0.5 * value.sum()


def test_without_an_effect_nothing_is_predicted():
    options = {"training": {"encoder": "shared"}, "n_seeds": 1}
    first = fitted(effect=0, **options)
    # The network knows no label: that of the first cohort serves the others.
    net = first.uns["regulons"]["targets"].rename(columns={"regulon": "source"})
    cohorts = [first, *(fitted(effect=0, seed=s, net=net, **options) for s in range(1, 5))]
    aurocs = [metric(adata, "auroc") for adata in cohorts]
    assert 0.3 <= np.mean(aurocs) <= 0.7


@pytest.fixture(scope="module")
def melanoma(shared_data) -> ad.AnnData:
    adata = ad.read_h5ad(shared_data("melanoma_icb.h5ad"))
    net = pd.read_csv(shared_data("dorothea_hs_abc.csv.gz")).rename(columns={"tf": "source", "mor": "weight"})
    tm.tl.regulons(adata, net=net)
    tm.tl.fit_mil(adata, "sample", "response", training={"encoder": "shared"}, n_seeds=2, progress=False)
    return adata


def test_melanoma_runs_from_a_prior_network_to_patients(melanoma):
    predictions = tm.get.predictions(melanoma)
    assert len(predictions) == 19
    assert predictions["prob_Responder"].between(0, 1).all()
    table = tm.get.metrics(melanoma)
    assert (table["ci_low"] <= table["value"]).all()
    assert (table["value"] <= table["ci_high"]).all()
    assert (table["n"] == 19).all()


@pytest.mark.filterwarnings("ignore:SHAP values miss")
def test_melanoma_runs_through_every_explanation(melanoma, tmp_path):
    tm.tl.shap(melanoma, "cell", n_samples=20, key_added="shap_of_cells", progress=False)
    tm.tl.shap(melanoma, "bag", background=500, progress=False)
    tm.tl.attention_enrichment(melanoma, "cell_type", n_permutations=500)
    tm.tl.attention_correlation(melanoma)
    tm.tl.batch_effect(melanoma, "plate", n_init=5)
    tm.tl.attention_stability(melanoma)
    tm.tl.perturb(melanoma)
    top = tm.get.regulators(melanoma).index[:3].tolist()
    tm.tl.perturb(melanoma, regulons=top, combine=2, n_mad=[1, 3], key_added="more")

    n_regulons = melanoma.obsm["X_regulons"].shape[1]
    assert np.isfinite(melanoma.obsm["X_tcellmil_shap"]).all() and np.isfinite(melanoma.obsm["X_shap_of_cells"]).all()
    additivity = tm.get.shap(melanoma, "additivity").reset_index()
    change = additivity["output"] - additivity["expected"]
    assert ((additivity["explained"] - change).abs() <= np.maximum(0.01 * change.abs(), 1e-3)).all()
    assert len(tm.get.regulators(melanoma)) == len(tm.get.attention_correlation(melanoma)) == n_regulons
    assert tm.get.attention_enrichment(melanoma).reset_index()["patient"].nunique() > 10
    assert set(tm.get.batch_effect(melanoma).reset_index()["representation"]) == {"X_pca", "X_regulons"}
    assert tm.get.attention_stability(melanoma).reset_index()["spearman"].between(-1, 1).all()
    assert len(tm.get.perturb(melanoma, "pair_stats", result_key="more")) == 3 * 2 * 2

    melanoma.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    for draw in (
        lambda: tm.pl.shap(back, show=False),
        lambda: tm.pl.attention_enrichment(back, show=False),
        lambda: tm.pl.attention_correlation(back, show=False),
        lambda: tm.pl.regulators(back, show=False),
        lambda: tm.pl.perturb(back, show=False),
        lambda: tm.pl.perturb_dose(back, result_key="more", show=False),
        lambda: tm.pl.batch_effect(back, show=False),
        lambda: tm.pl.attention_stability(back, show=False),
        lambda: tm.pl.regulons(back, n_top=30, show=False),
    ):
        assert np.ravel(draw())[0].has_data()
    plt.close("all")
