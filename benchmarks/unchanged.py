"""Whether everything that the verbs compute is, bit for bit, what it was when `unchanged.npz` was written.

    python benchmarks/unchanged.py           compare
    python benchmarks/unchanged.py --write   store what is computed now

Predictions, metrics, attention, latents, losses, weights, perturbations, SHAP values, statistics of attention,
permutation tests, risk groups, comparisons and new patients, of small cohorts of simulated patients: classes, ordinal
classes, a number and a time to event, of an AnnData and of a MuData, with principal components and with autoencoders,
one per fold and shared. About 1,700 arrays are stored, written by the code before outcomes, data, training and
comparison had packages of their own. Values are compared exactly; on another processor the last digits may differ, and
the largest difference relative to the array is printed for that.
"""

import logging
import sys
import warnings
from pathlib import Path

import anndata as ad
import mudata
import numpy as np
import pandas as pd

import tcellmil as tm

STORED = Path(__file__).with_suffix(".npz")
FIT = {"n_boot": 40, "progress": False}
SMALL = {"compression": "autoencoder", "n_hidden": 12, "n_latent": 6, "batch_encoding": "film"}
OUTCOMES = {
    "classes": {"label_key": "response"},
    "ordinal": {"label_key": "stage", "outcome": "ordinal", "class_order": ["I", "II", "III"]},
    "continuous": {"label_key": "age", "outcome": "continuous"},
    "survival": {"label_key": "days", "outcome": "survival", "event_key": "death"},
}
#: Columns that are no result of a computation.
LEFT_OUT = ("seconds", "options", "outcome")


def fit(data, *args, training=None, **options):
    """A short fit of one network."""
    training = {"max_epochs": 6, "accelerator": "cpu", **(training or {})}
    tm.tl.fit_mil(data, *args, training=training, **{"ensemble": False, "n_seeds": 1} | FIT | options)


def cohort() -> ad.AnnData:
    """Twelve patients with a class, a stage, a number and a time."""
    adata = tm.datasets.pbmc_cohort(n_patients=12, n_cells=40, n_cohorts=2, effect=2.0, seed=3)
    tm.tl.regulons(adata)
    names = list(adata.uns["regulons"]["names"])[:7]
    adata.obsm["X_small"] = pd.DataFrame(adata.obsm["X_regulons"][:, :7], index=adata.obs_names, columns=names)
    adata.obsm["X_pc"] = adata.X[:, :5].toarray().astype(np.float32)
    rng, i = np.random.default_rng(0), np.arange(12)
    patients = pd.DataFrame(
        {
            "stage": np.array(["I", "II", "III"])[i % 3],
            "age": rng.integers(30, 80, 12).astype(float),
            "days": rng.integers(20, 400, 12).astype(float),
            "death": (i % 4 != 0).astype(int),
            "sex": np.array(["f", "m"])[rng.integers(0, 2, 12)],
            "person": [f"G{k // 2}" for k in i],
        },
        index=sorted(adata.obs["patient"].unique()),
    )
    for column in patients:
        adata.obs[column] = patients[column].reindex(adata.obs["patient"].astype(str)).to_numpy()
    return adata


def cohort_of_modalities(adata: ad.AnnData) -> mudata.MuData:
    """The same with scores and stand-ins for proteins as modalities, the cells of one in another order."""
    prot = ad.AnnData(adata.X[:, :6].toarray().astype(np.float32), obs=adata.obs[[]].copy())
    prot.var_names = [f"p{i}" for i in range(6)]
    scores = np.asarray(adata.obsm["X_small"], dtype=np.float32)
    regulons = ad.AnnData(scores, obs=adata.obs[[]].copy(), uns={"regulons": {"params": {"method": "aucell"}}})
    regulons.var_names = list(adata.obsm["X_small"].columns)
    with mudata.set_options(pull_on_update=False):
        mdata = mudata.MuData({"rna": adata.copy(), "prot": prot[::-1].copy(), "regulons": regulons})
    columns = ["patient", "cohort", "stage", "age", "days", "death", "response", "cell_type"]
    mdata.obs[columns] = adata.obs[columns]
    return mdata


