"""Time and memory of AUCell at the size of a cohort, beside pySCENIC's and decoupler's own routines.

    python benchmarks/aucell.py [--cells 36537] [--genes 35530] [--detected 2500] [--regulons 154]

pySCENIC and decoupler run on the first cells only, in the same process, and are scaled to all cells: both treat one
cell after the other. Counting the matrix itself is left out: memory is what scoring adds to the process.
"""

import argparse
import os
import threading
import time
from collections.abc import Callable

import numba
import numpy as np
import pandas as pd
from scipy import sparse

from tcellmil.regulons import aucell


def simulated_cells(n_cells: int, n_genes: int, n_detected: int, seed: int = 0) -> sparse.csr_matrix:
    """Log-normalised counts; the genes that a cell detects come from one of 200 draws, which costs the least time."""
    rng = np.random.default_rng(seed)
    expressed = rng.gamma(0.3, 1, n_genes) + 1e-3
    draws = np.array(
        [np.sort(rng.choice(n_genes, n_detected, replace=False, p=expressed / expressed.sum())) for _ in range(200)],
        dtype=np.int32,
    )
    indices = draws[rng.integers(200, size=n_cells)].ravel()
    values = np.log1p(rng.geometric(0.4, n_cells * n_detected).astype(np.float32))
    values *= np.repeat(rng.uniform(0.5, 2, n_cells).astype(np.float32), n_detected)
    start = np.arange(0, indices.size + 1, n_detected, dtype=np.int32)
    return sparse.csr_matrix((values, indices, start), shape=(n_cells, n_genes))


def simulated_weights(n_genes: int, n_regulons: int, seed: int = 0) -> sparse.csr_matrix:
    rng = np.random.default_rng(seed)
    sizes = rng.integers(20, 500, n_regulons)
    rows = np.concatenate([rng.choice(n_genes, size, replace=False) for size in sizes])
    columns = np.repeat(np.arange(n_regulons), sizes)
    return sparse.csr_matrix((rng.gamma(1, 5, rows.size), (rows, columns)), shape=(n_genes, n_regulons))


def measured(run: Callable[[], object]) -> tuple[object, float, float, float]:
    """Result, seconds, seconds of all cores together, and the peak of resident memory above where it began, in GB."""
    before, peak, done = resident(), [0.0], threading.Event()

    def watch():
        while not done.wait(0.005):
            peak[0] = max(peak[0], resident())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start, cpu_start = time.perf_counter(), time.process_time()
    result = run()
    seconds, cpu_seconds = time.perf_counter() - start, time.process_time() - cpu_start
    peak[0] = max(peak[0], resident())
    done.set()
    watcher.join()
    return result, seconds, cpu_seconds, peak[0] - before


def resident() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e9


def pyscenic_scores(X: sparse.csr_matrix, weights: sparse.csr_matrix) -> np.ndarray:
    from ctxcore.genesig import GeneSignature
    from ctxcore.recovery import enrichment4cells
    from pyscenic.aucell import create_rankings

    genes = np.array([f"g{i}" for i in range(X.shape[1])])
    columns = weights.tocsc()
    signatures = [
        GeneSignature(name=str(i), gene2weight=dict(zip(genes[c.indices], c.data, strict=True)))
        for i, c in enumerate(columns[:, j] for j in range(columns.shape[1]))
    ]
    ranks = create_rankings(pd.DataFrame(X.toarray(), columns=genes), seed=0)
    return np.column_stack([enrichment4cells(ranks, s).to_numpy().ravel() for s in signatures])


def decoupler_scores(X: sparse.csr_matrix, weights: sparse.csr_matrix) -> np.ndarray:
    import decoupler
    from anndata import AnnData

    edges = weights.tocoo()
    net = pd.DataFrame({"source": edges.col.astype(str), "target": [f"g{i}" for i in edges.row]})
    adata = AnnData(X, var=pd.DataFrame(index=[f"g{i}" for i in range(X.shape[1])]))
    decoupler.mt.aucell(adata, net, tmin=1)
    return adata.obsm["score_aucell"].to_numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cells", type=int, default=36_537)
    parser.add_argument("--genes", type=int, default=35_530)
    parser.add_argument("--detected", type=int, default=2_500)
    parser.add_argument("--regulons", type=int, default=154)
    parser.add_argument("--slice", type=int, default=500, help="cells that the other routines score")
    parser.add_argument("--threads", type=int, default=min(2, numba.config.NUMBA_NUM_THREADS))
    arguments = parser.parse_args()
    numba.set_num_threads(arguments.threads)

    X = simulated_cells(arguments.cells, arguments.genes, arguments.detected)
    weights = simulated_weights(arguments.genes, arguments.regulons)
    few = X[: arguments.slice]
    aucell(few[:2], weights)  # compiles
    scores, seconds, cpu_seconds, added = measured(lambda: aucell(X, weights))
    print(f"{X.shape[0]:,} cells x {X.shape[1]:,} genes, {arguments.detected:,} detected, {weights.shape[1]} regulons")
    threads = f"{arguments.threads} threads ({cpu_seconds:.1f} s of one core)"
    print(f"tcellmil    {seconds:8.2f} s  on {threads}, {added:.2f} GB added")
    for name, routine in (("pySCENIC", pyscenic_scores), ("decoupler", decoupler_scores)):
        routine(few[:2], weights)
        theirs, slice_seconds, _, _ = measured(lambda routine=routine: routine(few, weights))
        scaled = slice_seconds * X.shape[0] / few.shape[0]
        r = np.corrcoef(theirs.ravel(), scores[: few.shape[0]].ravel())[0, 1] if name == "pySCENIC" else None
        agreement = f", correlation of the scores {r:.6f}" if r is not None else ""
        print(f"{name:10s}  {scaled:8.0f} s  scaled from {few.shape[0]} cells, {scaled / seconds:.0f} x{agreement}")


if __name__ == "__main__":
    main()
