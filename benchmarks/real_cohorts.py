"""All methods on the real cohorts that choose defaults, and the page of the docs about them.

python benchmarks/real_cohorts.py [--data FOLDER] [--splits 0 10 20] [--methods ...] [--csv FILE]
"""

import argparse
import datetime
import logging
import platform
import warnings
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pandas as pd
from _jobs import dense, run_jobs

PAGE = Path(__file__).resolve().parents[1] / "docs" / "real_cohorts.md"
METHODS = ["tcellmil", "ensemble", "mil_mean", "logistic_regression", "svc", "random_forest"]
N_SEEDS, N_BINS = 3, 5

#: Name: file, columns of the sample and of the label, and whether its matrix is principal components already.
COHORTS = {
    "COVID severity": ("covid_severity_schulte.h5ad", "sample", "label", False),
    "COVID or healthy": ("covid_pbmc_stephenson.h5ad", "sample", "label", True),
    "age in blood": ("onek1k_age.h5ad", "sample", "label", False),
    "melanoma": ("melanoma_icb.h5ad", "sample", "response", False),
}
COUNTS = ("COVID severity", "age in blood")

TEXT = """\
Written by `benchmarks/real_cohorts.py` on {date}, Python {python}, {packages}.

Four public cohorts: blood in COVID-19, severe or mild (15 patients; Schulte-Schrepping et al., Cell 2020), COVID-19 or
healthy (20; Stephenson et al., Nat Med 2021), older or younger than the median (40; Yazar et al., Science 2022; hardly
a signal, a real negative control), and melanoma before immune-checkpoint therapy (19; Sade-Feldman et al., Cell 2018).
Regulons are DoRothEA A to C scored by AUCell, components are 50 of all cells, made without labels. Rebalanced
leave-one-out, {n_seeds} seeds, first of them {splits}; `ensemble` is `tl.fit_mil(ensemble=True)`, the rest have their
defaults.

## Ground rules

**These cohorts have chosen** what an ensemble consists of and how it is weighed, so that their figures are optimistic
for it; how much is not known, since no nested estimate of the whole procedure was made. Others, which are not in this
repository, judge. About 50 configurations were looked at here, on pseudobulks and in the engine, and 30 rules of
weighing. Among the defaults of `tcellmil` nothing was changed after looking at these cohorts.

## AUROC

{auroc}

{reading}

## Calibration and time

The expected calibration error, in {n_bins} bins, of all patients of all cohorts together (that of 15 to 40 patients is
mostly noise), the Brier score, and seconds of training and prediction for all {n_tasks} tasks.

{calibration}

## What was tried, and what it gave

Figures of exploration, noted by hand: no script repeats them. Three seeds, mean AUROC over the seven tasks; on
simulated cohorts (`pbmc_cohort`, eight of
seeds from 100; six folds) the effects 1.5, 1 and 2 with 3% driver cells.

| what | real | 1.5 | 1 | rare |
|:--|--:|--:|--:|--:|
| attention on 48 components, as by default | 0.69 | 0.95 | 0.70 | 0.84 |
| attention 16 wide | 0.69 | 0.96 | 0.67 | 0.76 |
| attention 16 wide, `strength=2`, mean of three seeds | 0.67 | 0.96 | 0.71 | 0.81 |
| mean over cells, components in units of cells | 0.66 | | | |
| mean over cells, features standardised over patients | 0.71 | 0.58 | 0.45 | 0.50 |
| mean and standard deviation, features standardised over patients | 0.73 | 0.60 | 0.49 | 0.58 |
| mean and standard deviation of 48 components | 0.68 | 0.60 | 0.47 | 0.51 |
| components standardised over patients | 0.63 | | | |
| autoencoder of 16, 40 epochs | as the default in three tasks, ten times the time | | | |
| `strength=2` and the standardised mean and standard deviation averaged, equal weights | 0.72 | 0.85 | 0.61 | 0.74 |
| the same, weighed by the rule of `ensemble=True` | 0.71 | 0.93 | 0.64 | 0.76 |
| three and four networks, weights by pseudo-BMA+ and temperatures fitted in each fold | 0.66 | 0.91 | | |
| the same networks, always the best alone | 0.65 | 0.93 | 0.59 | |

- **Real and simulated cohorts disagree.** On the real ones the standardised mean and standard deviation of the
  features are better than attention; where the signal is planted in few cells, only attention finds it. Every rule of
  weighing traded one for the other, so the ensemble is an option and not the default.
- **Weights and temperatures that follow the labels closely predict worse than equal ones.** They change with the
  patient that is left out, and against it. Scores brought to the same spread, without labels, and equal weights unless
  the difference is beyond 1.645 standard errors were best.
- More inner folds (eight in place of three) and weights by inner AUROC changed little.
"""


