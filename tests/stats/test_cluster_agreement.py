"""Agreement of clusters with labels equals that of scikit-learn, one initialisation at a time."""

import numpy as np
import pytest
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from tcellmil.stats import cluster_agreement


@pytest.fixture
def cells():
    """Four overlapping groups and a label of three values."""
    rng = np.random.default_rng(0)
    return rng.normal(size=(200, 6)) + 2 * rng.normal(size=(4, 6))[np.arange(200) % 4], rng.integers(3, size=200)


def test_every_initialisation_is_a_k_means_of_its_own_seed(cells):
    x, labels = cells
    got = cluster_agreement(x, labels, n_clusters=5, n_init=6, seed=3)
    expected = [
        adjusted_rand_score(labels, KMeans(5, n_init=1, random_state=seed).fit_predict(x)) for seed in range(3, 9)
    ]
    np.testing.assert_allclose(got, expected, atol=1e-12)
    assert len(set(got)) > 1


def test_clusters_that_are_the_labels_have_an_index_of_one():
    labels = np.repeat(["A", "B", "C"], 20)
    x = 100.0 * (labels[:, None] == np.array(["A", "B", "C"])) + np.random.default_rng(1).normal(size=(60, 3))
    np.testing.assert_array_equal(cluster_agreement(x, labels, n_clusters=3, n_init=4), 1)


def test_labels_drawn_at_random_have_an_index_of_zero_on_average(cells):
    x, rng = cells[0], np.random.default_rng(2)
    means = [cluster_agreement(x, rng.integers(3, size=len(x)), n_init=1).mean() for _ in range(100)]
    assert abs(np.mean(means)) < 3 * np.std(means) / 10


def test_names_of_the_labels_do_not_matter(cells):
    x, labels = cells
    one = cluster_agreement(x, labels, n_init=3)
    np.testing.assert_array_equal(one, cluster_agreement(x, np.array(["z", "y", "x"])[labels], n_init=3))


def test_global_random_state_is_neither_read_nor_moved(cells):
    x, labels = cells
    np.random.seed(0)
    before = np.random.get_state()[1].copy()
    one = cluster_agreement(x, labels, n_init=2)
    np.testing.assert_array_equal(np.random.get_state()[1], before)
    np.random.seed(1)
    np.testing.assert_array_equal(one, cluster_agreement(x, labels, n_init=2))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"x": np.ones(5)}, r"got \(5,\) and \(5,\)"),
        ({"labels": np.ones(4)}, r"got \(5, 2\) and \(4,\)"),
        ({"x": np.array([[np.nan, 1.0]] * 5)}, "5 NaN or infinite values"),
        ({"n_clusters": 1}, "n_clusters=1 must be between 2 and the number of cells, 5"),
        ({"n_clusters": 6}, "n_clusters=6 must be between 2 and the number of cells, 5"),
        ({"n_init": 0}, "n_init=0 must be a whole number of at least 1"),
    ],
)
def test_bad_input_is_named(options, message):
    arguments = {"x": np.arange(10.0).reshape(5, 2), "labels": np.arange(5), "n_clusters": 2} | options
    with pytest.raises(ValueError, match=message):
        cluster_agreement(**arguments)
