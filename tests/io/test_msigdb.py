"""Gene sets as MSigDB's JSON: what is damaged or impossible is one error with the file and the place in it."""

import gzip
import json
import re

import pytest

import tcellmil as tm

SETS = {
    "HALLMARK_APOPTOSIS": {"systematicName": "M5902", "collection": "H", "geneSymbols": ["CASP3", "CASP9", "CASP3"]},
    "HALLMARK_HYPOXIA": {"geneSymbols": [" VEGFA "], "pmid": None},
}


@pytest.fixture
def path(tmp_path):
    return tmp_path / "h.all.v2026.1.Hs.json"


def test_sets_are_read_as_those_of_a_gmt_file(path):
    path.write_text(json.dumps(SETS))
    table = tm.io.read_msigdb_json(path)
    tm.io.write_gmt(table, path.with_suffix(".gmt"))
    assert table.equals(tm.io.read_gmt(path.with_suffix(".gmt")))
    assert table.values.tolist() == [
        *(["HALLMARK_APOPTOSIS", "CASP3"], ["HALLMARK_APOPTOSIS", "CASP9"], ["HALLMARK_HYPOXIA", "VEGFA"])
    ]


def test_compression_and_a_byte_order_mark_do_not_matter(path):
    path.write_text(json.dumps(SETS))
    expected = tm.io.read_msigdb_json(path)
    path.write_bytes(gzip.compress(b"\xef\xbb\xbf" + json.dumps(SETS, indent=2).replace("\n", "\r\n").encode()))
    assert tm.io.read_msigdb_json(path).equals(expected)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1: no JSON"),
        ('{"A": {"geneSymbols": ["X"]},\n"B" }', ", line 2: no JSON .* column 5"),
        ('{"A": {"geneSymbols": ["X"]}} {}', ", line 1: no JSON .*Extra data"),
        ("[]", " holds a list without entries; MSigDB's JSON is an object with a name for each gene set"),
        ("3", " holds a number; MSigDB's JSON"),
        ("{}", " holds no gene set"),
        ('{"A": ["X"]}', ", set 'A' is a list; it must be an object with a list 'geneSymbols'"),
        ('{"A": {"genes": ["X"]}}', r", set 'A' has only \['genes'\]; it must be"),
        ('{"A": {"geneSymbols": "X"}}', ", set 'A': 'geneSymbols' is text; it must be a list"),
        ('{"A": {"geneSymbols": []}}', ", set 'A': 'geneSymbols' is a list without entries"),
        ('{"A": {"geneSymbols": ["X", 7]}}', ", set 'A': gene 2 is '7', which is no name"),
        ('{"A": {"geneSymbols": ["X", " "]}}', ", set 'A': gene 2 is ' ', which is no name"),
        ('{" ": {"geneSymbols": ["X"]}}', ": a set has no name"),
        ('{"A": {"geneSymbols": ["X"]}, "A": {"geneSymbols": ["Y"]}}', ": 'A' is there twice"),
        ('{"A": NaN}', ": NaN is no JSON"),
        ("[" * 100_000, " cannot be read, it is damaged or incomplete: .*recursion"),
        ('{"A": ' + "1" * 5_000 + "}", ": Exceeds the limit"),
    ],
    ids=range(17),
)
def test_a_file_that_is_no_such_json_is_named_with_the_place(path, text, message):
    path.write_text(text)
    with pytest.raises(ValueError, match=re.escape(str(path)) + message):
        tm.io.read_msigdb_json(path)


def test_damaged_and_foreign_bytes_are_named(path):
    path.write_bytes(gzip.compress(json.dumps(SETS).encode())[:-9])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} cannot be read, it is damaged or incomplete"):
        tm.io.read_msigdb_json(path)
    path.write_bytes(json.dumps(SETS).encode() + "é".encode("latin-1"))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is not UTF-8 text"):
        tm.io.read_msigdb_json(path)
    with pytest.raises(FileNotFoundError, match="nothing.json does not exist"):
        tm.io.read_msigdb_json(path.with_name("nothing.json"))


def test_what_expands_too_far_is_refused_and_the_limit_can_be_raised(path):
    text = json.dumps(SETS).encode()
    path.write_bytes(gzip.compress(text))
    with pytest.raises(ValueError, match=rf"expands to more than {len(text) - 1} bytes; .* higher max_bytes"):
        tm.io.read_msigdb_json(path, max_bytes=len(text) - 1)
    assert len(tm.io.read_msigdb_json(path, max_bytes=len(text))) == 3
