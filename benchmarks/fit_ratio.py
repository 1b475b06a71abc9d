"""Time of `tl.fit_mil` on the demo's cohort, as a ratio to an earlier commit, measured in one run.

    python benchmarks/fit_ratio.py [--against COMMIT] [--pairs N]

Both versions run in turn in processes of their own on the same machine; the ratio is the median over pairs. The commit
by default is the last one before outcomes, data, training and comparison had packages of their own.
"""

import argparse
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
BEFORE = "b7ceca3"
JOB = """
import time, warnings
import tcellmil as tm
warnings.simplefilter("ignore")
adata = tm.datasets.pbmc_cohort()
tm.pp.subsample_bags(adata, sample_key="patient", n_cells=600)
tm.tl.regulons(adata)
keys = {"sample_key": "patient", "label_key": "response", "batch_key": "cohort"}
tm.tl.fit_mil(adata.copy(), **keys, progress=False)  # imports and compiled kernels
start = time.perf_counter()
tm.tl.fit_mil(adata, **keys, progress=False)
print("seconds", time.perf_counter() - start)
"""


def seconds(source: Path) -> float:
    """Time of the fit with the package of a folder."""
    environment = {**os.environ, "PYTHONPATH": str(source)}
    done = subprocess.run([sys.executable, "-c", JOB], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout.split()[-1])


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--against", default=BEFORE)
    parser.add_argument("--pairs", type=int, default=5)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        old = Path(folder) / "old"
        git = ["git", "-C", str(ROOT), "worktree"]
        subprocess.run([*git, "add", "--detach", "--quiet", str(old), options.against], check=True)
        try:
            pairs = np.array([(seconds(ROOT / "src"), seconds(old / "src")) for _ in range(options.pairs)])
        finally:
            subprocess.run([*git, "remove", "--force", str(old)], check=True)
    ratio, (now, before) = pairs[:, 0] / pairs[:, 1], np.median(pairs, axis=0)
    print(f"fit_mil, the demo's cohort: {now:.2f} s now, {before:.2f} s at {options.against}")
    spread = f"median of {len(ratio)} pairs, {ratio.min():.3f} to {ratio.max():.3f}"
    print(f"ratio {np.median(ratio):.3f} ({spread}); limit 1.05")