class Results(dict):
    """Arrays by name."""

    def add(self, name: str, table: pd.DataFrame) -> None:
        """Every column of a table, its index among them."""
        table = table.reset_index() if any(table.index.names) else table
        for column in table.columns.difference(LEFT_OUT, sort=False):
            number = pd.api.types.is_numeric_dtype(table[column])
            self[f"{name}/{column}"] = (
                table[column].to_numpy(dtype=float) if number else table[column].astype(str).to_numpy(str)
            )

    def add_fit(self, name: str, data) -> None:
        """What a fit wrote."""
        fitted = data.uns["tcellmil"]
        self.add(f"{name}/predictions", tm.get.predictions(data))
        self.add(f"{name}/metrics", tm.get.metrics(data))
        self.add(f"{name}/history", fitted["history"])
        self[f"{name}/attention"] = data.obs["tcellmil_attention"].to_numpy(float)
        self[f"{name}/latent_sum"] = data.obsm["X_tcellmil"].astype(float).sum(axis=1)
        for weight, values in fitted["weights"].items():
            values = np.asarray(values, dtype=float)
            self[f"{name}/weights/{weight}"] = np.array([values.sum(), np.abs(values).sum()])

    def add_explanations(self, name: str, data, *, everything: bool, cells: bool) -> None:
        """What the verbs that explain a fit write; those of cells' types and of labels with ``cells``."""
        tm.tl.perturb(data, n_mad=[1, 3], combine=2 if everything else 1)
        for part in ("patients", "stats", *(["pair_stats"] if everything else [])):
            self.add(f"{name}/perturb/{part}", tm.get.perturb(data, part))
        tm.tl.perturb(data, mad="patient", directions="up")
        self.add(f"{name}/perturb_own/stats", tm.get.perturb(data, "stats"))
        tm.tl.shap(data, level="bag", background=80, progress=False)
        for part in ("patients", "stats", "additivity"):
            self.add(f"{name}/shap_bag/{part}", tm.get.shap(data, part))
        self[f"{name}/shap_bag/cells"] = data.obsm["X_tcellmil_shap"].astype(float).sum(axis=1)
        if everything:
            tm.tl.shap(data, level="cell", background=60, n_samples=10, progress=False)
            for part in ("patients", "stats"):
                self.add(f"{name}/shap_cell/{part}", tm.get.shap(data, part))
        if cells:
            tm.tl.attention_enrichment(data, "cell_type", n_permutations=100)
            for part in ("patients", "stats"):
                self.add(f"{name}/enrichment/{part}", tm.get.attention_enrichment(data, part))
            tm.tl.attention_correlation(data)
            self.add(f"{name}/correlation", tm.get.attention_correlation(data))
        tm.tl.attention_stability(data)
        for part in ("attention", "regulators", "top"):
            self.add(f"{name}/stability/{part}", tm.get.attention_stability(data, part))
        if cells:
            self.add(f"{name}/regulators", tm.get.regulators(data))
            tm.tl.permutation_test(data, n_permutations=3, progress=False)
            for part in ("null", "test"):
                self.add(f"{name}/permutation/{part}", tm.get.permutation_test(data, part))


def compute() -> Results:
    """Everything."""
    found, base = Results(), cohort()
    for name, keys in OUTCOMES.items():
        adata = base.copy()
        options = {"use_rep": "X_small", "scaling": "unit_interval", "categorical_covariate_keys": ["sex"]}
        fit(adata, "patient", batch_key="cohort", n_seeds=2, **options, **keys)
        found.add_fit(name, adata)
        found.add_explanations(name, adata, everything=name == "classes", cells=True)
        if name == "survival":
            for part in ("curves", "test"):
                found.add(f"survival/risk_groups/{part}", tm.get.risk_groups(adata, part))
    fits_of_other_kinds(found, base.copy())
    comparisons(found, base.copy())
    for name, keys in OUTCOMES.items():
        mdata = cohort_of_modalities(base)
        use_rep = {"regulons": "X", "prot": "X"}
        fit(mdata, "patient", batch_key="cohort", use_rep=use_rep, cv=3, n_seeds=2, **keys)
        found.add_fit(f"mudata_{name}", mdata)
        found.add_explanations(f"mudata_{name}", mdata, everything=False, cells=False)
    new_patients(found, base)
    return found


