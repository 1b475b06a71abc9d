import numpy as np
import pandas as pd
import pytest
from pyscenic.utils import modules_from_adjacencies

from tcellmil.regulons import modules_from_grn


def network(seed, n_factors=12, n_genes=150):
    """A random network in which importances tie now and then, with its expression matrix and correlations."""
    rng = np.random.default_rng(seed)
    genes = [f"g{i}" for i in range(n_genes)]
    X = pd.DataFrame(rng.normal(size=(60, n_genes)), columns=genes)
    pairs = pd.MultiIndex.from_product([genes[:n_factors], genes], names=["TF", "target"]).to_frame(index=False)
    pairs = pairs[pairs.TF != pairs.target].sample(frac=0.6, random_state=seed, ignore_index=True)
    grn = pairs.assign(importance=rng.gamma(1, 5, len(pairs)).round(1))
    rho = np.corrcoef(X.T)
    index = pd.Index(genes)
    grn["rho"] = rho[index.get_indexer(grn.TF), index.get_indexer(grn.target)]
    return grn, X


def as_sets(modules):
    return sorted(
        (
            rows.TF.iloc[0],
            rows.selection.iloc[0],
            rows.regulation.iloc[0],
            tuple(sorted(zip(rows.target, rows.importance, strict=True))),
        )
        for _, rows in modules.groupby("module")
    )


@pytest.mark.needs_pandas_2
@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("only_activating", [True, False])
def test_modules_are_those_of_pyscenic(seed, only_activating):
    grn, X = network(seed)
    oracle = modules_from_adjacencies(grn[["TF", "target", "importance"]], X, keep_only_activating=only_activating)
    regulations = {"activating", "repressing"}
    expected = sorted(
        (
            module.transcription_factor,
            next(iter(set(module.context) - regulations)),
            next(iter(set(module.context) & regulations)),
            tuple(sorted(module.gene2weight.items())),
        )
        for module in oracle
    )
    assert len(expected) > 20
    assert as_sets(modules_from_grn(grn, keep_only_activating=only_activating)) == expected


def test_the_factor_joins_its_module_and_counts_towards_its_size():
    grn = pd.DataFrame({"TF": "A", "target": [f"g{i}" for i in range(19)], "importance": 2.0, "rho": 0.5})
    modules = modules_from_grn(grn, percentiles=(), top_n_regulators=())
    assert len(modules) == 20
    assert modules.set_index("target").importance["A"] == 1.0
    assert modules_from_grn(grn[:18], percentiles=(), top_n_regulators=()).empty


def test_edges_without_a_sign_are_in_no_module():
    grn = pd.DataFrame({"TF": "A", "target": ["up", "down", "flat", "constant"], "importance": 1.0})
    grn["rho"] = [0.5, -0.5, 0.02, np.nan]
    modules = modules_from_grn(grn, percentiles=(), top_n_regulators=(), min_genes=1, keep_only_activating=False)
    assert set(modules.target[modules.regulation == "activating"]) == {"A", "up"}
    assert set(modules.target[modules.regulation == "repressing"]) == {"A", "down"}


def test_bad_input_is_named():
    with pytest.raises(ValueError, match=r"lacks the columns \['rho'\]"):
        modules_from_grn(pd.DataFrame({"TF": [], "target": [], "importance": []}))
    with pytest.raises(ValueError, match="rho_threshold=0 must be positive"):
        modules_from_grn(pd.DataFrame({"TF": [], "target": [], "importance": [], "rho": []}), rho_threshold=0)
