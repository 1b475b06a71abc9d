import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


def test_the_table_has_the_names_of_cells_and_regulons():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    planted = pd.DataFrame({"source": "B", "target": adata.uns["truth"]["targets"]})
    net = pd.concat([planted, pd.DataFrame({"source": "A", "target": adata.var_names[:18]})])
    tm.tl.regulons(adata, net=net, key_added="mine")
    table = tm.get.regulons(adata, "mine")
    assert list(table.columns) == ["A", "B"]
    assert list(table.index) == list(adata.obs_names)
    np.testing.assert_array_equal(table.to_numpy(), adata.obsm["X_mine"])
    with pytest.raises(KeyError, match="no regulon activities under 'regulons'; run tl.regulons"):
        tm.get.regulons(adata)
