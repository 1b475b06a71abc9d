"""Import cost of tcellmil beside scanpy's: each imported in a fresh interpreter, in turns; the ratio of medians."""

import statistics
import subprocess
import sys
import time

N_RUNS = 7


def seconds(module: str) -> float:
    start = time.perf_counter()
    subprocess.run([sys.executable, "-c", f"import {module}"], check=True)
    return time.perf_counter() - start


def main() -> None:
    runs = [(seconds("scanpy"), seconds("tcellmil")) for _ in range(N_RUNS + 1)][1:]  # the first one warms the disk
    scanpy, tcellmil = (statistics.median(column) for column in zip(*runs, strict=True))
    print(f"import scanpy {scanpy:.2f} s, import tcellmil {tcellmil:.2f} s, ratio {tcellmil / scanpy:.2f} (limit 1.20)")


if __name__ == "__main__":
    main()
