import json
import re
from importlib.resources import files
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.c2s import Task, list_tasks, register_task, resolve_tasks
from tcellmil.c2s._tasks import _task
from tcellmil.c2s._tasks._template import fields_of, literal_texts

ROOT = Path(__file__).resolve().parents[3]
OWN = resolve_tasks(_task.NAMES)
KNOWN = {"organism": "Homo sapiens", "tissue": "lung", "disease": "asthma", "cell_type": "B cell", "donor": "one"}
KNOWN |= {"abstract": "We sequenced airways. They breathe."}


@pytest.fixture(autouse=True)
def forget_registered(monkeypatch):
    monkeypatch.setattr(_task, "_registered", {})


def one_example(task, *, texts, answers=True):
    """The first example of any task, from six cells or one gene set, and the words of its genes."""
    words = [f"G{i}" for i in range(8)]
    if task.unit == "gene set":
        sets = pd.DataFrame({"source": "HALLMARK_X", "target": ["G1", "G2", "G5"]})
        return tm.c2s.gene_set_examples(task, sets, words, answers=answers)[0], words
    ids = np.array([[0, 1, 2, 3], [4, 5, 6, -1]] * 3)
    texts = {name: text for name, text in texts.items() if name in {*task.reads, *task.may_read, "donor"}}
    return tm.c2s.build_examples(task, pd.DataFrame(index=range(6)), ids, texts=texts, answers=answers)[0], words


def test_there_are_the_twelve_tasks_of_the_paper():
    table = list_tasks()
    assert len(table) == 12
    assert table["unit"].value_counts().to_dict() == {"cells": 7, "cell": 3, "gene set": 2}
    assert set(table["metric"]) == {"gene_overlap", "bert_score"}


@pytest.mark.parametrize(
    ("name", "asks", "answers", "metric"),
    [
        ("cell_language_modeling", (), (), "gene_overlap"),
        ("cell_type_annotation", (), ("cell_type",), "bert_score"),
        ("cell_generation", ("cell_type",), (), "gene_overlap"),
        ("sample_language_modeling", (), (), "gene_overlap"),
        ("tissue_annotation", (), ("tissue",), "bert_score"),
        ("sample_cell_types", (), ("cell_type",), "bert_score"),
        ("sample_generation_by_tissue", ("tissue",), (), "gene_overlap"),
        ("sample_generation_by_cell_types", ("cell_type",), (), "gene_overlap"),
        ("sample_generation_by_abstract", ("abstract",), (), "gene_overlap"),
        ("abstract_of_cells", (), ("abstract",), "bert_score"),
        ("gene_set_enumeration", ("gene_set",), (), "gene_overlap"),
        ("gene_set_naming", (), ("gene_set",), "bert_score"),
    ],
)
def test_a_task_asks_and_answers_what_the_paper_says(name, asks, answers, metric):
    [task] = resolve_tasks(name)
    assert (task.asks, task.answers, task.metric) == (asks, answers, metric)


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.name)
def test_wordings_of_a_task_differ_in_words_only(task):
    assert len(set(task.wordings)) >= 4
    kinds = {tuple(map(frozenset, fields_of(wording))) for wording in task.wordings}
    assert len(kinds) == 1


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.name)
def test_no_text_touches_a_field_so_that_words_stay_whole(task):
    """A tokenizer of words knows ``CD3D``, and not ``CD3D.``."""
    for template in (*task.wordings, task.answer):
        assert not re.search(r"[^\s\[]\{", re.sub(r"\{\w+\}\n?\]|\[", " ", template)), template
        assert not re.search(r"\}[^\s\]]", template), template
        assert all(text == "\n" or text.strip() for text in literal_texts(template) if text != " "), template
    assert task.answer[0].isspace()


@pytest.mark.parametrize("known", [KNOWN, {}], ids=["everything is known", "nothing is known"])
@pytest.mark.parametrize("task", OWN, ids=lambda task: task.name)
def test_every_wording_reads_well_whatever_is_known(task, known):
    needed = {name: text for name, text in KNOWN.items() if name in (*task.reads, "donor")}
    for number in range(len(task.wordings)):
        one = Task(**task.as_dict() | {"wordings": [task.wordings[number]]})
        example, words = one_example(one, texts={**known, **needed})
        prompt, answer = tm.c2s.example_text(example, words)
        assert "  " not in prompt and " \n" not in prompt and " ." not in prompt and " ," not in prompt
        assert not set("{}[]") & set(prompt + answer)
        assert prompt.endswith(":")
        for name in task.may_read:
            assert (KNOWN[name] in prompt) == (name in known)


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.name)
def test_a_prompt_does_not_give_its_answer_away(task):
    example, words = one_example(task, texts=KNOWN)
    prompt, answer = tm.c2s.example_text(example, words)
    assert answer.strip() not in prompt
    unanswered, _ = one_example(task, texts={k: v for k, v in KNOWN.items() if k not in task.answers}, answers=False)
    assert unanswered.answer == []
    assert unanswered.n_genes == example.n_genes


