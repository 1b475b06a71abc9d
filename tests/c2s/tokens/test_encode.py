import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s import (
    GeneTable,
    Task,
    build_examples,
    encode_example,
    encode_examples,
    encode_prompt,
    example_text,
    prompt_with,
    resolve_tasks,
)

ROOM = 4096
SEVERAL = Task("several", ["Label {n_genes} genes of {n_cells} cells\n{cells}\nCell type:"], " {tissue}", n_cells=3)


@pytest.fixture(scope="module", params=["word", "byte", "sentencepiece"])
def table(request, gene_words, word_tokenizer):
    if request.param == "word":
        said = [text for task in resolve_tasks(["cell_type_annotation", "cell_generation"]) for text in task.texts()]
        numbers = " ".join(map(str, range(61)))
        return GeneTable(word_tokenizer(*said, numbers, "B cell NK of Label cells", "Cell 1: 2: 3:"), gene_words)
    return GeneTable(request.getfixturevalue(f"{request.param}_tokenizer"), gene_words)


@pytest.fixture(scope="module")
def cells(gene_words):
    """Twelve cells of 10 to 60 different genes."""
    rng = np.random.default_rng(3)
    ids = np.array([rng.permutation(60) for _ in range(12)])
    for cell, n in enumerate(rng.integers(10, 61, size=12)):
        ids[cell, n:] = -1
    return pd.DataFrame({"cell_type": ["B cell", "NK cell"] * 6, "donor": "d", "tissue": "B cell"}), ids


def by_tokenizer(example, table):
    """Prompt and answer from the tokenizer, each as one text."""
    prompt, answer = (
        table.tokenizer(text, add_special_tokens=False)["input_ids"] for text in example_text(example, table.words)
    )
    return [*table.begin, *prompt], [*answer, table.end]


@pytest.mark.parametrize("task", ["cell_type_annotation", "cell_generation", SEVERAL])
def test_tokens_are_those_of_the_tokenizer_and_the_answer_is_taught(table, cells, task):
    examples = build_examples(task, *cells)
    encoded = encode_examples(examples, table, ROOM)
    for example, input_ids, labels in zip(examples, encoded.input_ids, encoded.labels, strict=True):
        prompt, answer = by_tokenizer(example, table)
        assert input_ids.tolist() == prompt + answer
        assert labels.tolist() == [-100] * len(prompt) + answer
    assert (encoded.n_genes_cut, encoded.n_prompts_cut) == (0, 0)
    assert table.exact


def cut_at(example, n_genes):
    """The example whose sentences never had more genes."""
    prompt = [piece[:n_genes] if isinstance(piece, np.ndarray) else piece for piece in example.prompt]
    return replace(example, prompt=prompt, n_genes=n_genes)


@pytest.mark.parametrize("shorter", [1, 7, 30])
def test_a_prompt_that_is_too_long_loses_genes_from_its_end(table, cells, shorter):
    example = build_examples("cell_type_annotation", *cells, wording=0)[1]
    whole = encode_example(example, table, ROOM)
    context = len(whole.input_ids) - shorter
    cut = encode_example(example, table, context)
    n_left = example.n_genes - cut.n_genes_cut
    assert cut.n_genes_cut > 0
    assert len(cut.input_ids) <= context
    # It is what the example is with the first genes only, the number in its wording among it.
    prompt, answer = by_tokenizer(cut_at(example, n_left), table)
    assert cut.input_ids.tolist() == prompt + answer
    assert cut.labels[cut.labels >= 0].tolist() == answer
    # One gene more would not have fitted.
    assert len(by_tokenizer(cut_at(example, n_left + 1), table)[0]) + len(answer) > context


@settings(deadline=None, max_examples=25)
@given(share=st.floats(0, 1), n_cells=st.integers(2, 4), seed=st.integers(0, 5))
def test_no_answer_ever_loses_a_token_and_every_gene_is_counted(table, cells, share, n_cells, seed):
    example = build_examples(SEVERAL, *cells, n_cells=n_cells, seed=seed)[0]
    prompt, answer = by_tokenizer(example, table)
    context = int(len(answer) + 1 + share * len(prompt))
    try:
        encoded = encode_example(example, table, context)
    except ValueError as error:
        assert re.search(rf"the context of {context} tokens is too short for task 'several'", str(error))
        return
    assert encoded.labels[-len(answer) :].tolist() == encoded.input_ids[-len(answer) :].tolist() == answer
    sizes = [len(piece) for piece in example.prompt if isinstance(piece, np.ndarray)]
    by_size = {n: by_tokenizer(cut_at(example, n), table)[0] for n in range(1, max(sizes) + 1)}
    most = max(n for n, tokens in by_size.items() if len(tokens) + len(answer) <= context)
    assert encoded.input_ids.tolist() == by_size[most] + answer
    assert encoded.n_genes_cut == sum(max(0, size - most) for size in sizes)


