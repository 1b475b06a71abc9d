"""Every method on cohorts whose answer is known and on the melanoma patients; writes the table that the docs show.

    python benchmarks/accuracy.py [--effects 0.25 0.5 1 1.5 2] [--seeds 0 1 2 3 4] [--jobs 2] [--data FOLDER]

The cohorts are those of seeds 0 to 4, which no default was chosen on. Each runs in a process of its own.
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

PAGE = Path(__file__).resolve().parents[1] / "docs" / "accuracy.md"
RARE = 0.03
METHODS = ("all", "autoencoder", "no_autoencoder", "embedding_for_autoencoder")
N_SEEDS = 3  # of the networks, on the melanoma patients


def run(job: tuple) -> pd.DataFrame:
    """Metrics of all methods on one cohort."""
    kind, effect, seed, data = job
    warnings.filterwarnings("ignore")
    logging.disable(logging.INFO)
    import tcellmil as tm

    options = {"methods": METHODS, "cell_type_key": "cell_type", "progress": False}
    options |= {"network": {"compression": "auto"}, "n_seeds": 1}  # one attention network, one seed
    if kind == "melanoma":
        import anndata as ad
        import scanpy as sc

        adata = ad.read_h5ad(Path(data) / "melanoma_icb.h5ad")
        net = pd.read_csv(Path(data) / "dorothea_hs_abc.csv.gz")
        tm.tl.regulons(adata, net=net.rename(columns={"tf": "source", "mor": "weight"}))
        sc.pp.pca(adata)
        options |= {"use_reps": ["X_regulons", "X_pca"], "n_seeds": N_SEEDS, "seed": seed}
        tm.tl.benchmark(adata, "sample", "response", **options)
    else:
        share = {"driver_share": RARE} if kind == "rare" else {}
        adata = tm.datasets.pbmc_cohort(effect=effect, seed=seed, **share)
        tm.tl.regulons(adata)
        options["use_reps"] = ["X_regulons"]
        tm.tl.benchmark(adata, "patient", "response", "cohort", n_boot=200, n_permutations=1, **options)
    table = tm.get.benchmark(adata).join(tm.get.benchmark(adata, "methods")["seconds"]).reset_index()
    return table.assign(kind=kind, effect=effect, seed=seed)


def page(table: pd.DataFrame, melanoma: pd.DataFrame) -> str:
    """The page of the docs."""
    packages = ("tcellmil", "torch", "scikit-learn", "numpy", "scanpy")
    versions = ", ".join(f"{name} {version(name)}" for name in packages)
    n_seeds = table["seed"].nunique()
    parts = [
        "# Accuracy",
        f"Written by `benchmarks/accuracy.py` on {datetime.date.today()}, Python {platform.python_version()}, "
        f"{versions}. Rebalanced leave-one-out, defaults throughout, but that "
        "`tcellmil` is one attention network here (`ensemble=False`); {doc}`real_cohorts` has the ensemble that "
        "cohorts of fewer than 48 patients get by default.",
        "## Cohorts whose answer is known",
        f"Mean AUROC over {n_seeds} cohorts of 24 patients (`pbmc_cohort`, seeds {table['seed'].min()} to "
        f"{table['seed'].max()}), by size of the planted effect, on regulon activities, one seed of the networks; "
        f"*rare*: driver cells are {RARE:.0%} of a patient's, with the effect in brackets. The standard error of a "
        "mean is about 0.05 to 0.1 where methods are between chance and certainty. The last column is the mean "
        "difference to `tcellmil`, paired by cohort, with its standard error.",
        dense(_auroc_by_effect(table).to_markdown(floatfmt=".2f")),
    ]
    if len(melanoma):
        melanoma = melanoma.fillna({"rep": ""}).set_index(["method", "rep"])
        rows = melanoma[melanoma["metric"] == "auroc"].sort_values("value", ascending=False)
        accuracy = melanoma.loc[melanoma["metric"] == "accuracy", "value"]
        shown = pd.DataFrame({"AUROC": _with_interval(rows, "value", "")})
        shown["difference"] = _with_interval(rows, "difference", "difference_")
        shown["p"] = rows["p"].map("{:.3f}".format)
        shown["accuracy"] = accuracy.map("{:.2f}".format)
        shown.loc[rows["p"].isna(), ["difference", "p"]] = ""
        parts += [
            "## Melanoma",
            "AUROC of 19 patients before immune-checkpoint therapy (GSE120575, 550 cells; DoRothEA A to C; the PCA is "
            f"of all cells, without labels), with paired differences to `tcellmil` on regulons, their intervals and "
            f"p-values (DeLong). Predictions are means over {N_SEEDS} seeds.",
            dense(shown.reset_index().to_markdown(index=False, disable_numparse=True)),
        ]
    return "\n\n".join(parts) + "\n"


def _auroc_by_effect(table: pd.DataFrame) -> pd.DataFrame:
    auroc = table[table["metric"] == "auroc"]
    label = (
        auroc["effect"].map("{:g}".format).where(auroc["kind"] == "common", auroc["effect"].map("rare ({:g})".format))
    )
    wide = auroc.assign(effect=label).pivot_table(index="method", columns="effect", values="value", sort=False)
    common = [name for name in wide.columns if not name.startswith("rare")]
    wide["mean"] = wide[common].mean(axis=1)
    cohorts = auroc[auroc["kind"] == "common"].pivot_table(index="method", columns=["effect", "seed"], values="value")
    difference = cohorts - cohorts.loc["tcellmil"]
    error = difference.std(axis=1) / np.sqrt(cohorts.shape[1])
    unbroken = "\N{NO-BREAK SPACE}±\N{NO-BREAK SPACE}"
    wide["difference"] = difference.mean(axis=1).map("{:+.2f}".format) + unbroken + error.map("{:.2f}".format)
    wide.loc["tcellmil", "difference"] = ""
    return wide.sort_values("mean", ascending=False)


def _with_interval(rows: pd.DataFrame, value: str, prefix: str) -> pd.Series:
    parts = rows[[value, f"{prefix}ci_low", f"{prefix}ci_high"]].map("{:.2f}".format)
    return parts.iloc[:, 0] + " [" + parts.iloc[:, 1] + ",\N{NO-BREAK SPACE}" + parts.iloc[:, 2] + "]"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--effects", type=float, nargs="+", default=[0.25, 0.5, 1, 1.5, 2])
    parser.add_argument("--rare-effects", type=float, nargs="*", default=[2])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2, 3, 4])
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--data", default=Path(__file__).resolve().parents[2] / "shared" / "data")
    parser.add_argument("--csv", help="results are added here as they come; what is there is not run again")
    arguments = parser.parse_args()

    jobs = [("common", effect, seed, "") for effect in arguments.effects for seed in arguments.seeds]
    jobs += [("rare", effect, seed, "") for effect in arguments.rare_effects for seed in arguments.seeds]
    if (Path(arguments.data) / "melanoma_icb.h5ad").exists():
        jobs.append(("melanoma", 0.0, 0, str(arguments.data)))
    else:
        print(f"no melanoma_icb.h5ad in {arguments.data}; that table is left out")
    table = run_jobs(run, jobs, arguments.jobs, arguments.csv)
    is_melanoma = table["kind"] == "melanoma"
    text = page(table[~is_melanoma], table[is_melanoma])
    PAGE.write_text(text)
    print(text)
