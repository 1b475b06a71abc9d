"""Whole labels are scored, over prompts that are read once."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from tcellmil.c2s import fit_label_temperature, label_log_probabilities, label_probabilities

ARCHITECTURES = ["llama", "gpt_neox", "gemma2"]
KINDS = ["word", "byte", "metaspace"]
#: One begins another, and one is much longer than the others.
LABELS = ["T cell", "B cell", "T cell memory", "monocyte", "CD4 T helper memory cell type", "T"]
PROMPTS = [
    "The cell CD3D LYZ AB is",
    "CD8A CD3 HLA-A LYZ NKG7 S100A8 ABC A AB CD3E CD8 The cell type is",
    "is",
    "The type of NKG7 MS4A1 is",
]


def ids_of(tokenizer, texts):
    return [tokenizer(text)["input_ids"] for text in texts]


def one_by_one(model, prompt, label):
    """Sum of log-probabilities of a label's tokens from one plain forward pass, without cache or padding."""
    import torch

    with torch.no_grad():
        logits = model(torch.tensor([[*prompt, *label]])).logits[0].double()
    log_p = torch.log_softmax(logits, dim=1)
    return sum(float(log_p[len(prompt) + i - 1, token]) for i, token in enumerate(label))


def expected(model, tokenizer, prompts, labels):
    spelled = [[*ids, tokenizer.eos_token_id] for ids in tokenizer(labels, add_special_tokens=False)["input_ids"]]
    return np.array([[one_by_one(model, prompt, label) for label in spelled] for prompt in prompts])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_scores_are_those_of_one_plain_pass_each(models_of, tokenizers_of, architecture, kind):
    tokenizer, model = tokenizers_of(kind), models_of(architecture, kind)
    prompts = ids_of(tokenizer, PROMPTS)
    scores = label_log_probabilities(model, tokenizer, prompts, LABELS)
    assert scores.dtype == np.float32
    np.testing.assert_allclose(scores, expected(model, tokenizer, prompts, LABELS), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("batch_tokens", [1, 40, 200])
def test_scores_do_not_depend_on_the_batch(models_of, tokenizers_of, architecture, batch_tokens):
    tokenizer, model = tokenizers_of("word"), models_of(architecture)
    prompts = ids_of(tokenizer, PROMPTS)
    whole = label_log_probabilities(model, tokenizer, prompts, LABELS)
    parts = label_log_probabilities(model, tokenizer, prompts, LABELS, batch_tokens=batch_tokens)
    np.testing.assert_allclose(parts, whole, rtol=1e-5, atol=1e-5)


def test_scores_follow_the_order_of_prompts_and_labels(models_of, tokenizers_of):
    tokenizer, model = tokenizers_of("word"), models_of("llama")
    prompts = ids_of(tokenizer, PROMPTS)
    scores = label_log_probabilities(model, tokenizer, prompts, LABELS)
    turned = label_log_probabilities(model, tokenizer, prompts[::-1], LABELS[::-1])
    np.testing.assert_allclose(turned, scores[::-1, ::-1], rtol=1e-5, atol=1e-5)


def test_labels_behind_a_blank_are_spelled_so(models_of, tokenizers_of):
    tokenizer, model = tokenizers_of("byte"), models_of("llama", "byte")
    prompts = ids_of(tokenizer, PROMPTS)
    scores = label_log_probabilities(model, tokenizer, prompts, LABELS, after_blank=True)
    blank = [f" {label}" for label in LABELS]
    np.testing.assert_allclose(scores, expected(model, tokenizer, prompts, blank), rtol=1e-5, atol=1e-5)


@pytest.mark.usefixtures("torch_rng_unchanged")
def test_the_model_stays_in_its_mode_and_its_weights_too(make_model, tokenizers_of):
    tokenizer, model = tokenizers_of("word"), make_model("llama", len(tokenizers_of("word")))
    model.train()
    model.model.layers[0].eval()
    modes = [module.training for module in model.modules()]
    weights = {name: weight.clone() for name, weight in model.state_dict().items()}
    label_log_probabilities(model, tokenizer, ids_of(tokenizer, PROMPTS), LABELS)
    assert [module.training for module in model.modules()] == modes
    assert all(bool((weight == weights[name]).all()) for name, weight in model.state_dict().items())
    assert all(weight.grad is None for weight in model.parameters())


def test_adapters_take_part(make_model, tokenizers_of):
    peft = pytest.importorskip("peft")
    import torch

    tokenizer, base = tokenizers_of("word"), make_model("llama", len(tokenizers_of("word")))
    prompts = ids_of(tokenizer, PROMPTS)
    without = label_log_probabilities(base, tokenizer, prompts, LABELS)
    model = peft.get_peft_model(base, peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    scores = label_log_probabilities(model, tokenizer, prompts, LABELS)
    assert np.abs(scores - without).max() > 1e-2
    np.testing.assert_allclose(scores, expected(model.eval(), tokenizer, prompts, LABELS), rtol=1e-5, atol=1e-5)


def test_no_prompts_have_no_rows(models_of, tokenizers_of):
    assert label_log_probabilities(models_of("llama"), tokenizers_of("word"), [], LABELS).shape == (0, len(LABELS))


@pytest.mark.parametrize(
    ("labels", "error", "message"),
    [
        (["T cell"], ValueError, r"two at least, .* got \['T cell'\]"),
        ("T cell", ValueError, "two at least"),
        ([], ValueError, "two at least"),
        (["T cell", 3, None], TypeError, r"must be text, got \['3', 'None'\] of type NoneType, int"),
        (["T cell", float("nan")], TypeError, r"must be text, got \['nan'\] of type float"),
        (["T cell", "B cell", "T  cell"], ValueError, r"\['T cell', 'T  cell'\] are spelled alike"),
        (["T cell", "T cell"], ValueError, "can not be told apart"),
        (["T cell", "platelet"], ValueError, "does not know all words of label 'platelet'"),
        (["T cell", " "], ValueError, "label ' ' has no token"),
        (["T cell", "T cell </s>"], ValueError, "label 'T cell </s>' is spelled with the end token"),
    ],
)
def test_labels_that_can_not_be_scored_are_refused(models_of, tokenizers_of, labels, error, message):
    with pytest.raises(error, match=message):
        label_log_probabilities(models_of("llama"), tokenizers_of("word"), [[2]], labels)


@pytest.mark.parametrize(
    ("prompts", "message"),
    [
        ([[2], []], "prompt 1 is empty"),
        ([[2], ["a"]], r"prompt 1 must be a row of token ids, got <U1 of shape \(1,\)"),
        ([[2.0, 3.0]], "prompt 0 must be a row of token ids, got float64"),
        ([[2], 3], r"prompt 1 must be a row of token ids, got int64 of shape \(\)"),
        ([[2, 9999]], "prompt 0 holds token id 9999; the model has the ids 0 to"),
        ([[2, -1]], "prompt 0 holds token id -1"),
        ([[2], [2] * 600], r"1 of 2 prompts are too long, the first is prompt 1: .* 600 tokens, and 7 more .* of 512"),
    ],
)
def test_prompts_that_can_not_be_read_are_refused(models_of, tokenizers_of, prompts, message):
    with pytest.raises(ValueError, match=message):
        label_log_probabilities(models_of("llama"), tokenizers_of("word"), prompts, LABELS)


def test_a_tokenizer_without_end_token_is_refused(models_of, make_tokenizer):
    tokenizer = make_tokenizer("word")
    tokenizer.eos_token = None
    with pytest.raises(ValueError, match="no end token"):
        label_log_probabilities(models_of("llama"), tokenizer, [[2]], LABELS)


def test_a_model_of_another_tokenizer_is_refused(make_model, tokenizers_of):
    with pytest.raises(ValueError, match="label 'memory' is spelled with .* tokens that the model does not have"):
        label_log_probabilities(make_model("llama", 8), tokenizers_of("word"), [[2]], ["The", "memory"])


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.1, 10))
def test_probabilities_sum_to_one_and_keep_the_order(seed, temperature):
    scores = np.random.default_rng(seed).normal(-20, 8, size=(5, 4)).astype(np.float32)
    p = label_probabilities(scores, temperature)
    np.testing.assert_allclose(p.sum(axis=1), 1, rtol=1e-5)
    assert (p.argmax(axis=1) == scores.argmax(axis=1)).all()
    with np.errstate(divide="ignore", invalid="ignore"):  # the least likely are 0 in float32
        odds = np.log(p[:, 0].astype(float)) - np.log(p[:, 1].astype(float))
    wide = (p[:, :2] > 1e-30).all(axis=1)
    np.testing.assert_allclose(odds[wide], (scores[wide, 0] - scores[wide, 1]) / temperature, rtol=1e-3, atol=1e-3)


