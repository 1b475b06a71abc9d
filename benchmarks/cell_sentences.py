"""Cells to sentences a second, beside numpy row by row and the peer's own code, and the memory that it takes.

    python benchmarks/cell_sentences.py [--peer /path/to/python] [--cells 100000]

--peer is a Python that has cell2sentence 1.2.0 (python3.11 -m venv peer; peer/bin/pip install torch==2.13.0
cell2sentence==1.2.0). It ranks the same cells in a process of its own, in turns with the others: each number is the
median of the rounds. Without it the peer is left out. Memory is the peak of a process that holds the matrix and ranks
it, above what the process has once everything is imported and compiled.
"""

import argparse
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numba
import numpy as np
from scipy import sparse

N_GENES, LENGTH = 20_000, 200
PEER = """
import sys, time, warnings
warnings.filterwarnings("ignore")
import anndata
from scipy import sparse
from cell2sentence.utils import generate_sentences, generate_vocabulary
X = sparse.load_npz(sys.argv[1])
adata = anndata.AnnData(X)
adata.var_names = [f"G{i}" for i in range(X.shape[1])]
vocabulary = generate_vocabulary(adata)
start = time.perf_counter()
sentences = generate_sentences(adata, vocabulary)
seconds = time.perf_counter() - start
print(len(sentences) / seconds)
"""


def counts(n_cells: int, n_expressed: int, seed: int = 0) -> sparse.csr_matrix:
    """Counts, most of them 1, as CSR; the genes of a cell are one of 200 draws, which costs the least time."""
    rng = np.random.default_rng(seed)
    abundance = rng.gamma(0.3, 1, N_GENES) + 1e-3
    share = abundance / abundance.sum()
    draws = np.array(
        [np.sort(rng.choice(N_GENES, n_expressed, replace=False, p=share)) for _ in range(200)], dtype=np.int32
    )
    indices = draws[rng.integers(200, size=n_cells)].ravel()
    data = np.empty(indices.size, dtype=np.float32)
    for start in range(0, indices.size, 1 << 20):
        part = slice(start, min(start + (1 << 20), indices.size))
        data[part] = 1 + rng.poisson(2000 * share[indices[part]].astype(np.float32)).astype(np.float32)
    start = np.arange(0, indices.size + 1, n_expressed, dtype=np.int32)
    return sparse.csr_matrix((data, indices, start), shape=(n_cells, N_GENES))


def numpy_row_by_row(X: sparse.csr_matrix, n_genes: int) -> np.ndarray:
    """What one writes with numpy: a stable sort of each row's values, which keeps ties in the order of the genes."""
    ids = np.full((X.shape[0], n_genes), -1, dtype=np.int32)
    for cell in range(X.shape[0]):
        values, genes = (part[X.indptr[cell] : X.indptr[cell + 1]] for part in (X.data, X.indices))
        words = genes[np.argsort(-values, kind="stable")[:n_genes]]
        ids[cell, : len(words)] = words
    return ids


def per_second(run, n_cells: int) -> float:
    start = time.perf_counter()
    run()
    return n_cells / (time.perf_counter() - start)


def resident_gb() -> float:
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize() / 1e9


def child(n_cells: int, n_expressed: int) -> None:
    """Print the size of the matrix, by how much the peak of this process grew, and seconds of kernel and verb."""
    from anndata import AnnData

    from tcellmil.c2s import rank_genes
    from tcellmil.pp import cell_sentences

    cell_sentences(AnnData(counts(50, n_expressed)), LENGTH)
    before = resident_gb()
    X = counts(n_cells, n_expressed)
    adata = AnnData(X)
    ranking = n_cells / per_second(lambda: rank_genes(X, LENGTH), n_cells)
    verb = n_cells / per_second(lambda: cell_sentences(adata, LENGTH), n_cells)
    size = (X.data.nbytes + X.indices.nbytes + X.indptr.nbytes) / 1e9
    print(size, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024 / 1e9 - before, ranking, verb)


