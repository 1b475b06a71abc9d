"""Vectors of genes by the cells that they occur in."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s import add_gene_vectors, from_scratch, gene_vectors


def test_it_is_the_singular_vectors_of_the_standardised_table():
    rng = np.random.default_rng(0)
    ids = np.argsort(rng.random((80, 30)) - np.linspace(0, 0.5, 30), axis=1)[:, :8].astype(np.int32)
    table = np.zeros((80, 30))
    np.put_along_axis(table, ids, 1, axis=1)
    table = (table - table.mean(axis=0)) / table.std(axis=0)
    _, S, Vt = np.linalg.svd(table, full_matrices=False)
    expected = Vt[:6].T * np.sqrt(S[:6])
    found = gene_vectors(ids, 30, 6).astype(float)
    expected = expected / np.sqrt((expected**2).mean())
    # The rotation is free, products of two vectors are not.
    np.testing.assert_allclose(found @ found.T, expected @ expected.T, atol=2e-3)


def test_genes_of_the_same_cells_are_alike():
    rng = np.random.default_rng(1)
    kind = rng.integers(2, size=200)
    ids = np.array([rng.permutation(10)[:5] + 10 * k for k in kind])
    found = gene_vectors(ids, 20, 4)
    alike = np.corrcoef(found)
    assert alike[:10, :10].mean() > 0.5 > -0.5 > alike[:10, 10:].mean()


@given(n_cells=st.integers(0, 12), n_words=st.integers(3, 9), width=st.integers(1, 12), seed=st.integers(0, 99))
@settings(max_examples=60, deadline=None)
def test_any_number_of_cells_and_words_has_finite_vectors(n_cells, n_words, width, seed):
    rng = np.random.default_rng(seed)
    ids = np.array([rng.permutation(n_words)[:3] for _ in range(n_cells)], dtype=np.int32).reshape(n_cells, 3)
    ids[rng.random(ids.shape) < 0.2] = -1
    found = gene_vectors(ids, n_words, width, seed=seed)
    assert found.shape == (n_words, width) and found.dtype == np.float32 and np.isfinite(found).all()
    np.testing.assert_array_equal(found, gene_vectors(ids, n_words, width, seed=seed))
    absent = np.setdiff1d(np.arange(n_words), ids)
    assert (found[absent] == 0).all()


def test_the_signs_and_the_basis_of_singular_vectors_do_not_matter(monkeypatch):
    import sklearn.decomposition

    class Turned(sklearn.decomposition.PCA):
        def fit(self, X):
            super().fit(X)
            self.components_[0] *= -1
            self.components_[1:3] = np.array([[0.6, 0.8], [-0.8, 0.6]]) @ self.components_[1:3]
            return self

    # Three pairs of words that always come together, each in as many cells: two equal singular values.
    ids = np.array([[0, 1], [2, 3], [4, 5], [6, 7], [6, 7], [6, 7], [6, 7], [0, 2], [2, 4], [4, 0]])
    expected = gene_vectors(ids, 8, 5)
    values = sklearn.decomposition.PCA(5).fit(np.eye(8)[ids].sum(axis=1)).singular_values_
    np.testing.assert_allclose(values[1], values[2])
    monkeypatch.setattr(sklearn.decomposition, "PCA", Turned)
    np.testing.assert_allclose(gene_vectors(ids, 8, 5), expected, atol=2e-4)


def test_of_many_cells_some_are_drawn(monkeypatch):
    from tcellmil.c2s._models import _gene_vectors

    ids = np.array([np.random.default_rng(i).permutation(9)[:4] for i in range(60)])
    whole = gene_vectors(ids, 9, 3)
    monkeypatch.setattr(_gene_vectors, "MOST_CELLS", 40)
    assert not np.array_equal(gene_vectors(ids, 9, 3), whole)


@pytest.mark.parametrize("ids", [np.array([[0, 3]]), np.array([[-2, 0]]), np.array([0, 1]), np.array([[0.0, 1.0]])])
def test_ids_that_are_no_words_are_named(ids):
    with pytest.raises(ValueError, match=r"ids must be \(n_cells, n_genes\), whole numbers from -1 to 2; got"):
        gene_vectors(ids, 3, 2)


def test_any_seed_will_do():
    assert gene_vectors(np.array([[0, 1], [1, 2], [0, 2]]), 3, 2, seed=2**40).any()


def test_a_width_that_is_no_count_is_named():
    with pytest.raises(ValueError, match="width=0"):
        gene_vectors(np.array([[0]]), 1, 0)


@pytest.mark.parametrize("tied", [False, True])
def test_they_are_added_where_genes_are_read_and_half_where_written(tied):
    pytest.importorskip("transformers", reason="the extra c2s is not installed")
    words = ["HLA-A", "CD3D", "CD74", "NKG7"]
    size = {"hidden_size": 4, "num_attention_heads": 2, "tie_word_embeddings": tied}
    lm = from_scratch(words, ["B cell"], size=size, context=16)
    layers = [lm.model.get_input_embeddings(), lm.model.get_output_embeddings()]
    before = [layer.weight.detach().clone() for layer in layers]
    ids = np.array([[0, 1], [1, 0], [2, 3], [3, 2], [0, 2]])
    add_gene_vectors(lm, ids, seed=3)
    vectors = gene_vectors(ids, 4, 4, seed=3)
    for layer, start, length in zip(layers, before, (0.1, 0.1 if tied else 0.05), strict=True):
        added = (layer.weight.detach() - start).numpy()
        np.testing.assert_allclose(added[3:7], length * vectors, atol=1e-6)
        assert not added[:3].any() and not added[7:].any()
