"""What the defaults give where nothing can be predicted: cohorts without an effect, in new draws.

python benchmarks/null.py [--draws 40] [--cv rebalanced_loo | leave_pair_out] [--jobs 2] [--csv FILE]

Exits with 1 unless the mean AUROC is within 0.03 of 0.5, for leave-pair-out within 3 standard errors.
"""

import argparse
import logging
import sys
import warnings

import numpy as np
import pandas as pd
from _jobs import run_jobs

N_PATIENTS, N_CELLS = 20, 60


def run(job: tuple[int, str]) -> pd.DataFrame:
    """AUROC of one cohort without an effect, whose regulons are a network that knows nothing of it."""
    seed, cv = job
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    import tcellmil as tm

    adata = tm.datasets.pbmc_cohort(N_PATIENTS, N_CELLS, effect=0, seed=seed)
    rng = np.random.default_rng(0)
    sets = [(f"S{i}", gene) for i in range(60) for gene in rng.choice(adata.var_names, 30, replace=False)]
    tm.tl.regulons(adata, net=pd.DataFrame(sets, columns=["source", "target"]))
    tm.tl.fit_mil(adata, "patient", "response", cv=cv, seed=seed, n_boot=2, progress=False)
    joined = tm.get.configurations(adata)["weight"].xs("features, mean with sd, standardised", level="configuration")
    auroc = tm.get.metrics(adata).loc["auroc", "value"]
    return pd.DataFrame({"seed": [seed], "auroc": [auroc], "joined": [(joined > 0).mean()]})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--cv", default="rebalanced_loo")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", help="results are added here as they come; what is there is not run again")
    arguments = parser.parse_args()

    jobs = [(seed, arguments.cv) for seed in range(1000, 1000 + arguments.draws)]
    table = run_jobs(run, jobs, arguments.jobs, arguments.csv)
    mean, error = table["auroc"].mean(), table["auroc"].std(ddof=1) / np.sqrt(len(table))
    print(
        f"{arguments.cv}: AUROC {mean:.3f}, standard error {error:.3f}, {len(table)} cohorts of {N_PATIENTS} patients; "
        f"the mean of the cells joined attention in {table['joined'].mean():.0%} of the replicas"
    )
    sys.exit(abs(mean - 0.5) > (3 * error if arguments.cv == "leave_pair_out" else 0.03))
