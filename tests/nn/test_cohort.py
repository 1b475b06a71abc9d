import numpy as np
import pytest
import torch

from tcellmil.nn import StackedClassifier


def generators(n):
    return [torch.Generator().manual_seed(i) for i in range(n)]


def draw(*shape, seed=0):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def one_hot(codes, n):
    return torch.eye(n)[codes][None]


def test_film_starts_as_the_identity():
    film = StackedClassifier(generators(2), 4, 3, 2, encoding="film")
    plain = StackedClassifier(generators(2), 4, 3, 2, encoding=None)
    h = draw(2, 3, 4)
    assert torch.equal(film(h, one_hot([0, 1, 2], 3)), plain(h, one_hot([0, 1, 2], 3)))


def test_film_scales_and_shifts_by_cohort():
    film = StackedClassifier(generators(1), 2, 2, 2, encoding="film")
    film.gamma.data, film.beta.data = draw(1, 2, 2, seed=1), draw(1, 2, 2, seed=2)
    h = draw(1, 1, 2)
    moved = (1 + film.gamma[0, 1]) * h[0, 0] + film.beta[0, 1]
    expected = moved @ film.linear.weight[0] + film.linear.bias[0]
    torch.testing.assert_close(film(h, one_hot([1], 2))[0], expected)


def test_concat_adds_the_cohorts_own_offset():
    concat = StackedClassifier(generators(2), 4, 3, 2, encoding="concat")
    h = draw(2, 3, 4)
    weight = concat.linear.weight
    for k in range(2):
        expected = h[k] @ weight[k, :4] + weight[k, 4:] + concat.linear.bias[k]
        torch.testing.assert_close(concat(h, one_hot([0, 1, 2], 3))[k], expected)


@pytest.mark.parametrize("encoding", ["concat", "film"])
def test_a_bag_of_an_unseen_cohort_is_classified_by_its_embedding_alone(encoding):
    classifier = StackedClassifier(generators(2), 4, 3, 2, encoding=encoding)
    if encoding == "film":
        classifier.gamma.data, classifier.beta.data = draw(2, 3, 4, seed=1), draw(2, 3, 4, seed=2)
    h = draw(2, 5, 4)
    expected = h @ classifier.linear.weight[:, :4] + classifier.linear.bias
    torch.testing.assert_close(classifier(h, torch.zeros(1, 5, 3)), expected)


@pytest.mark.parametrize("encoding", ["concat", "film"])
def test_without_cohorts_nothing_encodes_them(encoding):
    classifier = StackedClassifier(generators(2), 4, 0, 2, encoding=encoding)
    assert classifier.encoding is None
    assert np.prod(classifier.linear.weight.shape) == 2 * 4 * 2
    assert classifier(draw(2, 3, 4), torch.zeros(1, 3, 0)).shape == (2, 3, 2)
