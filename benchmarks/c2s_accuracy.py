"""What a tiny language model of cell sentences can do after three minutes on a CPU, beside logistic regression.

    python benchmarks/c2s_accuracy.py [--kang kang_pbmc_ifnb.h5ad] [--folds 1]

One model learns two tasks from random weights, with the defaults. It names the types of held-out cells of pbmc68k (a
quarter, drawn by type), and with --kang those of a held-out donor of Kang et al. (2018); logistic regression reads the
log expression of all genes. It writes 100 cells of each type, whose mean profile should be nearest to that of real
cells of the type.
"""

import argparse
import time
import warnings

import anndata
import numpy as np
import pandas as pd
import scanpy as sc
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import StratifiedKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import tcellmil as tm

RATIO, NEAREST, SECONDS = 0.90, 6, 180


def pbmc() -> anndata.AnnData:
    raw = sc.datasets.pbmc68k_reduced()
    obs = pd.DataFrame({"cell_type": raw.obs["bulk_labels"].astype(str)})
    return anndata.AnnData(raw.raw.X.astype("float32"), obs=obs, var=pd.DataFrame(index=raw.raw.var_names))


def kang(path: str) -> tuple[anndata.AnnData, np.ndarray]:
    """Cells, and which are of the last donor."""
    adata = anndata.read_h5ad(path)
    donor = adata.obs["sample_id"].astype(str).str.extract(r"(\d+)$")[0]
    adata.obs = pd.DataFrame({"cell_type": adata.obs["cluster_id"].astype(str), "donor": donor})
    return adata, (donor == sorted(donor.unique())[-1]).to_numpy()


def log_values(adata: anndata.AnnData) -> np.ndarray:
    adata = adata.copy()
    if adata.X.max() > 30:  # counts
        sc.pp.normalize_total(adata, target_sum=1e4)
        sc.pp.log1p(adata)
    return adata.X.toarray() if hasattr(adata.X, "toarray") else np.asarray(adata.X)


def measured(name: str, adata: anndata.AnnData, held_out: np.ndarray) -> tuple[float, int, float]:
    """Share of logistic regression's accuracy, types nearest to themselves, and seconds of training."""
    X, types = log_values(adata), sorted(adata.obs["cell_type"].unique())
    tm.pp.cell_sentences(adata, n_genes=100)
    train, test = adata[~held_out].copy(), adata[held_out].copy()
    simple = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    simple = simple.fit(X[~held_out], train.obs["cell_type"]).score(X[held_out], test.obs["cell_type"])
    start = time.perf_counter()
    model = tm.model.C2S.from_scratch(train)
    model.train(train, validation=0.1, progress=False)
    seconds = time.perf_counter() - start
    tm.tl.annotate_sentences(test, model, n_wordings=None, progress=False)
    found = tm.get.annotation_metrics(test, "cell_type").loc["accuracy"]
    written = tm.tl.generate_cells(model, 100 * len(types), {"cell_type": np.repeat(types, 100)}, progress=False)
    nearest = {
        of: int((table["nearest"] == table.index).sum())
        for of, cells in (("all", adata), ("held-out", test))
        for table in [tm.get.generated_profiles(written, cells, "cell_type")]
    }
    print(
        f"{name}: accuracy {found['value']:.3f} [{found['ci_low']:.3f}, {found['ci_high']:.3f}] of {len(test)} cells, "
        f"logistic regression {simple:.3f}, ratio {found['value'] / simple:.3f}; {nearest['all']} of {len(types)} "
        f"types nearest to themselves ({nearest['held-out']} among held-out cells); {len(model.history)} epochs in "
        f"{seconds:.0f} s",
        flush=True,
    )
    print((100 * tm.get.confusion(test, "cell_type")).round().astype(int).to_string(), flush=True)
    return found["value"] / simple, nearest["all"], seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--kang", help="file of Kang et al. (2018), or it is left out")
    parser.add_argument("--folds", type=int, default=1, help="quarters of pbmc68k to hold out, one after the other")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore")
    adata = pbmc()
    splits = StratifiedKFold(4, shuffle=True, random_state=0).split(adata.X, adata.obs["cell_type"])
    found = []
    for fold, (_, test) in zip(range(arguments.folds), splits, strict=False):
        held_out = np.isin(np.arange(adata.n_obs), test)
        found.append(measured(f"pbmc68k, quarter {fold + 1}", adata.copy(), held_out))
    ratio, nearest, seconds = np.mean(found, axis=0)
    low = [f"ratio {ratio:.3f}"] if ratio < RATIO else []
    low += [f"{nearest:.1f} types nearest to themselves"] if nearest < NEAREST else []
    if arguments.kang:
        of_donor, _, longer = measured("Kang, a held-out donor", *kang(arguments.kang))
        low += [f"ratio {of_donor:.3f} for a held-out donor"] if of_donor < RATIO else []
        seconds = max(seconds, longer)
    low += [f"{seconds:.0f} s of training"] if seconds > SECONDS else []
    if low:
        raise RuntimeError(f"{'; '.join(low)}: expected {RATIO}, {NEAREST} types and {SECONDS} s")


if __name__ == "__main__":
    main()
