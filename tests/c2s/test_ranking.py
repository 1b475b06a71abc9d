"""Sentences are what a slow row-by-row construction gives, whatever holds the matrix."""

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tcellmil.c2s import keys_of, rank_genes

CONTAINERS = {
    "array": np.asarray,
    "array of columns": np.asfortranarray,
    **{kind.__name__: kind for kind in (sparse.csr_matrix, sparse.csc_matrix, sparse.coo_matrix)},
    **{kind.__name__: kind for kind in (sparse.csr_array, sparse.csc_array)},
}


def row_by_row(values, n_genes, exclude=()):
    """The definition, as slowly as it reads: expressed genes, the highest first, equal ones by column."""
    sentences = []
    for row in values.tolist():
        expressed = [gene for gene, value in enumerate(row) if value > 0 and gene not in exclude]
        words = sorted(expressed, key=lambda gene: (-row[gene], gene))[:n_genes]
        sentences.append(words + [-1] * (n_genes - len(words)))
    return np.array(sentences, dtype=np.int32).reshape(len(values), n_genes)


@st.composite
def counts(draw):
    """Few different values, so that most are tied, or many; many zeros; of all types that files hold."""
    shape = draw(st.integers(0, 9)), draw(st.integers(1, 40))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    values = rng.poisson(draw(st.sampled_from([0.2, 1, 50])), shape)
    dtype = draw(st.sampled_from(["f4", "f8", "i4", "i8", "u1", "u2", ">f4", "f2", "?"]))
    return (values % 200).astype(dtype)


@pytest.mark.parametrize("container", CONTAINERS)
@settings(max_examples=30, deadline=None)
@given(values=counts(), data=st.data())
def test_a_sentence_is_what_sorting_each_row_gives(container, values, data):
    if values.dtype in (np.float16, ">f4") and not container.startswith("array"):
        values = values.astype(np.float32)  # scipy has no sparse matrices of these
    n_genes = data.draw(st.integers(1, values.shape[1]))
    ids = rank_genes(CONTAINERS[container](values), n_genes)
    assert ids.dtype == np.int32
    np.testing.assert_array_equal(ids, row_by_row(values, n_genes))


@settings(max_examples=50, deadline=None)
@given(values=counts(), seed=st.integers(0, 2**32 - 1))
def test_order_zeros_and_repeats_of_stored_entries_do_not_matter(values, seed):
    values, rng = values.astype(np.float32), np.random.default_rng(seed)
    rows, columns = (part.ravel() for part in np.indices(values.shape))
    parts = rng.integers(0, 2, values.size)  # some entries in two parts, zeros stored
    entries = np.concatenate([values.ravel() - parts, parts])
    order = rng.permutation(2 * values.size)
    cell = np.tile(rows, 2)[order]
    order = order[np.argsort(cell, kind="stable")]
    start = np.concatenate([[0], np.cumsum(np.full(len(values), 2 * values.shape[1]))])
    X = sparse.csr_matrix((entries[order], np.tile(columns, 2)[order], start), shape=values.shape)
    before = X.data.copy(), X.indices.copy()
    n_genes = min(5, values.shape[1])
    np.testing.assert_array_equal(rank_genes(X, n_genes), row_by_row(values, n_genes))
    np.testing.assert_array_equal(X.data, before[0])
    np.testing.assert_array_equal(X.indices, before[1])


@settings(max_examples=30, deadline=None)
@given(values=counts(), data=st.data())
def test_excluded_genes_are_no_words(values, data):
    values = values.astype(np.float32)
    exclude = np.array(data.draw(st.lists(st.booleans(), min_size=values.shape[1], max_size=values.shape[1])))
    if exclude.all():
        exclude[0] = False
    n_genes = int((~exclude).sum())
    ids = rank_genes(sparse.csr_matrix(values), n_genes, exclude=exclude)
    np.testing.assert_array_equal(ids, row_by_row(values, n_genes, set(np.flatnonzero(exclude))))


@pytest.fixture(scope="module")
def tied():
    """Most genes have one count, as in real data; a CSR of 60 x 300."""
    return sparse.csr_matrix(np.random.default_rng(0).poisson(0.4, (60, 300)).astype(np.float32))


def test_rising_and_falling_rows_are_ranked_alike():
    rising = np.arange(1, 501, dtype=np.float64)
    ids = rank_genes(np.vstack([rising, rising[::-1]]), 200)
    np.testing.assert_array_equal(ids, [np.arange(499, 299, -1), np.arange(200)])


def test_random_ties_reorder_equal_values_only(tied):
    values = tied.toarray()
    stable, mixed = rank_genes(tied, 300), rank_genes(tied, 300, ties="random")
    assert (stable != mixed).any(axis=1).all()
    for row, one, other in zip(values, stable, mixed, strict=True):
        one, other = one[one >= 0], other[other >= 0]
        np.testing.assert_array_equal(row[one], row[other])
        assert set(one) == set(other)


def test_random_ties_depend_on_the_cell_and_its_genes_only(tied):
    cells, genes = keys_of(f"cell{i}" for i in range(60)), keys_of(f"gene{i}" for i in range(300))
    whole = rank_genes(tied, 300, ties="random", seed=3, keys=cells, gene_keys=genes)
    some_cells = np.array([7, 40, 41, 3])
    part = rank_genes(tied[some_cells], 300, ties="random", seed=3, keys=cells[some_cells], gene_keys=genes)
    np.testing.assert_array_equal(part, whole[some_cells])
    order = np.random.default_rng(1).permutation(300)[:250]
    part = rank_genes(tied[:, order], 250, ties="random", seed=3, keys=cells, gene_keys=genes[order])
    for words, of_part in zip(whole, part, strict=True):
        kept = words[np.isin(words, order)]
        np.testing.assert_array_equal(order[of_part[of_part >= 0]], kept)


