"""BERTScore: the printed formula over any encoder that is a function."""

import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil import metrics
from tcellmil.metrics import bert_score

WORDS = ["cd4", "cd8", "t", "b", "cell", "naive"]
VECTORS = np.random.default_rng(0).normal(size=(len(WORDS), 8))
TEXT = st.lists(st.sampled_from(WORDS), min_size=1, max_size=5).map(" ".join)


def encode(texts):
    """A word is its vector, changed by the word before it."""
    found = []
    for text in texts:
        vectors = VECTORS[[WORDS.index(word) for word in text.split()]].reshape(-1, 8)
        found.append(vectors + 0.3 * np.vstack([np.zeros((1, 8)), vectors[:-1]])[: len(vectors)])
    return found


def by_formula(real, generated):
    x, y = encode([real])[0], encode([generated])[0]
    cosine = [[a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in y] for a in x]
    recall, precision = np.mean(np.max(cosine, axis=1)), np.mean(np.max(cosine, axis=0))
    return {"precision": precision, "recall": recall, "f1": 2 * precision * recall / (precision + recall)}


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6), st.sampled_from(["f1", "precision", "recall"]))
@settings(deadline=None, max_examples=50)
def test_it_is_the_printed_formula_pair_by_pair(pairs, part):
    real, generated = zip(*pairs, strict=True)
    expected = [by_formula(*pair)[part] for pair in pairs]
    np.testing.assert_allclose(bert_score(real, generated, encode, part=part), expected, rtol=1e-12)


@given(st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=6), st.randoms())
@settings(deadline=None, max_examples=30)
def test_a_pair_has_its_value_wherever_it_stands(pairs, random):
    alone = [bert_score([r], [g], encode)[0] for r, g in pairs]
    order = random.sample(range(len(pairs)), len(pairs))
    real, generated = zip(*(pairs[i] for i in order), strict=True)
    np.testing.assert_array_equal(bert_score(real, generated, encode), np.array(alone)[order])
    interchanged = bert_score(generated, real, encode, part="recall")
    np.testing.assert_allclose(interchanged, bert_score(real, generated, encode, part="precision"), rtol=1e-15)


def test_a_text_and_itself_have_one():
    texts = ["cd4 t cell", "b", "naive naive b cell"]
    np.testing.assert_allclose(bert_score(texts, texts, encode), 1, rtol=1e-12)


def test_orthogonal_tokens_have_zero_and_opposite_ones_less():
    table = {"up": [1, 0], "side": [0, 1], "down": [-1, 0], "nothing": [0, 0]}

    def axes(texts):
        return [np.array([table[word] for word in text.split()]) for text in texts]

    np.testing.assert_array_equal(bert_score(["up"] * 4, ["side", "down", "nothing", "up side"], axes)[:3], [0, -1, 0])
    assert bert_score(["up"], ["up side"], axes, part="recall")[0] == 1
    assert bert_score(["up"], ["up side"], axes, part="precision")[0] == 0.5


def test_nothing_generated_is_zero_and_nothing_real_is_refused():
    assert bert_score(["b cell"], [""], encode)[0] == 0
    with pytest.raises(ValueError, match="the real text '' has no token; leave it out"):
        bert_score([""], ["b cell"], encode)


def test_each_text_is_encoded_once():
    seen = []

    def counted(texts):
        seen.extend(texts)
        return encode(texts)

    bert_score(["b cell", "t cell"] * 50, ["t cell", "t cell"] * 50, counted)
    assert sorted(seen) == ["b cell", "t cell"]


def test_many_pairs_come_in_pieces(monkeypatch):
    from tcellmil.metrics import _bert_score

    texts = [f"{a} {b}" for a in WORDS for b in WORDS]
    whole = bert_score(texts, texts[::-1], encode)
    monkeypatch.setattr(_bert_score, "N_PAIRS", 5)
    np.testing.assert_array_equal(bert_score(texts, texts[::-1], encode), whole)


def test_conditions_are_averaged():
    result = bert_score(["b", "t", "cd4"], ["b", "t", ""], encode, by=["x", "x", "y"])
    assert result.values.to_dict() == pytest.approx({"x": 1, "y": 0}) and result.mean == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("real", "generated", "encoder", "options", "error", "message"),
    [
        (["b"], ["b", "t"], encode, {}, ValueError, "1 real and 2 generated texts"),
        ("b", ["b"], encode, {}, TypeError, "real must be a list of texts, got one text"),
        (["b"], [None], encode, {}, TypeError, "generated must hold texts; item 0 is None"),
        (["b"], ["b"], encode, {"part": "f2"}, ValueError, "part='f2' is not known; choose from 'f1'"),
        (["b"], ["t"], lambda texts: encode(texts)[:1], {}, ValueError, "gave 1 arrays for 2 texts"),
        (
            ["b"],
            ["t"],
            lambda texts: [np.ones(3)] * 2,
            {},
            ValueError,
            r"finite \(n_tokens, n_features\) .* got \(3,\)",
        ),
        (["b"], ["t"], lambda texts: [np.full((1, 2), np.nan)] * 2, {}, ValueError, "the encoder must give finite"),
        (["b"], ["t"], "no/such/folder", {}, ValueError, "encoder='no/such/folder' is no folder here; download"),
    ],
)
def test_what_cannot_be_scored_is_named(real, generated, encoder, options, error, message):
    with pytest.raises(error, match=message):
        bert_score(real, generated, encoder, **options)


def test_without_transformers_a_folder_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(ImportError, match=r"needs transformers: pip install \"tcellmil\[c2s\]\""):
        bert_score(["b"], ["b"], tmp_path)
    with pytest.raises(ImportError, match="needs transformers"):
        metrics.LocalEncoder(tmp_path)