def in_child(*arguments: object) -> list[float]:
    run = [sys.executable, __file__, "--child", *map(str, arguments)]
    return [float(x) for x in subprocess.run(run, capture_output=True, text=True, check=True).stdout.split()]


def compare(X: sparse.csr_matrix, peer: str | None, rounds: int) -> list[bool]:
    """Print cells a second of each, and give back which limits are kept."""
    from tcellmil.c2s import rank_genes, sentence_text

    words = [f"G{i}" for i in range(N_GENES)]
    runs = {
        "tcellmil, indices": lambda: rank_genes(X, LENGTH),
        "tcellmil, text": lambda: sentence_text(rank_genes(X, LENGTH), words),
        "tcellmil, random ties": lambda: rank_genes(X, LENGTH, ties="random"),
        "numpy row by row": lambda: numpy_row_by_row(X, LENGTH),
    }
    np.testing.assert_array_equal(runs["tcellmil, indices"](), runs["numpy row by row"]())
    runs["tcellmil, random ties"]()
    found = {name: [] for name in runs}
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "counts.npz"
        sparse.save_npz(path, X, compressed=False)
        for _ in range(rounds):
            for name, run in runs.items():
                found[name].append(per_second(run, X.shape[0]))
            if peer:
                done = subprocess.run([peer, "-c", PEER, path], capture_output=True, text=True, check=True)
                found.setdefault("cell2sentence, text", []).append(float(done.stdout.split()[-1]))
    median = {name: statistics.median(values) for name, values in found.items()}
    for name, value in median.items():
        print(f"{name:24} {value:12,.0f} cells/s, {value / median['numpy row by row']:7.1f} x numpy row by row")
    ours = median["tcellmil, indices"]
    kept = [within("tcellmil / numpy row by row", ours / median["numpy row by row"], at_least=3)]
    if peer:
        kept.append(within("tcellmil / cell2sentence", ours / median["cell2sentence, text"], at_least=25))
        kept.append(
            within("text / cell2sentence", median["tcellmil, text"] / median["cell2sentence, text"], at_least=25)
        )
    else:
        print("cell2sentence was not measured: name a Python that has it, --peer")
    return kept


def within(name: str, value: float, *, at_least: float = -np.inf, at_most: float = np.inf) -> bool:
    """Print a number with its limit, and give back whether it keeps it."""
    limit = f"at least {at_least:g}" if np.isfinite(at_least) else f"at most {at_most:g}"
    print(f"{name}: {value:.2f} ({limit})", flush=True)
    return at_least <= value <= at_most


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--peer", help="a Python that has cell2sentence")
    parser.add_argument("--cells", type=int, default=100_000, help="cells of the large matrix")
    parser.add_argument("--expressed", type=int, default=2_000)
    parser.add_argument("--compared", type=int, default=1_000, help="cells that all of them rank")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--child", nargs=2, type=int, metavar=("CELLS", "EXPRESSED"), help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    numba.set_num_threads(min(2, numba.config.NUMBA_NUM_THREADS))
    if arguments.child:
        child(*arguments.child)
        return

    n = arguments.compared
    print(f"{n:,} cells x {N_GENES:,} genes, {arguments.expressed:,} expressed, the first {LENGTH}, ", end="")
    print(f"{numba.get_num_threads()} threads, {arguments.rounds} rounds", flush=True)
    kept = compare(counts(n, arguments.expressed), arguments.peer, arguments.rounds)
    size, grown, ranking, verb = in_child(arguments.cells, arguments.expressed)
    cells = f"{arguments.cells:,} cells"
    kept.append(within(f"{cells}, seconds of ranking", ranking, at_most=20))
    kept.append(within(f"{cells}, seconds of pp.cell_sentences with its line", verb, at_most=20))
    kept.append(within(f"{cells}, peak memory over that of the matrix of {size:.2f} GB", grown / size, at_most=1.3))
    sys.exit(not all(kept))


if __name__ == "__main__":
    main()