def test_the_temperature_of_a_simulation_is_found_again():
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(20_000, 4)) * 2
    codes = (rng.random(20_000)[:, None] > softmax(logits, axis=1).cumsum(axis=1)).sum(axis=1).clip(max=3)
    assert fit_label_temperature(3 * logits, codes) == pytest.approx(3, rel=0.05)
    assert fit_label_temperature(3 * logits - 100, codes) == pytest.approx(3, rel=0.05)


def test_cells_without_a_label_do_not_count_in_calibration():
    rng = np.random.default_rng(1)
    scores, codes = rng.normal(size=(50, 3)), rng.integers(3, size=50)
    more = np.concatenate([scores, rng.normal(size=(9, 3))])
    own = fit_label_temperature(scores, codes)
    assert fit_label_temperature(more, np.append(codes, [-1] * 9)) == pytest.approx(own, rel=1e-6)


@pytest.mark.parametrize(
    ("codes", "message"),
    [
        ([0, 1], r"got \(3, 2\) and \(2,\)"),
        ([0, 1, 2], r"whole numbers from -1 to 1, got \['0', '1', '2'\]"),
        ([0.0, 1.0, 0.5], "whole numbers"),
        ([-1, -1, -1], "no cell has a label"),
    ],
)
def test_codes_that_are_no_labels_are_refused(codes, message):
    with pytest.raises(ValueError, match=message):
        fit_label_temperature(np.zeros((3, 2)), np.array(codes))
