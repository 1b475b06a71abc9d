"""Sentences that a model writes: batched, from what is kept, and as a plain loop would write them."""

import sys
import types

import numpy as np
import pytest

from tcellmil.c2s import generate_sentences
from tcellmil.c2s._text import read_sentences

ARCHITECTURES = ["llama", "gpt_neox", "gemma2"]
KINDS = ["word", "byte", "metaspace"]
GENES = ["CD3", "CD3D", "CD3E", "CD8", "CD8A", "A", "AB", "ABC", "HLA-A", "HLA-DRA", "MS4A1", "LYZ", "NKG7", "S100A8"]
PROMPTS = ["The cell type is", "is", "The CD4 helper T cell is", "NK", "monocyte memory B cell type is The cell"]


def ids_of(tokenizer, texts):
    return [tokenizer(text)["input_ids"] for text in texts]


def next_scores(model, ids):
    """Scores of the next token from one plain forward pass, without cache or padding."""
    import torch

    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0, -1].numpy()


def plain_words(model, tokenizer, prompt, genes, n_genes):
    """The likeliest allowed token each time, by spelling out all that may follow; places of the genes written."""
    first = dict(zip(genes, tokenizer(list(genes))["input_ids"], strict=True))
    behind = {gene: tokenizer(f"x {gene}")["input_ids"][len(tokenizer("x")["input_ids"]) :] for gene in genes}
    end, said, part, ids = tokenizer.eos_token_id, [], [], list(prompt)
    while len(said) < n_genes:
        spelled = behind if said else first
        whole = next((gene for gene in genes if gene not in said and spelled[gene] == part), None)
        begun = [ids for gene, ids in spelled.items() if gene not in said and ids[: len(part)] == part]
        longer = {ids[len(part)] for ids in begun if len(ids) > len(part)} if part or not said else set()
        fresh = (
            {behind[gene][0] for gene in genes if gene not in [*said, whole]} if whole or (said and not part) else set()
        )
        stop = {end} if whole or (said and not part) else set()
        scores = next_scores(model, ids)
        token = max(sorted(longer | fresh | stop), key=lambda i: scores[i])
        if token not in longer and whole is not None:
            said, part = [*said, whole], []
        if token == end:
            break
        part, ids = [*part, token], [*ids, token]
        if len(said) < n_genes and not any(
            len(other) > len(part) and other[: len(part)] == part for other in (behind if said else first).values()
        ):
            said, part = [*said, next(g for g, s in (behind if said else first).items() if s == part)], []
    return [genes.index(gene) for gene in said]


def plain_text(model, tokenizer, prompt, n_genes, n_tokens):
    """The likeliest token each time."""
    ids = []
    while len(ids) < n_tokens and len(tokenizer.decode(ids).split()) <= n_genes:
        token = int(next_scores(model, [*prompt, *ids]).argmax())
        if token == tokenizer.eos_token_id:
            break
        ids.append(token)
    return tokenizer.decode(ids).split()[:n_genes]


def rows_of(found):
    return [[int(i) for i in row if i >= 0] for row in found.ids]


def biased(model, **of_token):
    """Add to the scores of tokens."""
    import torch

    bias = torch.zeros(model.config.vocab_size)
    for token, value in of_token.items():
        bias[int(token[1:])] = value
    return model.lm_head.register_forward_hook(lambda module, inputs, output: output + bias)


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
def test_whole_words_are_those_of_a_plain_loop(models_of, tokenizers_of, architecture, kind):
    tokenizer, model = tokenizers_of(kind), models_of(architecture, kind)
    prompts = ids_of(tokenizer, PROMPTS)
    found = generate_sentences(model, tokenizer, prompts, GENES, n_genes=9, temperature=0)
    assert found.ids.dtype == np.int32 and found.ids.shape == (5, 9)
    assert rows_of(found) == [plain_words(model, tokenizer, prompt, GENES, 9) for prompt in prompts]


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore:.*were cut at")
def test_free_text_is_that_of_a_plain_loop(models_of, tokenizers_of, architecture, kind):
    tokenizer, model = tokenizers_of(kind), models_of(architecture, kind)
    words, prompts = ["CD3D", "LYZ", "cell", "AB"], ids_of(tokenizer, PROMPTS)
    longest = max(len(tokenizer(f"x {word}")["input_ids"]) - len(tokenizer("x")["input_ids"]) for word in words)
    found = generate_sentences(model, tokenizer, prompts, words, n_genes=12, temperature=0, constrain=False)
    for i, prompt in enumerate(prompts):
        text = plain_text(model, tokenizer, prompt, 12, 12 * longest + 1)
        parsed = read_sentences([" ".join(text)], words)
        assert rows_of(found)[i] == parsed.ids[0].tolist()
        assert (found.n_unknown[i], found.n_repeated[i]) == (parsed.n_unknown[0], parsed.n_repeated[0])


