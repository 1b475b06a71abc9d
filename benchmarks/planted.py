"""The embedded cohort, whose answer is known: prediction, attention and perturbation against the truth."""

import argparse
import time

import numpy as np
import pandas as pd
from sklearn.metrics import roc_auc_score

import tcellmil as tm


def run(effect: float, seed: int) -> dict:
    start = time.perf_counter()
    adata = tm.datasets.pbmc_cohort(effect=effect, seed=seed)
    tm.tl.regulons(adata)
    tm.tl.fit_mil(adata, "patient", "response", "cohort", progress=False)
    tm.tl.perturb(adata)
    row = {"effect": effect, "seed": seed, "auroc": tm.get.metrics(adata).loc["auroc", "value"]}
    row["driver attention"] = driver_attention(adata)
    row["rank of TF"] = rank_of_planted(adata)
    row["seconds"] = time.perf_counter() - start
    return row


def driver_attention(adata) -> float:
    """AUROC of attention for driver cells against the rest of a responder's cells, the mean over responders."""
    obs = adata.obs[adata.obs["response"] == "R"]
    scores = [
        roc_auc_score(cells["is_driver"], cells["tcellmil_attention"])
        for _, cells in obs.groupby("patient", observed=True)
        if cells["is_driver"].nunique() == 2
    ]
    return float(np.mean(scores)) if scores else np.nan


def rank_of_planted(adata) -> float:
    """Place of the planted factor's regulon by its largest absolute mean change in logit."""
    stats = tm.get.perturb(adata, "stats").reset_index()
    effect = stats.groupby("regulon")["mean_delta_logit"].agg(lambda v: v.abs().max())
    planted = [name for name in effect.index if name.split("(")[0] == adata.uns["truth"]["tf"]]
    return float(effect.rank(ascending=False)[planted].min())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effects", type=float, nargs="+", default=[0, 1, 2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    arguments = parser.parse_args()
    table = pd.DataFrame([run(effect, seed) for effect in arguments.effects for seed in arguments.seeds])
    print(table.round(2).to_string(index=False))
    print(table.groupby("effect").mean().drop(columns="seed").round(2).to_string())
