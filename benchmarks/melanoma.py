"""Melanoma before checkpoint therapy (Sade-Feldman et al., 2018): regulons, rebalanced leave-one-out, five seeds."""

import argparse
import time
from pathlib import Path

import anndata as ad
import pandas as pd

import tcellmil as tm

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"


def main(data: Path) -> None:
    start = time.perf_counter()
    adata = ad.read_h5ad(data / "melanoma_icb.h5ad")
    net = pd.read_csv(data / "dorothea_hs_abc.csv.gz").rename(columns={"tf": "source", "mor": "weight"})
    tm.tl.regulons(adata, net=net)
    tm.tl.fit_mil(adata, "sample", "response", n_seeds=5, progress=False)
    minutes = (time.perf_counter() - start) / 60
    print(f"melanoma, {adata.n_obs} cells, 19 patients, 5 seeds: {minutes:.1f} minutes (limit 3)")
    print(tm.get.metrics(adata).round(3).to_string())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=DATA, help="folder with melanoma_icb.h5ad and dorothea_hs_abc.csv.gz"
    )
    main(parser.parse_args().data)
