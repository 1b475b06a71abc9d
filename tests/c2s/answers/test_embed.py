"""A prompt has one vector, whatever prompts are with it."""

import numpy as np
import pytest

from tcellmil.c2s import embed_prompts

ARCHITECTURES = ["llama", "gpt_neox", "gemma2"]


@pytest.fixture(scope="module")
def prompts():
    """64 prompts of 1 to 40 tokens; those over 6 tokens are longer than the window of the tiny gemma2."""
    rng = np.random.default_rng(0)
    return [rng.integers(2, 25, size=n) for n in [1, 40, *rng.integers(2, 40, size=62)]]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
def test_vectors_are_those_of_a_plain_pass_of_one_prompt(models_of, prompts, architecture):
    import torch

    model = models_of(architecture)
    vectors = embed_prompts(model, prompts)
    assert vectors.dtype == np.float32 and vectors.shape == (64, 32)
    with torch.no_grad():
        hidden = [model(torch.tensor(p)[None], output_hidden_states=True).hidden_states[-1][0] for p in prompts]
    np.testing.assert_allclose(vectors, [h.mean(dim=0).numpy() for h in hidden], rtol=0, atol=1e-5)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("padding", ["left", "right"])
def test_alone_and_in_a_batch_of_64_the_vector_is_the_same(models_of, prompts, architecture, padding):
    model = models_of(architecture)
    together = embed_prompts(model, prompts, padding=padding, batch_tokens=64 * 40)
    alone = np.concatenate([embed_prompts(model, [prompt]) for prompt in prompts])
    np.testing.assert_allclose(together, alone, rtol=0, atol=1e-5)
    assert np.abs(together[0] - together[1]).max() > 0.1


@pytest.mark.parametrize("batch_tokens", [1, 100])
def test_vectors_do_not_depend_on_the_batch(models_of, prompts, batch_tokens):
    model = models_of("llama")
    np.testing.assert_allclose(
        embed_prompts(model, prompts, batch_tokens=batch_tokens), embed_prompts(model, prompts), rtol=0, atol=1e-5
    )


@pytest.mark.usefixtures("torch_rng_unchanged")
def test_dropout_is_off_and_the_mode_comes_back(make_model, prompts):
    model = make_model("gpt_neox", 25)
    model.gpt_neox.emb_dropout.p = 0.5
    model.train()
    first, second = embed_prompts(model, prompts[:4]), embed_prompts(model, prompts[:4])
    assert np.array_equal(first, second)
    assert model.training and model.gpt_neox.emb_dropout.training


def test_vectors_of_a_shorter_type_come_as_float32(make_model, prompts):
    import torch

    model = make_model("llama", 25)
    exact = embed_prompts(model, prompts[:8])
    short = embed_prompts(model.to(torch.bfloat16), prompts[:8])
    assert short.dtype == np.float32
    np.testing.assert_allclose(short, exact, rtol=0, atol=0.2)


def test_no_prompts_have_no_vectors(models_of):
    assert embed_prompts(models_of("llama"), []).shape == (0, 32)


@pytest.mark.parametrize(
    ("prompts", "options", "message"),
    [
        ([[2], []], {}, "prompt 1 is empty"),
        ([[2, 99]], {}, "prompt 0 holds token id 99"),
        ([[2] * 513], {}, "1 of 1 prompts are too long"),
        ([[2]], {"padding": "both"}, "padding='both' is not known"),
        ([[2]], {"batch_tokens": 0}, "batch_tokens=0"),
    ],
)
def test_bad_input_is_refused(models_of, prompts, options, message):
    with pytest.raises(ValueError, match=message):
        embed_prompts(models_of("llama"), prompts, **options)
