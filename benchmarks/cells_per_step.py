"""How many cells of a patient a training step needs: real cohorts and simulated ones, one attention network.

python benchmarks/cells_per_step.py [--data FOLDER] [--jobs 2] [--csv FILE]
"""

import argparse
import logging
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
from _jobs import run_jobs
from real_cohorts import COHORTS, N_FOLDS, SIMULATED, cohort

SIZES = (25, 50, 150)
PLANTED, SEEDS = ("effect 1.0", "effect 1.5", "effect 2, 3% drivers"), range(100, 104)


def run(job: tuple[str, int, str]) -> pd.DataFrame:
    """AUROC with each number of cells on one cohort, by representation."""
    name, seed, folder = job
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    import tcellmil as tm
    from tcellmil.comparison._methods import METHODS, StackMethod

    sizes = {f"{n} cells": StackMethod(f"{n} cells", {"compression": "pca"}, {"n_cells_bag": n}) for n in SIZES}
    METHODS.update(sizes)
    options = {"methods": list(sizes), "n_seeds": 3, "n_boot": 2, "n_permutations": 2, "progress": False}
    if name in COHORTS:
        adata, sample, label, reps = cohort(name, folder)
        tm.tl.benchmark(adata, sample, label, use_reps=reps, **options)
    else:
        adata = tm.datasets.pbmc_cohort(seed=seed, **SIMULATED[name])
        tm.tl.regulons(adata)
        tm.tl.benchmark(adata, "patient", "response", "cohort", use_reps=["X_regulons"], cv=N_FOLDS, **options)
    table = tm.get.benchmark(adata, metric="auroc").reset_index()[["method", "rep", "value"]]
    return table.assign(cohort=name, seed=seed)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", help="results are added here as they come; what is there is not run again")
    arguments = parser.parse_args()

    # The melanoma cohort has some thirty cells a patient.
    jobs = [(name, 0, arguments.data) for name in COHORTS if name != "melanoma"]
    jobs += [(name, seed, arguments.data) for name in PLANTED for seed in SEEDS]
    table = run_jobs(run, jobs, arguments.jobs, arguments.csv)
    wide = table.pivot_table(index=["cohort", "rep", "seed"], columns="method", values="value")
    wide = wide[[f"{n} cells" for n in SIZES]]
    print(wide.groupby(level=["cohort", "rep"]).mean().round(2).to_string())
    for column in wide.columns.drop("50 cells"):
        difference = wide[column] - wide["50 cells"]
        error = difference.std(ddof=1) / np.sqrt(len(difference))
        print(f"{column} in place of 50: AUROC {difference.mean():+.3f}, standard error {error:.3f}")
