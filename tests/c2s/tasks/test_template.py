import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tcellmil.c2s._tasks._template import GENE_COUNT, Field, fields_of, fill, literal_texts


def values(**known):
    return {Field(name): value for name, value in known.items()}


def test_a_field_becomes_its_value_and_neighbouring_texts_are_one():
    assert fill("A {kind} cell of {tissue}.", values(kind="B", tissue="lung")) == ["A B cell of lung."]


def test_a_sentence_stays_an_array_between_texts():
    first, genes, last = fill("Genes: {cell}\nType:", values(cell=np.array([3, 1])))
    assert (first, genes.tolist(), last) == ("Genes: ", [3, 1], "\nType:")


@pytest.mark.parametrize(
    ("known", "expected"),
    [
        ({"organism": "Mus musculus", "tissue": "lung"}, "a cell of Mus musculus from lung, sick"),
        ({"organism": "Mus musculus"}, "a cell of Mus musculus, sick"),
        ({"tissue": None}, "a cell, sick"),
    ],
)
def test_a_passage_goes_where_nothing_is_known(known, expected):
    assert fill("a cell[ of {organism}][ from {tissue}], sick", values(**known)) == [expected]


def test_a_passage_needs_all_of_its_fields():
    assert fill("a[ {sex} of {age}] cell", values(sex="female")) == ["a cell"]


def test_a_field_outside_of_brackets_must_be_known():
    with pytest.raises(KeyError, match="nothing is known of 'tissue'"):
        fill("a cell from {tissue}", values(tissue=None))


def test_several_pieces_take_the_place_of_a_field():
    pieces = fill("{cells}\nTissue:", values(cells=["1: ", np.array([0]), "\n2: ", np.array([1])]))
    assert [piece if isinstance(piece, str) else piece.tolist() for piece in pieces] == [
        *("1: ", [0], "\n2: ", [1], "\nTissue:")
    ]


def test_the_number_of_genes_is_left_open():
    assert fill("{n_genes} genes", values(n_genes=GENE_COUNT)) == [GENE_COUNT, " genes"]


def test_doubled_braces_and_brackets_are_themselves():
    assert fill("{{x}} [[y]] {z}", values(z="1")) == ["{x} [y] 1"]


def test_fields_are_told_by_whether_they_must_be_known():
    required, optional = fields_of("{cell}[ of {organism}, {cell}] {each:cell_type}[ in {tissue}]")
    assert list(required) == [Field("cell"), Field("cell_type", each=True)]
    assert list(optional) == [Field("organism"), Field("tissue")]


def test_what_a_template_says_besides_its_fields():
    assert list(literal_texts("A {kind} cell[ of {organism}]")) == ["A ", " cell", " of "]


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("a [b [c] d]", r"'\[' at character 5 of .* opens within another"),
        ("a ] b", r"'\]' at character 2 .* closes nothing"),
        ("a [b", r"'\[' at character 2 .* is not closed"),
        ("a {b", r"'\{' at character 2 .* holds no name of a field"),
        ("a {} b", r"'\{' at character 2 .* holds no name"),
        ("a {1} b", r"'\{' at character 2 .* holds no name"),
        ("a } b", r"'\}' at character 2 .* holds no name"),
    ],
)
def test_a_template_that_cannot_be_read_is_refused(template, message):
    with pytest.raises(ValueError, match=message):
        fields_of(template)


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=40))
def test_any_text_can_be_written(text):
    doubled = "".join(letter * 2 if letter in "{}[]" else letter for letter in text)
    assert "".join(fill(doubled, {})) == text
