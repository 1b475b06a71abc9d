import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from pyscenic.utils import add_correlation
from scipy import sparse

from tcellmil.regulons import edge_correlation, infer_grn, load_tf_names
from tcellmil.regulons._grn import _in_one_order

GENES = [f"G{i}" for i in range(20)]


@pytest.fixture(scope="module")
def expression():
    rng = np.random.default_rng(0)
    X = rng.poisson(2.0, (120, 20)).astype(np.float32)
    X[:, 10] = 3 * X[:, 0] + rng.poisson(1, 120)
    X[:, 11] = np.maximum(0, 8 - 2 * X[:, 1])
    return X


def test_the_planted_regulator_explains_its_target(expression):
    grn = infer_grn(expression, GENES, GENES[:4])
    best = grn.groupby("target").head(1).set_index("target")["TF"]
    assert best["G10"] == "G0"
    assert best["G11"] == "G1"
    assert list(grn.columns) == ["TF", "target", "importance"]
    assert grn["importance"].is_monotonic_decreasing


def test_one_seed_gives_one_network_and_another_a_different_one(expression):
    first = infer_grn(expression, GENES, GENES[:4], seed=3)
    pd.testing.assert_frame_equal(first, infer_grn(expression, GENES, GENES[:4], seed=3))
    assert not first.equals(infer_grn(expression, GENES, GENES[:4], seed=4))


def test_the_number_of_threads_does_not_change_the_network(tmp_path):
    code = (
        "import numpy as np, sys; from tcellmil.regulons import infer_grn; r = np.random.default_rng(0);"
        "g = [f'G{i}' for i in range(20)];"
        "infer_grn(r.poisson(2., (80, 20)).astype('f4'), g, g[:5]).to_csv(sys.argv[1])"
    )
    import os

    for n in ("1", "2"):
        subprocess.run(
            [sys.executable, "-c", code, str(tmp_path / n)], check=True, env=os.environ | {"RAYON_NUM_THREADS": n}
        )
    assert (tmp_path / "1").read_text() == (tmp_path / "2").read_text()


def test_the_order_of_the_factors_does_not_change_the_network(expression):
    """Trees of rustscenic depend on it: the order of a set is another in every process."""
    factors = [*GENES[:6], "SPI1", "IRF7"]
    names = [*GENES[:-2], "SPI1", "IRF7"]
    expected = infer_grn(expression, names, factors)
    for given in (factors[::-1], [*factors[3:], *factors[:5]], set(factors), frozenset(factors), pd.Index(factors)):
        pd.testing.assert_frame_equal(infer_grn(expression, names, given), expected)


def test_the_factors_of_a_species_keep_the_order_of_their_list():
    """Networks of the default factors are what they were."""
    human = load_tf_names("human")
    assert _in_one_order(human[::-1]) == human
    assert _in_one_order(["zzz", "aaa", *human[5:2:-1]]) == [*human[3:6], "aaa", "zzz"]


def test_the_order_of_a_set_is_fixed_and_names_come_once():
    assert load_tf_names({"TBX21", "PAX5", "EOMES"}) == ["EOMES", "PAX5", "TBX21"]
    assert load_tf_names(["TBX21", "PAX5", "TBX21"]) == ["TBX21", "PAX5"]


def test_indices_out_of_range_are_refused(expression):
    X = sparse.csc_matrix(expression)
    X.indices[5] = 100_000
    edges = pd.DataFrame({"TF": ["G0"], "target": ["G5"]})
    with pytest.raises(ValueError, match="it has a value in row 100000, which does not exist"):
        infer_grn(X, GENES, GENES[:2])
    with pytest.raises(ValueError, match="it has a value in row 100000, which does not exist"):
        edge_correlation(edges, X, GENES)


def test_sparse_and_dense_give_the_same_network(expression):
    dense = infer_grn(expression, GENES, GENES[:4])
    pd.testing.assert_frame_equal(dense, infer_grn(sparse.csr_matrix(expression), GENES, GENES[:4]))


def test_nothing_is_printed(expression, capfd):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        infer_grn(expression * 100, GENES, GENES[:1])
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("mask_dropouts", [False, pytest.param(True, marks=pytest.mark.needs_pandas_2)])
def test_correlation_is_that_of_pyscenic(expression, mask_dropouts):
    grn = infer_grn(expression, GENES, GENES[:4])
    table = pd.DataFrame(expression.astype(float), columns=GENES)
    expected = add_correlation(grn, table, mask_dropouts=mask_dropouts)["rho"]
    for X in (expression, sparse.csr_matrix(expression)):
        np.testing.assert_allclose(edge_correlation(grn, X, GENES, mask_dropouts), expected, atol=1e-5)


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csr_matrix, sparse.csc_matrix])
def test_correlations_do_not_depend_on_how_many_edges_go_at_once(expression, matrix, monkeypatch):
    edges = pd.DataFrame({"TF": np.repeat(GENES[:4], 20), "target": GENES * 4})
    whole = edge_correlation(edges, matrix(expression), GENES)
    monkeypatch.setattr("tcellmil.regulons._grn.VALUES_AT_ONCE", 7 * len(expression))
    np.testing.assert_array_equal(edge_correlation(edges, matrix(expression), GENES), whole)
    assert edge_correlation(edges.iloc[:0], matrix(expression), GENES).shape == (0,)


def test_a_gene_that_does_not_vary_has_no_correlation(expression):
    constant = expression.copy()
    constant[:, 5] = 1
    edges = pd.DataFrame({"TF": ["G0", "G0"], "target": ["G5", "G6"]})
    rho = edge_correlation(edges, constant, GENES)
    assert list(np.isnan(rho)) == [True, False]


def test_factors_come_from_a_species_a_file_or_a_list(tmp_path):
    (tmp_path / "tfs.txt").write_text("# comment\nPAX5\r\n\nTBX21\n")
    assert load_tf_names(tmp_path / "tfs.txt") == load_tf_names(str(tmp_path / "tfs.txt")) == ["PAX5", "TBX21"]
    assert "PAX5" in load_tf_names("human")
    assert "Pax5" in load_tf_names("mouse")
    assert load_tf_names(pd.Index(["A"])) == ["A"]


def test_few_cells_are_warned_about(expression):
    with pytest.warns(UserWarning, match="20 cells are too few"):
        infer_grn(expression[:20], GENES, GENES[:2])


def test_bad_input_is_named(expression):
    with pytest.raises(ValueError, match="one unique name for each of the 20 columns"):
        infer_grn(expression, ["G0"] * 20, ["G0"])
    with pytest.raises(ValueError, match="neither 'human' nor 'mouse' nor a file"):
        infer_grn(expression, GENES, "yeast")
    with pytest.raises(ValueError, match=r"none of \d+ transcription factors .* factors look like human symbols"):
        infer_grn(expression, GENES, "human")
    mouse = ["Pax5", "Tbx21", *[f"Gene{i}" for i in range(18)]]
    with pytest.raises(ValueError, match="genes look like mouse symbols"):
        infer_grn(expression, mouse, "human")
    with pytest.raises(ValueError, match="NaN or infinite"):
        infer_grn(np.full((60, 20), np.nan), GENES, GENES[:2])
