"""Samples closer than the true match: against loops, with ties, groups of matches and noise."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import sparse

from tcellmil.metrics import foscttm


def by_loops(one, other, match, metric):
    """The definition, pair by pair."""

    def near(a, b):
        return a @ b / np.linalg.norm(a) / np.linalg.norm(b) if metric == "cosine" else -np.linalg.norm(a - b)

    def share(values, own):
        return np.mean([1.0 if v > own + 1e-9 else 0.5 if v > own - 1e-9 else 0.0 for v in values])

    found = []
    for i, j in enumerate(match):
        own = near(one[i], other[j])
        bulks = [near(one[i], other[k]) for k in range(len(other)) if k != j]
        cells = [near(one[k], other[j]) for k in range(len(one)) if match[k] != j]
        found.append((share(bulks, own) + share(cells, own)) / 2)
    return found


@given(st.integers(0, 2**32 - 1), st.sampled_from(["cosine", "euclidean"]), st.booleans())
@settings(deadline=None, max_examples=40)
def test_it_is_the_definition_pair_by_pair(seed, metric, ties):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(9, 4)), rng.normal(size=(5, 4))
    if ties:
        one, other = np.sign(one), np.sign(other)
    match = np.concatenate([[0, 1], rng.integers(5, size=7)])
    np.testing.assert_allclose(
        foscttm(one, other, match, metric=metric), by_loops(one, other, match, metric), atol=1e-12
    )


def test_each_to_its_own_is_zero_and_the_opposite_is_one():
    cells = np.linalg.qr(np.random.default_rng(0).normal(size=(6, 6)))[0]
    np.testing.assert_array_equal(foscttm(cells, 3 * cells), 0)
    np.testing.assert_array_equal(foscttm(cells, cells, metric="euclidean"), 0)
    np.testing.assert_array_equal(foscttm(cells, -cells), 1)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_one_point_for_everything_is_chance_not_perfect(metric):
    for n, d in ((7, 3), (300, 512)):
        point = np.tile(np.random.default_rng(0).normal(size=d).astype(np.float32), (n, 1))
        np.testing.assert_array_equal(foscttm(point, point, metric=metric), 0.5)


@pytest.mark.parametrize("metric", ["cosine", "euclidean"])
def test_noise_is_one_half(metric):
    rng = np.random.default_rng(1)
    assert foscttm(rng.normal(size=(400, 20)), rng.normal(size=(400, 20)), metric=metric).mean() == pytest.approx(
        0.5, abs=0.03
    )


def test_more_noise_is_worse():
    rng = np.random.default_rng(2)
    truth = rng.normal(size=(200, 10))
    values = [foscttm(truth, truth + sd * rng.normal(size=truth.shape)).mean() for sd in (0.1, 1, 3, 10)]
    assert values == sorted(values) and values[0] < 0.01 and values[-1] > 0.3


@given(st.integers(0, 2**32 - 1))
@settings(deadline=None, max_examples=20)
def test_rows_may_be_scaled_all_turned_and_pairs_interchanged(seed):
    rng = np.random.default_rng(seed)
    one, other = rng.normal(size=(2, 8, 5))
    value, turn = foscttm(one, other), np.linalg.qr(rng.normal(size=(5, 5)))[0]
    np.testing.assert_allclose(foscttm(one * rng.uniform(0.1, 9, (8, 1)), other @ (2 * np.eye(5))), value, atol=1e-12)
    np.testing.assert_allclose(foscttm(one @ turn, other @ turn), value, atol=1e-12)
    np.testing.assert_allclose(foscttm(other, one), value, atol=1e-12)
    order = rng.permutation(8)
    np.testing.assert_allclose(foscttm(one[order], other[order]), value[order], atol=1e-12)


def test_rows_of_any_size_have_an_angle():
    rng = np.random.default_rng(3)
    one, other = rng.normal(size=(2, 8, 5))
    np.testing.assert_allclose(foscttm(1e-140 * one, 1e140 * other), foscttm(one, other), atol=1e-12)


def test_only_samples_of_one_condition_are_compared():
    rng = np.random.default_rng(4)
    one, other = rng.normal(size=(2, 12, 4))
    by = np.tile(["a", "b"], 6)
    result = foscttm(one, other, by=by)
    for name in "ab":
        assert result.values[name] == pytest.approx(foscttm(one[by == name], other[by == name]).mean())


def test_sparse_embeddings_are_taken():
    one, other = np.random.default_rng(5).poisson(1, size=(2, 6, 9)) + np.eye(6, 9)
    np.testing.assert_allclose(foscttm(sparse.csr_matrix(one), sparse.csc_array(other)), foscttm(one, other))


ONE = np.random.default_rng(6).normal(size=(4, 3))


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        ((ONE, ONE[:3]), {}, "real has 4 rows, generated 3; say which belong together"),
        ((ONE, ONE[:, :2]), {}, "real has 3 features, generated 2"),
        ((ONE, ONE, [0, 0, 0, 0]), {}, "all rows have the same match"),
        ((ONE[:1], ONE[:1]), {}, "all rows have the same match"),
        ((ONE, ONE, [0, 1, 2, 4]), {}, "match names rows 0 to 4; generated has rows 0 to 3"),
        ((ONE, ONE, [0, 1, 2, -1]), {}, "match names rows -1 to 2"),
        ((ONE, ONE, [0, 1]), {}, "match must be 4 row numbers"),
        ((ONE, ONE, [0.0, 1.0, 2.0, 3.0]), {}, "match must be 4 row numbers, .* got float64"),
        ((ONE * [[1], [0], [1], [0]], ONE), {}, r"2 rows of real are 0 throughout \(the first: 1\)"),
        ((ONE, ONE), {"metric": "angle"}, "metric='angle' is not known"),
        ((ONE, ONE, [0, 1, 2, 3]), {"by": list("aabb")}, "by and match exclude each other"),
        ((ONE, ONE), {"by": list("abbb")}, "in condition 'a': all rows have the same match"),
    ],
)
def test_what_cannot_be_matched_is_named(arguments, options, message):
    with pytest.raises(ValueError, match=message):
        foscttm(*arguments, **options)
