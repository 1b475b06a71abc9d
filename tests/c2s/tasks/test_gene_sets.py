import json

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.c2s import example_text, gene_set_examples

WORDS = ["CASP3", "CASP9", "LYZ"]
SETS = pd.DataFrame({"source": ["A", "A", "B", "A", "C"], "target": ["CASP9", "NOT1", "LYZ", "CASP3", "NOT2"]})


def test_a_set_has_its_genes_that_the_data_have_and_their_number():
    with pytest.warns(UserWarning, match="1 of 3 gene sets are left out"):
        examples = gene_set_examples("gene_set_naming", SETS, WORDS, wording=0)
    assert ["".join(example_text(example, WORDS)) for example in examples] == [
        "A gene set has these 2 genes. What is it called?\nGenes: CASP9 CASP3\nName: A",
        "A gene set has these 1 genes. What is it called?\nGenes: LYZ\nName: B",
    ]
    assert [example.rows.tolist() for example in examples] == [[0], [1]]


def test_files_of_gene_sets_become_examples(tmp_path):
    tm.io.write_gmt(SETS[:4], tmp_path / "sets.gmt")
    members = {name: {"geneSymbols": genes.tolist()} for name, genes in SETS[:4].groupby("source")["target"]}
    (tmp_path / "sets.json").write_text(json.dumps(members))
    tables = tm.io.read_gmt(tmp_path / "sets.gmt"), tm.io.read_msigdb_json(tmp_path / "sets.json")
    answers = [[example_text(e, WORDS)[1] for e in gene_set_examples("gene_set_enumeration", t, WORDS)] for t in tables]
    assert answers == [[" CASP9 CASP3", " LYZ"]] * 2


def test_large_sets_can_be_left_out():
    with pytest.warns(UserWarning, match="2 of 3 gene sets"):
        [example] = gene_set_examples("gene_set_enumeration", SETS, WORDS, max_genes=1)
    assert np.array_equal(example.answer[1], [2])


def test_a_gene_counts_once_and_a_question_has_no_answer():
    sets = pd.DataFrame({"source": "A", "target": ["LYZ", "LYZ"]})
    [example] = gene_set_examples("gene_set_enumeration", sets, WORDS, answers=False)
    assert (example.n_genes, example.answer) == (1, [])


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"task": "cell_generation"}, ValueError, "is about cells; call build_examples"),
        (
            {"sets": SETS.rename(columns={"source": "set"})},
            KeyError,
            r"lacks the columns \['source'\]; it has \['set', 'target'\]",
        ),
        ({"words": ["x"]}, ValueError, r"none of the 3 gene sets has a gene among the 1 words, such as \['x'\]"),
        ({"max_genes": 1, "words": ["CASP9", "CASP3"]}, ValueError, "has 1 to 1 genes among"),
        ({"sets": SETS.assign(target=None)}, ValueError, "sets has 5 rows without a source or a target"),
    ],
)
def test_bad_gene_sets_are_named(change, error, message):
    with pytest.raises(error, match=message):
        gene_set_examples(**{"task": "gene_set_naming", "sets": SETS, "words": WORDS} | change)
