import re
import warnings

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s import Task, build_examples, example_text, prompt_with
from tcellmil.c2s._tasks._template import GENE_COUNT

WORDS = ["CD74", "MS4A1", "NKG7", "CD3D", "LYZ"]
IDS = np.array([[0, 1, 2, 3], [4, 2, -1, -1], [3, -1, -1, -1]])
TABLE = pd.DataFrame({"cell_type": ["B cell", "monocyte", "T cell"], "donor": "d1"}, index=["c0", "c1", "c2"])
SEVERAL = Task("several", ["{n_cells} cells\n{cells}\nTissue:"], " {tissue}", n_cells=2)


def texts(examples, words=WORDS):
    return ["".join(example_text(example, words)) for example in examples]


@pytest.fixture
def cohort():
    """Four donors of two tissues, with 5, 4, 3 and 1 cells."""
    donor = np.repeat(["d0", "d1", "d2", "d3"], [5, 4, 3, 1])
    tissue = np.where(np.isin(donor, ["d0", "d2"]), "lung", "blood")
    table = pd.DataFrame({"donor": donor, "tissue": tissue, "cell_type": [f"type {i}" for i in range(13)]})
    return table, np.arange(26).reshape(13, 2)


def test_every_cell_has_its_own_sentence_label_and_number_of_genes():
    assert texts(build_examples("cell_type_annotation", TABLE, IDS, wording=0)) == [
        "Label a cell by its 4 most expressed genes, highest first.\nGenes: CD74 MS4A1 NKG7 CD3D\nCell type: B cell",
        "Label a cell by its 2 most expressed genes, highest first.\nGenes: LYZ NKG7\nCell type: monocyte",
        "Label a cell by its 1 most expressed genes, highest first.\nGenes: CD3D\nCell type: T cell",
    ]


def test_columns_are_found_under_other_names_and_texts_hold_for_all():
    table = TABLE.rename(columns={"cell_type": "louvain"})
    examples = build_examples(
        *("cell_type_annotation", table, IDS),
        columns={"cell_type": "louvain"},
        texts={"organism": "Homo sapiens"},
    )
    assert all("\nOrganism: Homo sapiens\nGenes:" in text for text in texts(examples))
    assert [example.answer for example in examples] == [[" B cell"], [" monocyte"], [" T cell"]]


def test_categories_are_text_and_an_unknown_optional_value_is_left_out():
    table = TABLE.assign(cell_type=TABLE["cell_type"].astype("category"), tissue=["lung", None, "  "])
    assert [
        ("Tissue: lung" in text, "Tissue:" in text) for text in texts(build_examples("cell_generation", table, IDS))
    ] == [*((True, True), (False, False), (False, False))]


def test_wordings_are_drawn_from_the_seed_and_nothing_global_is_touched():
    table, ids = pd.DataFrame({"cell_type": ["B cell"] * 200}), np.zeros((200, 1), dtype=int)
    before = np.random.get_state()[1].copy()
    first, again, other = (texts(build_examples("cell_type_annotation", table, ids, seed=s)) for s in (1, 1, 2))
    assert first == again != other
    assert len(set(first)) == 6
    assert np.array_equal(np.random.get_state()[1], before)


def test_cells_without_a_label_are_left_out_of_training_with_a_warning():
    table = TABLE.assign(cell_type=["B cell", None, " "])
    with pytest.warns(UserWarning, match="2 of 3 cells have no cell_type and are left out of task 'cell_type_"):
        [example] = build_examples("cell_type_annotation", table, IDS)
    assert example.rows.tolist() == [0]


def test_a_question_needs_no_answer_and_leaves_no_cell_out():
    examples = build_examples("cell_type_annotation", pd.DataFrame(index=range(3)), IDS, answers=False)
    assert [example.rows.tolist() for example in examples] == [[0], [1], [2]]
    assert all(example.answer == [] for example in examples)
    with pytest.raises(ValueError, match=r"1 cells have no cell_type, which a prompt of task .* \['c1'\]"):
        build_examples("cell_generation", TABLE.assign(cell_type=["a", None, "b"]), IDS, answers=False)