@pytest.mark.parametrize("task", OWN, ids=lambda task: task.name)
def test_the_number_in_a_wording_is_that_of_the_genes(task):
    example, words = one_example(task, texts=KNOWN)
    prompt, answer = tm.c2s.example_text(example, words)
    listed = [line for line in (prompt + answer).splitlines() if re.search(r"\bG\d", line)]
    most = max(len(re.findall(r"\bG\d\b", line)) for line in listed)
    assert most != len(example.rows)
    assert re.findall(r"\b\d+\b", prompt.splitlines()[0]).count(str(most)) == 1


def test_every_task_goes_through_a_dict_and_json():
    for task in OWN:
        assert Task.from_dict(json.loads(json.dumps(task.as_dict()))) == task


def test_every_file_of_wordings_is_a_task():
    names = {path.name.removesuffix(".json") for path in (files("tcellmil.c2s") / "prompts").iterdir()}
    assert names == set(_task.NAMES)


def test_texts_of_a_task_are_all_that_its_prompts_say_besides_values():
    for task in OWN:
        example, words = one_example(task, texts=KNOWN)
        said = set("".join(tm.c2s.example_text(example, words)).split())
        values = " ".join([*KNOWN.values(), *words, "HALLMARK_X", *map(str, range(10))])
        assert said <= {word for text in (*task.texts(), values) for word in text.split()}


def test_a_task_of_ones_own_is_found_by_its_name():
    task = register_task(Task("sex", ["Genes: {cell}\nSex:"], " {sex}"))
    assert resolve_tasks(["sex", "cell_type_annotation"])[0] is task
    assert list_tasks().loc["sex", "reads"] == "sex"
    assert register_task(Task("sex", ["Genes: {cell}\nSex:"], " {sex}")) == task


def test_a_name_is_taken_once():
    with pytest.raises(ValueError, match="there is another task 'cell_generation' already"):
        register_task(Task("cell_generation", ["{cell}"], " {x}"))
    with pytest.raises(TypeError, match=r"must be a tcellmil\.c2s\.Task, got str"):
        register_task("cell_generation")


def test_an_unknown_task_is_named_beside_the_one_that_may_be_meant():
    with pytest.raises(ValueError, match="'cell_type_anotation' is not known; did you mean 'cell_type_annotation'"):
        resolve_tasks(["cell_type_anotation"])
    with pytest.raises(ValueError, match="'qqq' is not known; there are 'cell_language_modeling'"):
        resolve_tasks("qqq")


@pytest.mark.parametrize(
    ("tasks", "error", "message"),
    [
        ([], ValueError, "tasks is empty"),
        (["cell_generation"] * 2, ValueError, "'cell_generation' more than once"),
        ([3], TypeError, "a task is a name or a tcellmil.c2s.Task, got 3"),
    ],
)
def test_what_are_no_tasks_is_refused(tasks, error, message):
    with pytest.raises(error, match=message):
        resolve_tasks(tasks)


def test_unknown_prompts_are_refused():
    with pytest.raises(ValueError, match="prompts='mine' is not known; choose from 'tcellmil', 'cell2sentence'"):
        resolve_tasks("cell_generation", prompts="mine")


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"wordings": "Genes: {cell}"}, TypeError, r"must be a list of texts, got one; write \[...\] around it"),
        ({"wordings": []}, ValueError, "has no wording"),
        ({"wordings": [3]}, TypeError, "are texts, got 3"),
        ({"answer": " "}, TypeError, "are texts, got ' '"),
        ({"answer": " {x}[ {y}]"}, ValueError, "the answer of task 't' has a passage in square brackets"),
        ({"wordings": ["Genes: {cell"]}, ValueError, "at character 7 .* holds no name"),
        ({"wordings": ["What?"]}, ValueError, r"has no sentence; write \{cell\}"),
        ({"wordings": ["{cells}"]}, ValueError, "is about several cells; say how many: n_cells=2 or more"),
        ({"wordings": ["{cell} {each:x}"]}, ValueError, "is about several cells"),
        ({"n_cells": 2}, ValueError, r"n_cells=2 and the field \{cell\}; write \{cells\}"),
        ({"n_cells": 0}, ValueError, "n_cells=0 must be a whole number"),
        ({"wordings": ["{each:cell}"]}, ValueError, r"has \{each:cell\}; each: is for columns"),
        ({"wordings": ["{genes} {cell}"]}, ValueError, "is about gene sets and about cells"),
        ({"metric": None}, TypeError, "are texts, got None"),
    ],
)
def test_a_task_that_makes_no_sense_is_refused(change, error, message):
    with pytest.raises(error, match=message):
        Task(**{"name": "t", "wordings": ["Genes: {cell}"], "answer": " {x}"} | change)


def test_a_label_is_written_as_the_answer_writes_it():
    assert resolve_tasks("cell_type_annotation")[0].answer_with(cell_type="B cell") == " B cell"
    with pytest.raises(KeyError, match="nothing is known of 'cell_type'"):
        resolve_tasks("cell_type_annotation")[0].answer_with(tissue="lung")


def test_the_page_on_tasks_of_ones_own_says_what_its_code_prints(capsys):
    page = (ROOT / "docs" / "own_tasks.md").read_text()
    code, _ = re.findall(r"^```python\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    [printed] = re.findall(r"^```text\n(.*?)^```", page, flags=re.DOTALL | re.MULTILINE)
    exec(code, {})
    assert capsys.readouterr().out == printed
