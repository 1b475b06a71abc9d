"""SHAP values on the embedded cohort, whose answer is known: do they add up, and do they find what was planted?"""

import argparse
import time

import numpy as np
import pandas as pd

import tcellmil as tm


def run(effect: float, seed: int, levels: list[str]) -> list[dict]:
    adata = tm.datasets.pbmc_cohort(effect=effect, seed=seed)
    tm.tl.regulons(adata)
    tm.tl.fit_mil(adata, "patient", "response", "cohort", progress=False)
    rows = []
    for level in levels:
        start = time.perf_counter()
        tm.tl.shap(adata, level, progress=False)
        row = {"effect": effect, "seed": seed, "level": level, "seconds": time.perf_counter() - start}
        rows.append(row | measured(adata))
    return rows


def measured(adata) -> dict:
    table = tm.get.shap(adata, "additivity").reset_index()
    change = (table["output"] - table["expected"]).abs()
    stats = tm.get.shap(adata, "stats")["weighted_abs"]
    planted = f"{adata.uns['truth']['tf']}(+)"
    column = stats.index.get_loc(planted)
    weight = adata.obs["tcellmil_attention"].to_numpy() * np.abs(adata.obsm["X_tcellmil_shap"][:, column])
    driver = adata.obs["is_driver"].to_numpy()
    return {
        "place of TF": int(stats.rank(ascending=False)[planted]),
        "share in drivers": weight[driver].sum() / weight.sum(),
        "driver cells": driver.mean(),
        "worst sum": ((table["explained"] - (table["output"] - table["expected"])).abs() / change).max(),
        "error of range": adata.uns["tcellmil_shap"]["params"]["additivity_error"],
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--effects", type=float, nargs="+", default=[2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--levels", nargs="+", default=["bag", "cell"])
    arguments = parser.parse_args()
    rows = [row for e in arguments.effects for seed in arguments.seeds for row in run(e, seed, arguments.levels)]
    print(pd.DataFrame(rows).round(4).to_string(index=False))
