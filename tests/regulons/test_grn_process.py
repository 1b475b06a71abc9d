"""Network inference in a process of its own: the same network, and clear errors where the process fails."""

import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from rustscenic import grn
from scipy import sparse

from tcellmil.regulons import _grn_process, _grn_worker, infer_grn
from tcellmil.regulons._grn_process import infer_edges

GENES = [f"G{i}" for i in range(12)]


@pytest.fixture(scope="module")
def counts():
    X = np.random.default_rng(0).poisson(1.0, (80, 12)).astype(np.float32)
    X[:, 7] = 3 * X[:, 0] + X[:, 6]
    return X


def repeated(X):
    """Sparse with every entry in two halves, which add up."""
    x = sparse.coo_matrix(X)
    row, column = (np.concatenate([part, part]) for part in (x.row, x.col))
    return sparse.coo_matrix((np.concatenate([x.data / 2, x.data / 2]), (row, column)), shape=X.shape)


def through_a_pipe(header, parts):
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as source, os.fdopen(write, "wb", buffering=0) as target:
        _grn_worker.send(target, header, parts)
        target.close()
        return _grn_worker.receive(source)


@pytest.mark.parametrize(
    "matrix",
    [
        np.asarray,
        np.asfortranarray,
        lambda X: X.astype(np.float64) + 0.1,
        lambda X: X.astype(np.int64),
        sparse.csr_matrix,
        sparse.csc_array,
        lambda X: sparse.csr_matrix(X.astype(np.float64)),
        repeated,
    ],
    ids=["dense", "by column", "double", "whole", "csr", "csc array", "csr double", "repeated entries"],
)
def test_every_kind_of_matrix_gives_bit_for_bit_what_rustscenic_does(counts, matrix, monkeypatch):
    monkeypatch.setattr(sys, "executable", "")  # what crosses the pipe is tested below
    X = matrix(counts)
    with pytest.warns(UserWarning, match="cannot be interrupted"):
        found = infer_edges(X, GENES, GENES[:4], 5)
    check_same(found, grn.infer((X.copy(), GENES), GENES[:4], seed=5, verbose=False))


@pytest.mark.parametrize("matrix", [np.asarray, sparse.csr_matrix])
def test_the_process_gives_bit_for_bit_what_rustscenic_does(counts, matrix):
    found = infer_edges(matrix(counts), GENES, GENES[:4], 5)
    check_same(found, grn.infer((matrix(counts), GENES), GENES[:4], seed=5, verbose=False))


def check_same(found, expected):
    assert len(found) > 20
    for column in ("TF", "target", "importance"):
        np.testing.assert_array_equal(found[column].to_numpy(), expected[column].to_numpy())
    assert found["importance"].dtype == expected["importance"].dtype


def test_the_expression_stays_as_it_is(counts):
    X = sparse.csc_matrix(counts)
    X.indices[:2], X.data[:2] = X.indices[:2][::-1].copy(), X.data[:2][::-1].copy()  # not in order
    before = X.data.copy(), X.indices.copy()
    infer_edges(X, GENES, GENES[:2], 0)
    np.testing.assert_array_equal(X.data, before[0])
    np.testing.assert_array_equal(X.indices, before[1])


def test_a_script_without_a_main_guard_runs_once(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(
        "print('begins')\nimport numpy as np\nfrom tcellmil.regulons import infer_grn\n"
        "X = np.random.default_rng(0).poisson(2.0, (60, 5)).astype(np.float32)\n"
        "print(len(infer_grn(X, list('ABCDE'), ['A', 'B'])))\n"
    )
    done = subprocess.run([sys.executable, script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert done.stdout.split() == ["begins", "8"]
    assert done.stderr == ""
    assert list(tmp_path.iterdir()) == [script]


@pytest.mark.parametrize(
    ("code", "message"),
    [
        ("import sys; sys.stdin.buffer.read(8); sys.exit('no room')", "ended with status 1 and no .*message: no room"),
        ("import os; os.kill(os.getpid(), 9)", "status -9 and no result; it was killed, often for lack of memory"),
        ("import sys; sys.stdin.buffer.readline(); print('half', end='')", "ended with status 0 and no result"),
        ("raise ImportError('no rustscenic')", "its last message: ImportError: no rustscenic"),
    ],
    ids=["a message", "killed", "half an answer", "an exception"],
)
def test_a_process_that_fails_is_an_error_that_says_how(counts, monkeypatch, tmp_path, code, message):
    worker = tmp_path / "worker.py"
    worker.write_text(code)
    monkeypatch.setattr(_grn_worker, "__file__", str(worker))
    with pytest.raises(RuntimeError, match=message):
        infer_edges(counts, GENES, GENES[:2], 0)


def test_what_rustscenic_refuses_is_a_value_error(counts):
    with pytest.raises(ValueError, match="non-finite|finite|NaN"):
        infer_edges(np.full_like(counts, np.nan), GENES, GENES[:2], 0)


def test_without_an_interpreter_the_network_is_the_same_with_a_warning(counts, monkeypatch):
    expected = infer_grn(counts, GENES, GENES[:3])
    monkeypatch.setattr(sys, "executable", "")
    monkeypatch.setattr(_grn_process, "_start", None)
    with pytest.warns(UserWarning, match="no Python interpreter .* cannot be interrupted"):
        found = infer_grn(counts, GENES, GENES[:3])
    pd.testing.assert_frame_equal(found, expected)


@given(
    st.dictionaries(st.text(max_size=4), st.lists(st.text(max_size=3) | st.integers(), max_size=3), max_size=3),
    st.lists(
        arrays.arrays(
            st.sampled_from([np.float32, np.float64, np.int32, np.int64]), arrays.array_shapes(min_side=0, max_dims=2)
        ),
        max_size=3,
    ),
)
@settings(max_examples=25, deadline=None)
def test_what_is_sent_is_what_is_received(header, parts):
    received, found = through_a_pipe(header, parts)
    assert received == header
    for one, other in zip(parts, found, strict=True):
        assert one.dtype == other.dtype and one.tobytes() == other.tobytes() and one.shape == other.shape


@pytest.mark.parametrize("n_bytes", [0, 3, 60])
def test_an_answer_that_breaks_off_is_noticed(n_bytes):
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as source, os.fdopen(write, "wb", buffering=0) as target:
        _grn_worker.send(target, {}, [np.zeros(8)])
        target.close()
        whole = source.read()
    read, write = os.pipe()
    with os.fdopen(read, "rb", buffering=0) as source, os.fdopen(write, "wb", buffering=0) as target:
        target.write(whole[:n_bytes])
        target.close()
        with pytest.raises(EOFError):
            _grn_worker.receive(source)
