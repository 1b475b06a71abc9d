"""Time of the attention statistics at the size of a cohort, and how often each test errs when there is nothing to find.

    python benchmarks/attention_statistics.py [--cells 36000] [--patients 64] [--groups 10] [--regulons 154]
    python benchmarks/attention_statistics.py --calibration [--runs 1000]

Plain numpy permutes, scipy correlates and statsmodels fits a slice of the same data in the same process; their time is
scaled to all of it, because each treats one patient or one regulon after the other.
"""

import argparse
import time
import warnings
from collections.abc import Callable

import numba
import numpy as np
from scipy.stats import kendalltau, spearmanr
from statsmodels.regression.mixed_linear_model import MixedLM

from tcellmil.stats import permuted_medians, random_intercept, rank_correlation, signed_rank_by_column

ATTENTION = {  # logarithm of the attention of cells that have nothing to do with their group
    "lognormal, sd 1": lambda rng, n: rng.normal(size=n),
    "lognormal, sd 2": lambda rng, n: 2 * rng.normal(size=n),
    "log skewed to the right": lambda rng, n: rng.gamma(1, 1, size=n),
    "log skewed to the left": lambda rng, n: -rng.gamma(1, 1, size=n),
    "two kinds of cells": lambda rng, n: 0.2 * rng.normal(size=n) + 1.5 * (rng.random(n) < 0.4),
}


def simulated(n_cells: int, n_patients: int, n_groups: int, n_regulons: int, seed: int = 0):
    """Attention, patients, groups and AUCell-like activities; patients differ in size and in level."""
    rng = np.random.default_rng(seed)
    share = rng.gamma(5, 1, n_patients)
    patients = np.sort(rng.choice(n_patients, n_cells, p=share / share.sum()))
    attention = rng.lognormal(size=n_cells)
    groups = rng.choice(n_groups, n_cells, p=rng.dirichlet(np.ones(n_groups)))
    level = 0.02 * rng.normal(size=(n_patients, n_regulons)) * rng.random(n_regulons)
    activity = np.maximum(rng.beta(1, 12, size=(n_cells, n_regulons)) - 0.02 + level[patients], 0)
    return attention, patients, groups, activity.astype(np.float32)


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def numpys_permutations(values: np.ndarray, groups: np.ndarray, n_permutations: int) -> list:
    rng = np.random.default_rng(0)
    names, medians = np.unique(groups), []
    for _ in range(n_permutations):
        permuted = rng.permutation(groups)
        medians.append([np.median(values[permuted == name]) for name in names])
    return medians


def time_enrichment(attention, patients, groups, n_permutations: int) -> None:
    permuted_medians(attention[:50], patients[:50], groups[:50], 2)  # compiles
    ours = seconds(lambda: permuted_medians(attention, patients, groups, n_permutations))
    some, few = np.unique(patients)[:8], min(100, n_permutations)
    parts = [(attention[patients == patient], groups[patients == patient]) for patient in some]
    theirs = seconds(lambda: [numpys_permutations(*part, few) for part in parts])
    theirs *= len(np.unique(patients)) / len(some) * n_permutations / few
    report(f"enrichment, {n_permutations:,} permutations", ours, "numpy", theirs, f"{len(some)} patients x {few}")


def time_correlation(attention, activity) -> None:
    rank_correlation(activity[:50], attention[:50])
    ours, few = seconds(lambda: rank_correlation(activity, attention)), activity[:, :8].T

    def scipys() -> None:
        for column in few:
            kendalltau(column, attention, method="asymptotic")
            spearmanr(column, attention)

    theirs = seconds(scipys) * activity.shape[1] / len(few)
    report("tau and rho over cells", ours, "scipy", theirs, f"{len(few)} regulons")


def time_mixed_models(attention, patients, activity) -> None:
    x = np.log(attention)
    ours = seconds(
        lambda: print("  status:", random_intercept(activity, x, patients)["status"].value_counts().to_dict())
    )
    design, few = np.column_stack([np.ones(len(x)), (x - x.mean()) / x.std()]), activity[:, :8].T.astype(float)

    def statsmodels() -> None:
        for column in few:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                MixedLM((column - column.mean()) / column.std(), design, groups=patients).fit()

    theirs = seconds(statsmodels) * activity.shape[1] / len(few)
    report("mixed models", ours, "statsmodels", theirs, f"{len(few)} regulons, its own start")


def report(what: str, ours: float, name: str, theirs: float, slice_: str) -> None:
    print(f"{what:36s} {ours:8.2f} s   {name} {theirs:8.1f} s (scaled from {slice_}): {theirs / ours:.1f} x")


