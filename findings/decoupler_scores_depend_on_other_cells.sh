#!/usr/bin/env bash
# decoupler 2.2.0: the score of a cell depends on which other cells are in the AnnData. Genes that no cell detects are
# left out before scoring (empty=True, the default), so that the same cells get other scores alone than among others.
# With empty=False they are the same. So a patient who is scored later, by itself, is not scored as in training.
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check "decoupler==2.2.0" "anndata==0.12.19" "pandas==2.3.3" 2>/dev/null
cat > "$folder/show.py" <<'PYTHON'
import sys
from importlib.metadata import version

import anndata as ad
import decoupler as dc
import numpy as np
import pandas as pd

print("decoupler", version("decoupler"))
rng = np.random.default_rng(0)
counts = rng.poisson(1.0, (60, 80)).astype(np.float32)
counts[:20, 40:] *= rng.random((20, 40)) < 0.05  # the first cells detect few of the later genes
counts[:20, 60:] = 0
genes = [f"g{i}" for i in range(80)]
cells = [f"c{i}" for i in range(60)]
whole = ad.AnnData(counts, obs=pd.DataFrame(index=cells), var=pd.DataFrame(index=genes))
net = pd.DataFrame({"source": np.repeat(["A", "B", "C"], 12), "weight": 1.0})
net["target"] = np.concatenate([rng.choice(genes, 12, replace=False) for _ in range(3)])


def scores(adata, method, **options):
    adata = adata.copy()
    getattr(dc.mt, method)(adata, net, tmin=3, **options)
    return adata.obsm[f"score_{method}"]


def moved(method, **options):
    alone, among = scores(whole[:20], method, **options), scores(whole, method, **options).iloc[:20]
    return float((alone - among[alone.columns]).abs().to_numpy().max())


found = {"ulm": moved("ulm"), "ulm, empty=False": moved("ulm", empty=False)}
for name, size in found.items():
    print(f"{name}: scores of 20 cells alone and among 60 differ by up to {size:.3g}")
expected = found["ulm"] > 0.1 and found["ulm, empty=False"] < 1e-4
sys.exit(0 if expected else 1)
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
