"""Every benchmark, one after another, each in an interpreter of its own."""

import subprocess
import sys
from pathlib import Path

SCRIPTS = (
    "import_time",
    "aucell",
    "tokens",
    "stack",
    "attention_statistics",
    "cell_sentences",
    "planted",
    "explain",
    "melanoma",
    "paper_shape",
    "accuracy",
    "small_cohorts",
    "real_cohorts",
    "null",
    "cells_per_step",
    "unchanged",
    "fit_ratio",
    "c2s_generation",
    "c2s_training",
    "c2s_accuracy",
)

if __name__ == "__main__":
    here = Path(__file__).resolve().parent
    for name in sys.argv[1:] or SCRIPTS:
        print(f"== {name}", flush=True)
        subprocess.run([sys.executable, here / f"{name}.py"], check=True)