def test_the_number_of_genes_of_a_cell_to_be_generated_is_that_of_the_cell():
    examples = build_examples("cell_generation", TABLE, IDS, answers=False)
    assert [re.search(r"\b\d\b", text)[0] for text in texts(examples)] == ["4", "2", "1"]


def test_cells_of_a_prompt_are_of_one_donor_and_tissue_and_come_once(cohort):
    table, ids = cohort
    with pytest.warns(UserWarning, match=r"1 of 13 cells are in groups \(donor and tissue\) of fewer than 2"):
        examples = build_examples(SEVERAL, table, ids)
    rows = np.concatenate([example.rows for example in examples])
    assert len(rows) == len(set(rows)) == 2 * (2 + 2 + 1)
    for example in examples:
        assert len(table.loc[example.rows, ["donor", "tissue"]].drop_duplicates()) == 1
        first, second = example.rows
        assert texts([example], np.arange(26).astype(str)) == [
            f"2 cells\nCell 1: {2 * first} {2 * first + 1}\nCell 2: {2 * second} {2 * second + 1}\n"
            f"Tissue: {table['tissue'][first]}"
        ]


def test_an_order_of_cell_types_is_that_of_the_cells(cohort):
    table, ids = cohort
    with pytest.warns(UserWarning, match="left out"):
        examples = build_examples("sample_cell_types", table, ids, n_cells=3)
    for example in examples:
        listed = "\n".join(f"Cell {n}: type {row}" for n, row in enumerate(example.rows, start=1))
        assert example.answer == ["\n" + listed]


def test_what_is_said_of_all_cells_is_true_of_all():
    table = pd.DataFrame({"donor": "d", "tissue": "lung", "disease": ["asthma"] * 4 + ["none"] * 4})
    examples = build_examples("sample_generation_by_tissue", table, np.zeros((8, 1), int), n_cells=2)
    assert len(examples) == 4
    for example in examples:
        assert len(set(table.loc[example.rows, "disease"])) == 1
        assert f"Disease: {table['disease'][example.rows[0]]}" in texts([example])[0]


@settings(deadline=None, max_examples=50)
@given(st.lists(st.sampled_from("abc"), min_size=2, max_size=30), st.integers(2, 4), st.integers(0, 3))
def test_sets_of_cells_are_whole_disjoint_and_of_one_donor(donors, n_cells, seed):
    table = pd.DataFrame({"donor": donors, "tissue": "lung"})
    n_sets = sum(n // n_cells for n in table["donor"].value_counts())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if not n_sets:
            with pytest.raises(ValueError, match=f"puts {n_cells} cells of one donor and tissue into a prompt"):
                build_examples(SEVERAL, table, np.zeros((len(table), 1), int), n_cells=n_cells, seed=seed)
            return
        examples = build_examples(SEVERAL, table, np.zeros((len(table), 1), int), n_cells=n_cells, seed=seed)
    rows = np.concatenate([example.rows for example in examples])
    assert len(examples) == n_sets and len(set(rows)) == len(rows) == n_sets * n_cells
    assert all(len(set(table["donor"][example.rows])) == 1 for example in examples)


def test_several_cells_need_a_donor():
    with pytest.raises(KeyError, match=r"which asks of a sample, needs 'donor'.*texts=\{'donor': ...\}"):
        build_examples(SEVERAL, TABLE[["cell_type"]], IDS, texts={"tissue": "lung"})
    assert len(build_examples(SEVERAL, TABLE, IDS, texts={"tissue": "lung"})) == 1


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"task": "cell_typing"}, ValueError, "task 'cell_typing' is not known"),
        ({"task": "gene_set_naming"}, ValueError, "is about gene sets; call gene_set_examples"),
        (
            {"task": "tissue_annotation"},
            KeyError,
            r"needs 'tissue', which is no column of the table; there",
        ),
        ({"columns": {"cell_type": "leiden"}}, KeyError, r"columns\['cell_type'\]='leiden' is no column"),
        ({"table": TABLE.assign(cell_type=[0, 1, 2])}, TypeError, "'cell_type' holds int such as 0, but .*astype"),
        ({"table": TABLE.assign(cell_type=["a", 1.5, "b"])}, TypeError, "'cell_type' holds float such as 1.5"),
        ({"texts": {"organism": 9606}}, TypeError, r"texts\['organism'\] must be text, got 9606"),
        ({"texts": {"x": "a"}, "columns": {"x": "b"}}, ValueError, "'x' is both in columns and in texts"),
        ({"table": TABLE.assign(cell_type=None)}, ValueError, "no cell has cell_type, which task"),
        ({"n_cells": 2}, ValueError, "n_cells=2 does not fit task 'cell_type_annotation', which is about one cell"),
        ({"task": SEVERAL, "n_cells": 1}, ValueError, "which needs at least 2 cells"),
        ({"wording": 9}, ValueError, "wording=9: task 'cell_type_annotation' has wordings 0 to 5"),
        ({"ids": IDS[:2]}, ValueError, r"a row for each of the 3 rows of the table, got int64 of shape \(2, 4\)"),
        ({"ids": IDS.astype(float)}, ValueError, "ids must be integers"),
        ({"ids": np.array([[-1, 2]] * 3)}, ValueError, "indices of genes, and behind them -1"),
        ({"ids": np.array([[0, -2]] * 3)}, ValueError, "indices of genes, and behind them -1"),
        ({"ids": np.array([[0], [-1], [-1]])}, ValueError, r"2 cells have no gene in their sentence: \['c1', 'c2'\]"),
    ],
)
def test_bad_input_is_named(change, error, message):
    with pytest.raises(error, match=message):
        build_examples(**{"task": "cell_type_annotation", "table": TABLE, "ids": IDS} | change)


