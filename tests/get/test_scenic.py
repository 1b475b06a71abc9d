import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


def test_the_table_has_the_names_of_cells_and_regulons():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    planted = pd.DataFrame({"source": "B", "target": adata.uns["truth"]["targets"]})
    net = pd.concat([planted, pd.DataFrame({"source": "A", "target": adata.var_names[:18]})])
    tm.tl.regulons(adata, net=net, key_added="mine")
    table = tm.get.regulons(adata, result_key="mine")
    assert list(table.columns) == ["A", "B"]
    assert list(table.index) == list(adata.obs_names)
    np.testing.assert_array_equal(table.to_numpy(), adata.obsm["X_mine"])
    with pytest.raises(KeyError, match="no regulon activities under 'regulons'; run tl.regulons"):
        tm.get.regulons(adata)


def test_changing_activities_changes_nothing_in_adata():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=30)
    tm.tl.regulons(adata, net=pd.DataFrame({"source": "A", "target": adata.var_names[:18]}))
    before = adata.obsm["X_regulons"].copy()
    table = tm.get.regulons(adata)
    table.iloc[:, 0] = 7
    np.testing.assert_array_equal(adata.obsm["X_regulons"], before)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (tm.get.grn, KeyError, r"no 'grn'; run tl.grn\(adata\) first"),
        (lambda a: tm.get.grn(a, result_key="net"), KeyError, r"no 'net'; run tl.grn\(adata, key_added='net'\) first"),
        (lambda a: tm.get.grn(a, result_key="table"), KeyError, r"uns\['table'\] was not written by a verb of tl"),
        (tm.get.prune, KeyError, r"no 'prune'; run tl.prune\(adata, ...\) first"),
        (lambda a: tm.get.prune(a, "edges"), ValueError, "part='edges' is not known; choose from 'targets', 'motifs'"),
    ],
)
def test_a_network_that_is_missing_names_its_verb(call, error, message):
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32), uns={"table": pd.DataFrame({"TF": ["A"]})})
    with pytest.raises(error, match=message):
        call(adata)
