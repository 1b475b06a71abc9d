import importlib.util
import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tcellmil.c2s import Task, build_examples, example_text, resolve_tasks
from tcellmil.c2s._tasks._cell2sentence import FILES

#: Not their words, but fields and layout as theirs.
WORDINGS = {
    "cell_type_annotation": (["Of a {organism} cell, {num_genes} names: {cell_sentence}.\nIts type:"], "{cell_type}."),
    "cell_generation": (["One {organism} {cell_type}, {num_genes} names:"], "{cell_sentence}."),
    "tissue_annotation": (
        ["From {num_cells} {organism} cells, {num_genes} names:\n{multi_cell_sentences}.\nTissue [1]:"],
        "{tissue}.",
    ),
    "abstract_of_cells": (["Of {num_cells} {organism} cells:\n{multi_cell_sentences}.\nText:"], "{abstract}."),
    "sample_generation_by_tissue": (
        ["{num_genes} names of {num_cells} {organism} cells of {tissue}:"],
        "{multi_cell_sentences}.",
    ),
}
TABLE = pd.DataFrame({"cell_type": ["B cell"] * 3, "tissue": "lung", "donor": "d"})
IDS = np.array([[0, 1], [1, 0], [0, -1]])


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """A package of the layout of cell2sentence, which fails when it is imported."""
    package = tmp_path / "cell2sentence"
    (package / "prompts").mkdir(parents=True)
    (package / "__init__.py").write_text("raise RuntimeError('imported')")
    for task, (wordings, answer) in WORDINGS.items():
        content = {"model_input": wordings, "response": [answer]}
        (package / "prompts" / FILES[task]).write_text(json.dumps(content))
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.delitem(sys.modules, "cell2sentence", raising=False)
    return package


def text_of(task, **options):
    [example, *_] = build_examples(task, TABLE, IDS, **options)
    return "|".join(example_text(example, ["CD74", "LYZ"]))


@pytest.mark.parametrize(
    ("name", "known", "unknown"),
    [
        (
            "cell_type_annotation",
            "Of a Homo sapiens cell, 2 names: CD74 LYZ.\nIts type:|B cell.",
            "Of a cell, 2 names: CD74 LYZ.\nIts type:|B cell.",
        ),
        ("cell_generation", "One Homo sapiens B cell, 2 names:|CD74 LYZ.", "One B cell, 2 names:|CD74 LYZ."),
    ],
)
def test_cells_are_asked_as_cell2sentence_asks(installed, name, known, unknown):
    [task] = resolve_tasks(name, prompts="cell2sentence")
    assert text_of(task, texts={"organism": "Homo sapiens"}) == known
    assert text_of(task) == unknown
    assert "cell2sentence" not in sys.modules


def test_samples_are_asked_as_cell2sentence_asks(installed):
    tissue, cells = resolve_tasks(["tissue_annotation", "sample_generation_by_tissue"], prompts="cell2sentence")
    assert text_of(tissue, n_cells=3).startswith("From 3 cells, 2 names:\nCell 1:\n")
    assert text_of(tissue, n_cells=3).endswith(".\n.\nTissue [1]:|lung.")
    assert text_of(cells, n_cells=3).startswith("2 names of 3 cells of lung:|Cell 1:\n")


def test_a_task_of_ones_own_keeps_its_words(installed):
    own = Task("own", ["{cell}"], " {tissue}")
    assert resolve_tasks([own, "cell_generation"], prompts="cell2sentence")[0] is own


def test_tasks_that_cell2sentence_does_not_have_are_named(installed):
    with pytest.raises(ValueError, match="cell2sentence has no wordings for 'gene_set_naming'; it has 'cell_"):
        resolve_tasks("gene_set_naming", prompts="cell2sentence")


def test_without_the_package_the_error_says_how_to_install_it(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("tcellmil.c2s._tasks._cell2sentence.find_spec", lambda name: None)
    with pytest.raises(ImportError, match="is not installed; install it with: pip install cell2sentence"):
        resolve_tasks("cell_generation", prompts="cell2sentence")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("no json", "be read as wordings: JSONDecodeError"),
        ("[]", "be read as wordings: TypeError"),
        ("{}", "be read as wordings: KeyError 'model_input'"),
        ('{"model_input": "x", "response": ["y"]}', "are not lists of texts"),
        ('{"model_input": [], "response": ["y"]}', "are not lists of texts"),
        (
            '{"model_input": ["{cell_sentence"], "response": ["y"]}',
            "wordings of another kind: .* install cell2",
        ),
    ],
)
def test_a_file_that_has_changed_is_named(installed, content, message):
    (installed / "prompts" / FILES["cell_generation"]).write_text(content)
    with pytest.raises(ValueError, match=rf"{FILES['cell_generation']} .*{message}"):
        resolve_tasks("cell_generation", prompts="cell2sentence")


def test_a_file_that_is_missing_or_endless_is_named(installed, monkeypatch):
    (installed / "prompts" / FILES["cell_generation"]).unlink()
    with pytest.raises(ValueError, match="the installed cell2sentence has no file .*; install cell2sentence 1.2"):
        resolve_tasks("cell_generation", prompts="cell2sentence")
    monkeypatch.setattr("tcellmil.c2s._tasks._cell2sentence.MAX_BYTES", 10)
    with pytest.raises(ValueError, match="too many for wordings"):
        resolve_tasks("tissue_annotation", prompts="cell2sentence")


@pytest.mark.parametrize("name", FILES)
def test_the_package_itself_is_read_where_it_is_installed(name):
    """Against its own JSON: the same text, filled in by Python's own formatting."""
    spec = importlib.util.find_spec("cell2sentence")
    if spec is None:
        pytest.skip("cell2sentence is not installed")
    content = json.loads((Path(spec.origin).parent / "prompts" / FILES[name]).read_text())
    [task] = resolve_tasks(name, prompts="cell2sentence")
    assert len(task.wordings) == len(content["model_input"])
    for number, theirs in enumerate(content["model_input"]):
        texts = {"organism": "Homo sapiens"} | ({"abstract": "A text"} if "abstract" in task.reads else {})
        options = {} if task.unit == "cell" else {"n_cells": 3}
        examples = build_examples(task, TABLE, IDS, texts=texts, wording=number, **options)
        [example, *_] = examples
        sentences = [" ".join(["CD74", "LYZ"][i] for i in IDS[row] if i >= 0) for row in example.rows]
        values = {"organism": "Homo sapiens", "num_genes": 2, "num_cells": 3, "cell_type": "B cell", "tissue": "lung"}
        values["abstract"] = "A text"
        values["cell_sentence"] = sentences[0]
        values["multi_cell_sentences"] = "".join(f"Cell {i}:\n{s}.\n" for i, s in enumerate(sentences, start=1))
        expected = theirs.format(**values), content["response"][0].format(**values)
        assert example_text(example, ["CD74", "LYZ"]) == expected