@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize(("kind", "constrain"), [("byte", True), ("word", False)])
@pytest.mark.usefixtures("torch_rng_unchanged")
def test_batches_of_any_size_write_the_same(models_of, tokenizers_of, architecture, kind, constrain):
    """Rows end at different steps, so that batches shrink on the way."""
    import torch

    tokenizer, model = tokenizers_of(kind), models_of(architecture, kind)
    prompts, options = ids_of(tokenizer, PROMPTS * 2), {"n_genes": 7, "temperature": 2.0, "constrain": constrain}
    hook = biased(model, t0=1.0)
    try:
        whole, parts, single = (
            generate_sentences(
                model, tokenizer, prompts, GENES, **options, batch_tokens=n, generator=torch.Generator().manual_seed(3)
            )
            for n in (100_000, 60, 1)
        )
    finally:
        hook.remove()
    assert len(set((whole.ids >= 0).sum(axis=1).tolist())) > 2
    for other in (parts, single):
        assert np.array_equal(whole.ids, other.ids) and np.array_equal(whole.n_unknown, other.n_unknown)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("n_genes", [1, 5, 14, 40])
def test_sentences_hold_known_genes_and_none_twice(models_of, tokenizers_of, kind, n_genes):
    tokenizer, model = tokenizers_of(kind), models_of("llama", kind)
    prompts = ids_of(tokenizer, PROMPTS * 4)
    found = generate_sentences(model, tokenizer, prompts, GENES, n_genes=n_genes, temperature=3.0)
    for row in rows_of(found):
        assert 1 <= len(row) <= min(n_genes, len(GENES)) and len(set(row)) == len(row)
    n_of_row = (found.ids >= 0).sum(axis=1)
    assert ((found.ids >= 0) == (np.arange(n_genes) < n_of_row[:, None])).all()
    assert not found.n_unknown.any() and not found.n_repeated.any()
    assert found.ids.max() < len(GENES)


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_that_never_ends_writes_every_gene_once(models_of, tokenizers_of, kind):
    tokenizer, model = tokenizers_of(kind), models_of("llama", kind)
    hook = biased(model, t0=-1000.0)
    try:
        found = generate_sentences(model, tokenizer, ids_of(tokenizer, PROMPTS), GENES, n_genes=20)
    finally:
        hook.remove()
    assert (np.sort(found.ids[:, :14], axis=1) == np.arange(14)).all() and (found.ids[:, 14:] == -1).all()


def test_a_model_that_ends_at_once_writes_one_gene(models_of, tokenizers_of):
    tokenizer, model = tokenizers_of("word"), models_of("llama")
    hook = biased(model, t0=1000.0)
    try:
        prompts = ids_of(tokenizer, PROMPTS)
        one = generate_sentences(model, tokenizer, prompts, GENES, n_genes=6)
        none = generate_sentences(model, tokenizer, prompts, GENES, n_genes=6, constrain=False)
    finally:
        hook.remove()
    assert ((one.ids >= 0).sum(axis=1) == 1).all()
    assert (none.ids == -1).all() and not none.n_unknown.any()