def test_random_ties_follow_the_seed_and_prefer_no_gene():
    X = np.ones((4000, 20), dtype=np.float32)
    first = rank_genes(X, 20, ties="random", seed=1)
    assert (rank_genes(X, 20, ties="random", seed=1) == first).all()
    assert (rank_genes(X, 20, ties="random", seed=2) != first).any()
    for place in (0, 7, 19):  # 200 expected at each place; a binomial has a standard deviation of 14
        assert np.abs(np.bincount(first[:, place], minlength=20) - 200).max() < 70


def test_stable_sentences_do_not_depend_on_other_cells(tied):
    whole = rank_genes(tied, 50)
    np.testing.assert_array_equal(rank_genes(tied[10:20], 50), whole[10:20])


def test_global_random_numbers_are_left_alone(tied):
    before = np.random.get_state()[1].copy()
    rank_genes(tied, 10, ties="random")
    np.testing.assert_array_equal(np.random.get_state()[1], before)


@pytest.mark.slow
def test_any_number_of_threads_gives_the_same():
    code = (
        "import numba, numpy as np, zlib\n"
        "from tcellmil.c2s import rank_genes\n"
        "X = np.random.default_rng(0).poisson(0.4, (500, 200)).astype('f4')\n"
        "ids = [rank_genes(X, 50, ties=ties) for ties in ('stable', 'random')]\n"
        "print(numba.get_num_threads(), [zlib.crc32(i.tobytes()) for i in ids])"
    )
    found = []
    for n in ("1", "2"):
        environment = {**__import__("os").environ, "NUMBA_NUM_THREADS": n}
        run = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
        found.append(run.stdout.split(maxsplit=1))
    assert [n for n, _ in found] == ["1", "2"]
    assert found[0][1] == found[1][1]


def test_keys_are_of_names_alone():
    assert keys_of(["AAACCTG-1", "b"]).tolist() == keys_of(np.array(["AAACCTG-1", "b"])).tolist()
    assert keys_of(["b"])[0] == keys_of(["AAACCTG-1", "b"])[1]
    assert keys_of(["a"]).dtype == np.uint64 and len(set(keys_of(str(i) for i in range(1000)))) == 1000


def test_no_cells_give_no_sentences():
    assert rank_genes(sparse.csr_matrix((0, 5), dtype=np.float32), 3).shape == (0, 3)


@pytest.mark.parametrize("container", ["array", "csr_matrix", "csc_array"])
@pytest.mark.parametrize(
    ("value", "message"),
    [
        (np.nan, "0 negative and 2 NaN or infinite values in 2 cells"),
        (np.inf, "0 negative and 2 NaN or infinite values in 2 cells"),
        (-np.inf, "0 negative and 2 NaN or infinite values in 2 cells"),
        (-0.5, "2 negative and 0 NaN or infinite values in 2 cells"),
    ],
)
def test_values_that_cannot_be_ranked_are_counted(container, value, message):
    X = np.ones((5, 4))
    X[1, 2] = X[4, 0] = value
    with pytest.raises(ValueError, match=message):
        rank_genes(CONTAINERS[container](X), 2)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_genes": 0}, "n_genes=0 must be a whole number of at least 1"),
        ({"n_genes": 2.5}, "n_genes=2.5 must be a whole number"),
        ({"n_genes": 5}, "n_genes=5 is more than there are: 4 genes; choose fewer"),
        ({"exclude": np.array([1, 0, 0, 1], bool), "n_genes": 3}, "more than there are: 4 genes, 2 of them excluded"),
        ({"exclude": np.array([1, 0])}, "exclude must be 4 values of bool, one for each gene, got int64 of shape"),
        ({"ties": "first"}, "ties='first' is not known; choose from 'stable', 'random'"),
        ({"seed": -1}, "seed=-1 must be a whole number of at least 0"),
        ({"seed": True}, "seed=True must be a whole number"),
        ({"keys": np.arange(3)}, r"keys must be 2 whole numbers, one for each, got int64 of shape \(3,\)"),
        ({"gene_keys": np.ones(4)}, "keys must be 4 whole numbers, one for each, got float64"),
    ],
)
def test_arguments_that_do_not_fit_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        rank_genes(np.ones((2, 4)), **{"n_genes": 2} | options)


def test_what_is_no_matrix_of_numbers_is_refused():
    with pytest.raises(TypeError, match="X must be an array, a sparse matrix"):
        rank_genes([[1, 2]], 1)
    with pytest.raises(ValueError, match="values of type complex128, not real numbers"):
        rank_genes(np.ones((2, 2), dtype=complex), 1)
    damaged = sparse.csr_matrix(np.eye(3))
    damaged.indices[1] = 7
    with pytest.raises(ValueError, match="damaged: it has a value in column 7"):
        rank_genes(damaged, 1)


@pytest.mark.parametrize("ties", ["stable", "random"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("n_genes", [3, 12])
def test_values_that_differ_in_their_last_bit_are_no_ties(ties, dtype, n_genes):
    rng = np.random.default_rng(0)
    ladder = [np.array(start, dtype=dtype) for start in (1.0, 0.3, np.finfo(dtype).smallest_subnormal)]
    for _ in range(3):
        ladder += [np.nextafter(value, np.array(np.inf, dtype=dtype)) for value in ladder[-3:]]
    order = rng.permutation(12)
    row = np.array(ladder)[order]
    found = rank_genes(row[None], n_genes, ties=ties)[0]
    np.testing.assert_array_equal(found, np.argsort(-row)[:n_genes])