def test_a_prompt_is_made_of_values_alone():
    example = prompt_with("cell_generation", n_genes=200, cell_type="B cell", disease="asthma")
    assert texts([example]) == [
        "Write a cell of the given type as its 200 most expressed genes, highest first.\nDisease: asthma\n"
        "Cell type: B cell\nGenes:"
    ]
    assert GENE_COUNT in example.prompt and example.answer == []


def test_a_prompt_of_values_holds_sentences_and_lists():
    example = prompt_with("cell_type_annotation", cell=np.array([1, 0]), wording=2)
    assert texts([example])[0].startswith("A cell expresses these 2 genes, ")
    assert "Genes: MS4A1 CD74\n" in texts([example])[0]
    example = prompt_with("sample_generation_by_cell_types", n_genes=5, cell_type=["B cell", "T cell"])
    assert texts([example])[0].startswith("Write 2 cells ")
    assert "\nCell 1: B cell\nCell 2: T cell\nCells:" in texts([example])[0]
    example = prompt_with("tissue_annotation", cells=[np.array([1, 0]), np.array([2])])
    assert "\nCell 1: MS4A1 CD74\nCell 2: NKG7\nTissue:" in texts([example])[0]


def test_a_prompt_that_lacks_a_value_says_which():
    with pytest.raises(KeyError, match="nothing is known of 'cell_type', which the wording"):
        prompt_with("cell_generation", n_genes=3)
    with pytest.raises(KeyError, match="nothing is known of 'n_genes'"):
        prompt_with("cell_generation", cell_type="B cell")
    with pytest.raises(ValueError, match="wording=7"):
        prompt_with("cell_generation", wording=7, cell_type="B cell", n_genes=3)


def test_an_optional_field_can_be_left_out_although_there_is_a_column():
    table = TABLE.assign(disease=[0, 1, 0])
    with pytest.raises(TypeError, match=r"or leave a field out that is optional, columns=\{'disease': None\}"):
        build_examples("cell_generation", table, IDS)
    assert "Disease" not in "".join(texts(build_examples("cell_generation", table, IDS, columns={"disease": None})))
    with pytest.raises(KeyError, match="needs 'cell_type', which is no column"):
        build_examples("cell_generation", TABLE, IDS, columns={"cell_type": None})