@pytest.mark.parametrize(("word", "n_unknown", "n_repeated"), [("LYZ", 0, 5), ("helper", 6, 0), ("[UNK]", 6, 0)])
def test_unknown_and_repeated_words_are_counted(models_of, tokenizers_of, word, n_unknown, n_repeated):
    tokenizer, model = tokenizers_of("word"), models_of("llama")
    hook = biased(model, **{f"t{tokenizer.convert_tokens_to_ids(word)}": 1000.0})
    try:
        found = generate_sentences(model, tokenizer, [[2], [3, 4]], GENES, n_genes=6, constrain=False)
    finally:
        hook.remove()
    assert found.n_unknown.tolist() == [n_unknown] * 2 and found.n_repeated.tolist() == [n_repeated] * 2
    assert (found.ids == (GENES.index(word) if word in GENES else -1)).all()


def test_draws_follow_the_probabilities_of_the_model(models_of, tokenizers_of):
    from scipy.special import softmax
    from scipy.stats import chisquare

    tokenizer, model = tokenizers_of("word"), models_of("llama")
    prompt, n = ids_of(tokenizer, PROMPTS[:1])[0], 4000
    scores = next_scores(model, prompt)[tokenizer.convert_tokens_to_ids(GENES)]
    for temperature in (1.0, 2.5):
        p = softmax(scores.astype(float) / temperature)
        found = generate_sentences(model, tokenizer, [prompt] * n, GENES, n_genes=1, temperature=temperature)
        counts, often = np.bincount(found.ids[:, 0], minlength=len(GENES)), p * n >= 5
        observed, expected = (np.append(v[often], v[~often].sum()) for v in (counts, p * n))
        observed, expected = observed[expected > 0.5], expected[expected > 0.5]
        assert chisquare(observed, expected * observed.sum() / expected.sum()).pvalue > 1e-3


def test_top_p_leaves_the_likeliest_genes_only(models_of, tokenizers_of):
    from scipy.special import softmax

    tokenizer, model = tokenizers_of("word"), models_of("llama")
    prompt = ids_of(tokenizer, PROMPTS[:1])[0]
    p = softmax(next_scores(model, prompt)[tokenizer.convert_tokens_to_ids(GENES)].astype(float) / 4)
    order = np.argsort(-p)
    before = p[order].cumsum() - p[order]
    found = generate_sentences(model, tokenizer, [prompt] * 1000, GENES, n_genes=1, temperature=4.0, top_p=0.6)
    assert set(found.ids[:, 0].tolist()) == set(order[before < 0.6].tolist())


@pytest.mark.usefixtures("torch_rng_unchanged")
def test_a_generator_gives_the_same_again_and_then_goes_on(models_of, tokenizers_of):
    import torch

    tokenizer, model = tokenizers_of("word"), models_of("llama")
    prompts, generator = ids_of(tokenizer, PROMPTS * 3), torch.Generator().manual_seed(5)
    options = {"n_genes": 8, "temperature": 2.0}
    first, second = (
        generate_sentences(model, tokenizer, prompts, GENES, **options, generator=generator) for _ in range(2)
    )
    again = generate_sentences(model, tokenizer, prompts, GENES, **options, generator=generator.manual_seed(5))
    assert np.array_equal(first.ids, again.ids) and not np.array_equal(first.ids, second.ids)
    assert len({tuple(row) for row in first.ids.tolist()}) == 15


def test_the_first_gene_behind_a_blank_is_spelled_so(models_of, tokenizers_of):
    """The likeliest gene by the score of its spelling behind a blank, among genes of one token there."""
    tokenizer, model = tokenizers_of("byte"), models_of("llama", "byte")
    prompt = ids_of(tokenizer, PROMPTS[:1])[0]
    head = tokenizer("x")["input_ids"]
    spelled = {gene: tokenizer(f"x {gene}")["input_ids"][len(head) :] for gene in GENES}
    short = [gene for gene in GENES if len(spelled[gene]) == 1]
    assert len(short) > 3
    found = generate_sentences(model, tokenizer, [prompt], short, n_genes=1, temperature=0, after_blank=True)
    scores = next_scores(model, prompt)
    assert short[found.ids[0, 0]] == max(short, key=lambda gene: scores[spelled[gene][0]])


