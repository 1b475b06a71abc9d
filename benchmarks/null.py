"""What the defaults give where nothing can be predicted: cohorts without an effect, in new draws.

python benchmarks/null.py [--draws 40] [--cv rebalanced_loo | leave_pair_out] [--one-network] [--jobs 2] [--csv FILE]

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


def run(job: tuple[int, str, bool]) -> pd.DataFrame:
    """AUROC of one cohort without an effect, whose regulons are a network that knows nothing of it."""
    seed, cv, one_network = job
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    import tcellmil as tm

    adata = tm.datasets.pbmc_cohort(N_PATIENTS, N_CELLS, effect=0, seed=seed)
    rng = np.random.default_rng(0)
    sets = [(f"S{i}", gene) for i in range(60) for gene in rng.choice(adata.var_names, 30, replace=False)]
    tm.tl.regulons(adata, net=pd.DataFrame(sets, columns=["source", "target"]))
    options = {"ensemble": False} if one_network else {}
    tm.tl.fit_mil(adata, "patient", "response", cv=cv, seed=seed, n_boot=2, progress=False, **options)
    joined = (tm.get.configurations(adata)["weight"].groupby("replica").max() < 1).mean()
    return pd.DataFrame({"seed": [seed], "auroc": [tm.get.metrics(adata).loc["auroc", "value"]], "joined": [joined]})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--draws", type=int, default=40)
    parser.add_argument("--cv", default="rebalanced_loo")
    parser.add_argument("--one-network", action="store_true", help="attention alone")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", help="results are added here as they come; what is there is not run again")
    arguments = parser.parse_args()

    jobs = [(seed, arguments.cv, arguments.one_network) for seed in range(1000, 1000 + arguments.draws)]
    table = run_jobs(run, jobs, arguments.jobs, arguments.csv)
    mean, error = table["auroc"].mean(), table["auroc"].std(ddof=1) / np.sqrt(len(table))
    print(
        f"{arguments.cv}: AUROC {mean:.3f}, standard error {error:.3f}, {len(table)} cohorts of {N_PATIENTS} patients; "
        f"the mean of the cells joined attention in {table['joined'].mean():.0%} of the replicas"
    )
    sys.exit(abs(mean - 0.5) > (3 * error if arguments.cv == "leave_pair_out" else 0.03))
