#!/usr/bin/env bash
# scvi-tools 1.4.2 with rich 15.0.0: the public view_anndata_setup() of a model that is set up as documented raises
# AttributeError in a plain interpreter. It calls rich.pretty.pprint, but imports rich and rich.table only, and rich
# does not load its submodule pretty by itself. In a notebook that has loaded rich.pretty it prints. Importing
# rich.pretty first is the way out.
# Exits with 0 while this is so, with 1 when it has changed.
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3.11 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
  "torch==2.13.0" "scvi-tools==1.4.2" "rich==15.0.0" "anndata==0.12.19" "pandas==2.3.3"
cat > "$folder/show.py" <<'PYTHON'
import sys
from importlib.metadata import version

import anndata
import numpy as np
import scvi

print("scvi-tools", version("scvi-tools"), "rich", version("rich"))
adata = anndata.AnnData(np.random.default_rng(0).poisson(1.0, (20, 5)).astype(np.float32))
scvi.model.SCVI.setup_anndata(adata)
model = scvi.model.SCVI(adata)
try:
    model.view_anndata_setup()
except AttributeError as error:
    print("view_anndata_setup raises AttributeError:", error)
else:
    print("view_anndata_setup prints")
    sys.exit(1)
import rich.pretty  # noqa: E402

model.view_anndata_setup(hide_state_registries=True)
print("with rich.pretty imported it prints")
PYTHON
"$folder/venv/bin/python" "$folder/show.py"