def test_words_that_the_tokenizer_does_not_know_are_never_written(models_of, tokenizers_of):
    tokenizer, model = tokenizers_of("word"), models_of("llama")
    words = ["FOXP3", *GENES[:5], "GATA1"]
    with pytest.warns(UserWarning, match=r"does not know 2 of 7 words, which are never written: \['FOXP3', 'GATA1'\]"):
        found = generate_sentences(model, tokenizer, ids_of(tokenizer, PROMPTS), words, n_genes=7, temperature=3.0)
    assert set(found.ids.ravel().tolist()) <= {-1, 1, 2, 3, 4, 5}


def test_sentences_that_do_not_fit_the_context_are_cut_and_counted(make_model, tokenizers_of):
    tokenizer = tokenizers_of("byte")
    model = make_model("llama", len(tokenizer), context=20)
    prompts = ids_of(tokenizer, ["is", "The cell type is The"])
    hook = biased(model, t0=-1000.0)
    try:
        with pytest.warns(UserWarning, match="sentences were cut at .* tokens or the model's context of 20"):
            found = generate_sentences(model, tokenizer, prompts, GENES, n_genes=13)
    finally:
        hook.remove()
    n = (found.ids >= 0).sum(axis=1)
    assert 0 < n[1] < n[0] < 14


def test_adapters_take_part(make_model, tokenizers_of):
    peft = pytest.importorskip("peft")
    import torch

    tokenizer = tokenizers_of("word")
    model = peft.get_peft_model(
        make_model("llama", len(tokenizer)), peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"])
    )
    prompts, options = ids_of(tokenizer, PROMPTS), {"n_genes": 6, "temperature": 0}
    before = generate_sentences(model, tokenizer, prompts, GENES, **options)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if "lora_B" in name:
                weight.fill_(0.3)
    found = generate_sentences(model, tokenizer, prompts, GENES, **options)
    assert not np.array_equal(found.ids, before.ids)
    assert rows_of(found) == [plain_words(model.eval(), tokenizer, prompt, GENES, 6) for prompt in prompts]


@pytest.mark.parametrize("constrain", [True, False])
def test_no_prompts_have_no_sentences(models_of, tokenizers_of, constrain):
    found = generate_sentences(models_of("llama"), tokenizers_of("word"), [], GENES, n_genes=4, constrain=constrain)
    assert found.ids.shape == (0, 4) and found.n_unknown.shape == (0,)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_genes": 0}, "n_genes=0 must be a whole number"),
        ({"temperature": -1.0}, "temperature=-1.0 must be positive"),
        ({"temperature": float("nan")}, "temperature=nan must be positive"),
        ({"top_p": 0.0}, "top_p=0.0 must be positive"),
        ({"top_p": 1.5}, "top_p=1.5 must be at most 1"),
        ({"batch_tokens": 0.5}, "batch_tokens=0.5"),
        ({"engine": "tgi"}, "engine='tgi' is not known; choose from 'transformers', 'vllm'"),
        ({"engine": "vllm"}, "can not keep a model to whole genes; pass constrain=False"),
        ({"n_genes": 600}, "1 of 1 prompts are too long, .* 600 more must fit into the model's context of 512"),
        ({"words": []}, "there are no words"),
        ({"words": ["CD3D", "HLA A"]}, r"names of genes without blanks, got \['HLA A'\]"),
        ({"words": ["CD3D", None]}, r"names of genes without blanks, got \['None'\]"),
        ({"words": ["CD3D", "LYZ", "CD3D"]}, r"words are not unique: \['CD3D'\]"),
        ({"words": ["FOXP3", "GATA1"]}, r"knows none of the 2 words, such as \['FOXP3', 'GATA1'\]"),
        ({"words": ["CD3D", "</s>"]}, "the spelling of '</s>' holds the end token"),
        ({"prompts": [[]]}, "prompt 0 is empty"),
    ],
)
def test_bad_input_is_refused(models_of, tokenizers_of, options, message):
    arguments = {"prompts": [[2]], "words": GENES, "n_genes": 5} | options
    with pytest.raises(ValueError, match=message):
        generate_sentences(models_of("llama"), tokenizers_of("word"), arguments.pop("prompts"), **arguments)