def test_the_longest_sentences_of_a_prompt_are_cut_first(byte_tokenizer, gene_words, cells):
    table = GeneTable(byte_tokenizer, gene_words)
    example = build_examples(SEVERAL, *cells)[0]
    sizes = [len(piece) for piece in example.prompt if isinstance(piece, np.ndarray)]
    prompt, n_cut = encode_prompt(example, table, len(encode_prompt(example, table, ROOM)[0]) - 1)
    lines = byte_tokenizer.decode(prompt).splitlines()[1:-1]
    left = [len(line.split(": ")[1].split()) for line in lines]
    most = max(left)
    assert left == [min(size, most) for size in sizes]
    assert sum(sizes) - sum(left) == n_cut > 0
    assert byte_tokenizer.decode(prompt).startswith(f"Label {most} genes of 3 cells")


def test_cut_prompts_are_reported_once_with_their_number(byte_tokenizer, gene_words, cells):
    table = GeneTable(byte_tokenizer, gene_words)
    examples = build_examples("cell_type_annotation", *cells)
    lengths = [len(row) for row in encode_examples(examples, table, ROOM).input_ids]
    context = sorted(lengths)[4]
    with pytest.warns(
        UserWarning, match=rf"7 of 12 prompts are longer than the context of {context} tokens: they lose"
    ) as seen:
        encoded = encode_examples(examples, table, context)
    assert len(seen) == 1
    assert f" lose {encoded.n_genes_cut} genes " in str(seen[0].message)
    assert encoded.n_prompts_cut == 7 and max(map(len, encoded.input_ids)) <= context


def test_an_answer_that_does_not_fit_is_an_error(byte_tokenizer, gene_words, cells):
    table = GeneTable(byte_tokenizer, gene_words)
    with pytest.raises(ValueError, match="too short for task 'cell_generation': .* or fewer genes in a sentence"):
        encode_examples(build_examples("cell_generation", *cells), table, 40)


def test_a_context_too_short_for_one_gene_is_an_error(byte_tokenizer, gene_words, cells):
    table = GeneTable(byte_tokenizer, gene_words)
    [example] = build_examples("cell_type_annotation", cells[0][:1], cells[1][:1])
    match = r"the context of 12 tokens is too short for task 'cell_type_annotation': .* \d+ tokens, with one gene"
    with pytest.raises(ValueError, match=match):
        encode_example(example, table, 12)
    with pytest.raises(ValueError, match="context=0 must be a whole number"):
        encode_example(example, table, 0)


def test_a_question_has_a_prompt_and_no_answer(table, cells):
    example = build_examples("cell_type_annotation", *cells, answers=False)[0]
    prompt, n_cut = encode_prompt(example, table, ROOM)
    assert (prompt.tolist(), n_cut) == (by_tokenizer(example, table)[0], 0)
    wanted = prompt_with("cell_generation", n_genes=60, cell_type="B cell")
    assert encode_prompt(wanted, table, ROOM)[0].tolist() == by_tokenizer(wanted, table)[0]


def test_room_for_an_answer_is_kept(byte_tokenizer, gene_words, cells):
    table = GeneTable(byte_tokenizer, gene_words)
    example = build_examples("cell_type_annotation", *cells)[0]
    n = len(encode_prompt(example, table, ROOM)[0])
    prompt, n_cut = encode_prompt(example, table, n, reserved=20)
    assert len(prompt) <= n - 20 and n_cut > 0


def test_a_tokenizer_that_merges_across_blanks_is_cut_as_well(merging_tokenizer, gene_words, cells):
    with pytest.warns(UserWarning, match="splits every text itself"):
        table = GeneTable(merging_tokenizer, gene_words)
    example = build_examples("cell_type_annotation", *cells, wording=0)[0]
    prompt, answer = by_tokenizer(example, table)
    assert encode_example(example, table, ROOM).input_ids.tolist() == prompt + answer
    cut = encode_example(example, table, len(prompt + answer) - 9)
    assert len(cut.input_ids) <= len(prompt + answer) - 9 and cut.n_genes_cut > 0
    assert cut.input_ids[-len(answer) :].tolist() == answer
