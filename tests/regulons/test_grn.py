import subprocess
import sys
import warnings

import numpy as np
import pandas as pd
import pytest
from pyscenic.utils import add_correlation
from scipy import sparse

from tcellmil.regulons import edge_correlation, infer_grn, load_tf_names

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