def test_words_that_are_spelled_alike_are_refused(make_model):
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    core = Tokenizer(models.WordLevel({"</s>": 0, "actb": 1, "lyz": 2, "[UNK]": 3}, unk_token="[UNK]"))
    core.pre_tokenizer, core.normalizer = pre_tokenizers.WhitespaceSplit(), normalizers.Lowercase()
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    with pytest.raises(ValueError, match=r"spells \['ACTB', 'Actb'\] alike, so they can not be told apart"):
        generate_sentences(make_model("llama", 4), tokenizer, [[1]], ["ACTB", "LYZ", "Actb"], n_genes=2)


def test_a_tokenizer_that_does_not_mark_words_is_refused(make_model):
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    letters = {letter: i for i, letter in enumerate(["</s>", "[UNK]", "x", "A", "B", "C"])}
    core = Tokenizer(models.WordLevel(letters, unk_token="[UNK]"))
    split = [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Split(Regex("."), "isolated")]
    core.pre_tokenizer = pre_tokenizers.Sequence(split)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=core, eos_token="</s>", unk_token="[UNK]")
    with pytest.raises(ValueError, match="does not mark where a word begins: behind 'A' one token may go on"):
        generate_sentences(make_model("llama", 6), tokenizer, [[2]], ["A", "AB", "B"], n_genes=2)


def test_vllm_that_is_not_installed_is_named(models_of, tokenizers_of, monkeypatch):
    monkeypatch.setitem(sys.modules, "vllm", None)
    with pytest.raises(ImportError, match="needs the package vllm, not installed here: pip install vllm"):
        generate_sentences(models_of("llama"), tokenizers_of("word"), [[2]], GENES, engine="vllm", constrain=False)


def test_vllm_gets_the_model_and_a_seed_for_each_prompt(models_of, tokenizers_of, monkeypatch):
    """A stand-in for the package, as far as it is used."""
    from transformers import AutoModelForCausalLM

    tokenizer, model, seen = tokenizers_of("word"), models_of("llama"), {}

    class LLM:
        def __init__(self, model, trust_remote_code):
            seen["n_tokens"] = AutoModelForCausalLM.from_pretrained(model).config.vocab_size
            seen["trusted"] = trust_remote_code

        def generate(self, prompts, params):
            seen["prompts"], seen["params"] = [p["prompt_token_ids"] for p in prompts], params
            ids = tokenizer.convert_tokens_to_ids(["LYZ", "helper", "LYZ", "CD3"])
            return [types.SimpleNamespace(outputs=[types.SimpleNamespace(token_ids=(*ids, 0, 5))]) for _ in prompts]

    stand_in = types.SimpleNamespace(LLM=LLM, SamplingParams=lambda **options: options)
    monkeypatch.setitem(sys.modules, "vllm", stand_in)
    options = {"n_genes": 5, "temperature": 0.7, "top_p": 0.9, "engine": "vllm", "constrain": False}
    found = generate_sentences(model, tokenizer, [[2, 3], [4]], GENES, **options)
    assert seen["prompts"] == [[2, 3], [4]] and seen["trusted"] is False and seen["n_tokens"] == len(tokenizer)
    first, second = seen["params"]
    assert first["seed"] != second["seed"] and first["stop_token_ids"] == [0] and first["max_tokens"] == 6
    assert (first["temperature"], first["top_p"]) == (0.7, 0.9)
    assert rows_of(found) == [[GENES.index("LYZ"), GENES.index("LYZ"), GENES.index("CD3")]] * 2
    assert found.n_unknown.tolist() == [1, 1] and found.n_repeated.tolist() == [1, 1]