def fits_of_other_kinds(found: Results, adata: ad.AnnData) -> None:
    """Autoencoders, calibration, other splits, groups, several representations."""
    three, rep = {"cv": 3}, {"use_rep": "X_small"}
    both = {"max_epochs_ae": 8, "early_stopping": "both"}
    options = {"calibration": "temperature", "continuous_covariate_keys": ["age"], "network": SMALL}
    fit(adata, "patient", "response", "cohort", training=both, **three, **rep, **options)
    found.add_fit("autoencoder", adata)
    found.add("autoencoder/calibration", tm.get.calibration(adata))
    shared = {"max_epochs_ae": 8, "encoder": "shared"}
    fit(adata, "patient", "response", "cohort", n_seeds=2, training=shared, network=SMALL, **three, **rep)
    found.add_fit("shared", adata)
    options = {"cv": "leave_pair_out", "network": SMALL, "training": {"max_epochs_ae": 3, "n_cells_bag": 20}}
    fit(adata, "patient", "response", use_rep=["X_small", "X_pc"], **options)
    found.add_fit("pairs", adata)
    few = {"max_epochs_ae": 3}
    fit(adata, "patient", "age", outcome="continuous", cv=4, network=SMALL, training=few, **rep)
    found.add_fit("numbers_folds", adata)
    fit(adata, "patient", "days", outcome="survival", event_key="death", **three, **rep)
    found.add_fit("survival_folds", adata)
    options = {"outcome": "ordinal", "class_order": ["I", "II", "III"], "group_key": "person", "cv": "loo"}
    fit(adata, "patient", "stage", **rep, **options)
    found.add_fit("groups", adata)
    fit(adata, "patient", "stage", **three, **rep)
    found.add_fit("three", adata)
    tm.tl.shap(adata, level="bag", background=80, progress=False)
    found.add("three/shap", tm.get.shap(adata, "stats"))


def comparisons(found: Results, adata: ad.AnnData) -> None:
    """Methods on the same splits, and clusters beside the batch."""
    use_reps = ["X_small", "X_pc"]
    options = {"training": {"max_epochs": 4, "max_epochs_ae": 3, "accelerator": "cpu"}, "ablations": True}
    options |= {"cell_type_key": "cell_type", "categorical_covariate_keys": ["sex"], "cv": 3, "progress": False}
    tm.tl.benchmark(
        adata,
        "patient",
        "response",
        "cohort",
        use_reps=use_reps,
        n_boot=40,
        n_permutations=40,
        **{"n_seeds": 1} | options,
    )
    for part in ("metrics", "methods", "predictions"):
        table = tm.get.benchmark(adata, part)
        if part == "metrics":  # those that were there when the arrays were stored
            table = table[table.index.get_level_values("metric") != "auroc_pairs"]
        found.add(f"benchmark/{part}", table)
    tm.tl.batch_effect(adata, "cohort", use_reps=use_reps, n_init=4)
    for part in ("ari", "tests"):
        found.add(f"batch_effect/{part}", tm.get.batch_effect(adata, part))


def new_patients(found: Results, adata: ad.AnnData) -> None:
    """A model on patients of another cohort."""
    new = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30, seed=5)
    tm.tl.regulons(new, net=adata.uns["regulons"]["targets"])
    new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    features = adata.obsm["X_small"].columns
    position = [list(new.uns["regulons"]["names"]).index(name) for name in features]
    new.obsm["X_small"] = pd.DataFrame(new.obsm["X_regulons"][:, position], index=new.obs_names, columns=features)
    fit(adata, "patient", "response", use_rep="X_small", cv=3)
    tm.tl.predict(new, adata)
    found.add("new/predictions", tm.get.predictions(new))
    found["new/attention"] = new.obs["tcellmil_attention"].to_numpy(float)


def compare(found: Results) -> int:
    """Print what differs from the stored values; returns how many arrays do."""
    with np.load(STORED, allow_pickle=False) as stored:
        differ = {}
        for name in stored.files:
            was, now = stored[name], found.get(name)
            number = was.dtype.kind == "f"
            if now is None or was.shape != now.shape:
                differ[name] = np.inf
            elif not np.array_equal(was, now, equal_nan=number):
                differ[name] = float(np.nanmax(np.abs(was - now)) / np.nanmax(np.abs(was))) if number else np.inf
        print(
            f"{len(stored.files)} arrays stored, {len(stored.files) - len(differ)} bit-identical, {len(differ)} differ"
        )
    for name, size in sorted(differ.items(), key=lambda item: -item[1])[:20]:
        print(f"  {name}: {'missing, or of another shape or text' if np.isinf(size) else f'{size:.2g} of its largest'}")
    return len(differ)


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    logging.getLogger("tcellmil").setLevel("WARNING")
    results = compute()
    if "--write" in sys.argv:
        np.savez_compressed(STORED, **results)
        print(f"{len(results)} arrays written to {STORED.name}")
    else:
        sys.exit(min(compare(results), 1))