def calibrate_enrichment(n_runs: int, n_patients: int = 64, n_cells: int = 100) -> None:
    """Share of cohorts with p < 0.05 over patients, for groups from the largest to the smallest."""
    shares = np.array([0.4, 0.25, 0.15, 0.1, 0.06, 0.04])
    patients = np.repeat(np.arange(n_patients), n_cells)
    print(f"signed-rank test over {n_patients} patients of {n_cells} cells, groups of {100 * shares} % of the cells")
    for name, draw in ATTENTION.items():
        rng, rejected = np.random.default_rng(1), {"difference": [], "log ratio": [], "excess": []}
        for run in range(n_runs):
            values = np.exp(draw(rng, len(patients)))
            groups = rng.choice(len(shares), len(patients), p=shares)
            table = permuted_medians(values, patients, groups, 500, seed=run)
            table["difference"] = table["observed"] - table["null"]
            table["log ratio"] = np.log(table["observed"] / table["null"])
            for column, found in rejected.items():
                by_group = table.pivot(index="patient", columns="group", values=column).to_numpy()
                found.append(signed_rank_by_column(by_group)[1] < 0.05)
        for column, found in rejected.items():
            print(f"  {name:24s} {column:10s}", *(f"{share:.3f}" for share in np.mean(found, axis=0)))


def calibrate_correlation(n_regulons: int, n_patients: int = 24, n_cells: int = 300) -> None:
    """Share of regulons with p < 0.05 when the slopes of the patients vary around 0."""
    print(
        f"{n_patients} patients of {n_cells} cells, {n_regulons} regulons, slopes that vary around 0 between patients"
    )
    rng, patients = np.random.default_rng(0), np.repeat(np.arange(n_patients), n_cells)
    for spread in (0, 0.05, 0.1, 0.2):
        x = rng.normal(size=len(patients))
        slopes, levels = rng.normal(size=(2, n_patients, n_regulons))
        activity = spread * slopes[patients] * x[:, None] + 0.5 * levels[patients]
        activity += rng.normal(size=activity.shape)
        inside = [rank_correlation(activity[patients == i], x[patients == i])["tau"] for i in range(n_patients)]
        p = {
            "tau over cells": rank_correlation(activity, x)["tau_p"],
            "mixed model": random_intercept(activity, x, patients)["p"],
            "tau over patients": signed_rank_by_column(np.array(inside))[1],
        }
        print(f"  sd {spread:4.2f} ", *(f"{name} {(values < 0.05).mean():.3f}" for name, values in p.items()))


def calibrate_networks(n_cohorts: int = 6, n_patients: int = 16) -> None:
    """What is significant for networks that had nothing to learn: classes that do not differ."""
    import tcellmil as tm

    print(f"{n_cohorts} cohorts of {n_patients} patients whose classes do not differ, the default cross-validation")
    groups, regulons = [], []
    for seed in range(n_cohorts):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            adata = tm.datasets.pbmc_cohort(n_patients=n_patients, n_cells=60, effect=0, seed=seed)
            tm.tl.regulons(adata)
            tm.tl.fit_mil(adata, "patient", "response", "cohort", max_epochs=20, seed=seed, progress=False)
        tm.tl.attention_enrichment(adata, "cell_type", n_permutations=1_000)
        tm.tl.attention_correlation(adata, mixed_model=False)
        groups.append(tm.get.attention_enrichment(adata, "stats")["p"].dropna())
        regulons.append(tm.get.attention_correlation(adata)["tau_within_p"].dropna())
    for name, p in (("groups", np.concatenate(groups)), ("regulons, tau over patients", np.concatenate(regulons))):
        print(f"  {name}: {(p < 0.05).sum()} of {len(p)} with p < 0.05 over patients")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=36_000)
    parser.add_argument("--patients", type=int, default=64)
    parser.add_argument("--groups", type=int, default=10)
    parser.add_argument("--regulons", type=int, default=154)
    parser.add_argument("--permutations", type=int, default=10_000)
    parser.add_argument("--calibration", action="store_true", help="how often each test errs, and no times")
    parser.add_argument("--runs", type=int, default=1_000, help="cohorts of each distribution, for --calibration")
    parser.add_argument("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS))
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)
    if arguments.calibration:
        calibrate_enrichment(arguments.runs)
        calibrate_correlation(400)
        calibrate_networks()
        return
    sizes = (arguments.cells, arguments.patients, arguments.groups, arguments.regulons)
    attention, patients, groups, activity = simulated(*sizes)
    print("{:,} cells, {} patients, {} groups, {} regulons; ".format(*sizes) + f"{arguments.threads} threads")
    time_enrichment(attention, patients, groups, arguments.permutations)
    time_correlation(attention, activity)
    time_mixed_models(attention, patients, activity)


if __name__ == "__main__":
    main()