def run(job: tuple[str, int, str, str]) -> pd.DataFrame:
    """Predictions and seconds of each method on one cohort."""
    name, split, folder, methods = job
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    import tcellmil as tm

    adata, sample, label, reps = cohort(name, folder)
    options = {"n_seeds": N_SEEDS, "seed": split, "n_boot": 2, "n_permutations": 2, "progress": False}
    tm.tl.benchmark(adata, sample, label, methods=methods.split(","), use_reps=reps, **options)
    table = tm.get.benchmark(adata, "predictions").reset_index()
    seconds = tm.get.benchmark(adata, "methods").reset_index()[["method", "rep", "seconds"]]
    positive = [column for column in table if column.startswith("prob_")][-1]
    table["y"] = (table["label"] == positive.removeprefix("prob_")).astype(int)
    table = table.rename(columns={positive: "p"})[["method", "rep", "patient", "y", "p"]]
    return table.merge(seconds).assign(cohort=name, split=split)


def cohort(name: str, folder: str):
    """A cohort with its representations: AnnData, column of the sample, of the label, and keys of obsm."""
    import scanpy as sc

    import tcellmil as tm

    file, sample, label, is_components = COHORTS[name]
    adata = sc.read_h5ad(Path(folder) / file)
    if is_components:
        adata.obsm["X_pca"] = np.asarray(adata.X.todense() if hasattr(adata.X, "todense") else adata.X, dtype="f4")
        return adata, sample, label, ["X_pca"]
    if name in COUNTS:
        adata.X = adata.X.astype(np.float32)
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    sc.pp.pca(adata, n_comps=50, random_state=0)
    net = pd.read_csv(Path(folder) / "dorothea_hs_abc.csv.gz")
    tm.tl.regulons(adata, net=net.rename(columns={"tf": "source", "mor": "weight"}))
    return adata, sample, label, ["X_pca", "X_regulons"]


def page(table: pd.DataFrame) -> str:
    """The page of the docs."""
    from sklearn.metrics import roc_auc_score

    task = ["cohort", "rep", "split"]
    auroc = table.groupby([*task, "method"], sort=False).apply(lambda t: roc_auc_score(t["y"], t["p"]))
    wide = auroc.unstack("method")
    of_task = wide.groupby(level=["cohort", "rep"], sort=False).mean()
    shown = of_task.T.round(2)
    shown.columns = [f"{cohort}, {rep.removeprefix('X_')}" for cohort, rep in shown.columns]
    shown["mean"] = of_task.mean().round(3)
    shown["mean rank"] = of_task.rank(axis=1, ascending=False).mean().round(1)
    difference = of_task.sub(of_task["tcellmil"], axis=0)
    error = difference.std(ddof=1) / np.sqrt(len(difference))
    shown["difference"] = [f"{m:+.2f} ± {1.96 * e:.2f}" for m, e in zip(difference.mean(), error, strict=True)]
    shown.loc["tcellmil", "difference"] = ""
    shown = shown.sort_values("mean", ascending=False)
    rows = table.drop_duplicates([*task, "method"])
    measured = pd.DataFrame(
        {
            "ECE": table.groupby("method").apply(calibration_error).round(3),
            "Brier": table.groupby("method").apply(lambda t: ((t["p"] - t["y"]) ** 2).mean()).round(3),
            "seconds": (rows.groupby("method")["seconds"].sum() / rows["split"].nunique()).round(),
        }
    ).loc[shown.index]
    mean = of_task.mean()
    reading = (
        f"Differences are to `tcellmil`, means over {len(of_task)} tasks of {len(COHORTS)} cohorts with 95% intervals, "
        f"which take the tasks as independent and are therefore too short. The mean over cells, `mil_mean`, has "
        f"{mean['mil_mean']:.2f} where `tcellmil` has {mean['tcellmil']:.2f} and the ensemble {mean['ensemble']:.2f}."
    )
    packages = ", ".join(f"{name} {version(name)}" for name in ("tcellmil", "torch", "scikit-learn", "numpy"))
    text = TEXT.format(
        date=datetime.date.today(),
        python=platform.python_version(),
        packages=packages,
        n_seeds=N_SEEDS,
        splits=", ".join(str(split) for split in sorted(table["split"].unique())),
        auroc=dense(shown.to_markdown()),
        reading=reading,
        n_bins=N_BINS,
        n_tasks=len(of_task),
        calibration=dense(measured.to_markdown()),
    )
    return f"# Real cohorts\n\n{text}".rstrip()


def calibration_error(table: pd.DataFrame) -> float:
    """Mean distance of the mean probability from the share of the positive class, over bins weighted by patients."""
    bins = np.minimum((table["p"] * N_BINS).astype(int), N_BINS - 1)
    return sum(len(t) * abs(t["p"].mean() - t["y"].mean()) for _, t in table.groupby(bins)) / len(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", default=str(Path(__file__).resolve().parents[2] / "shared" / "data"))
    parser.add_argument("--splits", type=int, nargs="+", default=[0, 10, 20], help="first seed of each set of splits")
    parser.add_argument("--methods", nargs="+", default=METHODS)
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--csv", help="results are added here as they come; what is there is not run again")
    arguments = parser.parse_args()

    methods = ",".join(arguments.methods)
    jobs = [(name, split, arguments.data, methods) for split in arguments.splits for name in COHORTS]
    text = page(run_jobs(run, jobs, arguments.jobs, arguments.csv))
    PAGE.write_text(text + "\n")
    print(text)
