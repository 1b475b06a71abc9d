"""The main job on cohorts whose answer is known, and on real patients."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import tcellmil as tm


def fitted(effect: float, seed: int = 0, **fit) -> ad.AnnData:
    adata = tm.datasets.pbmc_cohort(effect=effect, seed=seed)
    with pytest.warns(UserWarning, match="unpruned"):
        tm.tl.regulons(adata)
    tm.tl.fit_mil(adata, "patient", "response", "cohort", progress=False, **fit)
    return adata


def metric(adata: ad.AnnData, name: str) -> float:
    return tm.get.metrics(adata).set_index("metric").loc[name, "value"]


@pytest.fixture(scope="module")
def planted() -> ad.AnnData:
    return fitted(effect=2)


def test_planted_effect_is_predicted_out_of_fold(planted):
    assert metric(planted, "auroc") >= 0.9


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
    stats = tm.get.perturbation(planted, stats=True)
    effect = stats.groupby("regulon")["mean_delta_logit"].agg(lambda v: v.abs().max())
    assert f"{planted.uns['truth']['tf']}(+)" in effect.nlargest(3).index


def test_planted_factor_explains_most_and_in_the_driver_cells(planted):
    tm.tl.shap(planted, "bag", progress=False)
    additivity = tm.get.shap(planted, "additivity")
    change = additivity["output"] - additivity["expected"]
    assert ((additivity["explained"] - change).abs() <= 0.01 * change.abs()).all()

    factor = f"{planted.uns['truth']['tf']}(+)"
    stats = tm.get.shap(planted, "stats").set_index("regulon")
    assert stats["weighted_abs"].idxmax() == factor
    value = np.abs(planted.obsm["X_shap"][:, stats.index.get_loc(factor)]) * planted.obs["tcellmil_attention"]
    assert value[planted.obs["is_driver"]].sum() > 0.5 * value.sum()


def test_without_an_effect_nothing_is_predicted():
    aurocs = [metric(fitted(effect=0, seed=seed, encoder="shared"), "auroc") for seed in range(5)]
    assert 0.3 <= np.mean(aurocs) <= 0.7


def test_melanoma_runs_from_a_prior_network_to_patients(shared_data):
    adata = ad.read_h5ad(shared_data("melanoma_icb.h5ad"))
    net = pd.read_csv(shared_data("dorothea_hs_abc.csv.gz")).rename(columns={"tf": "source", "mor": "weight"})
    tm.tl.regulons(adata, net=net)
    tm.tl.fit_mil(adata, "sample", "response", encoder="shared", progress=False)
    predictions = tm.get.predictions(adata)
    assert len(predictions) == 19
    assert predictions["prob_Responder"].between(0, 1).all()
    table = tm.get.metrics(adata)
    assert (table["ci_low"] <= table["value"]).all()
    assert (table["value"] <= table["ci_high"]).all()
    assert (table["n"] == 19).all()
