"""Files of others: what is damaged, ragged, too large or impossible is one error with the file and the line."""

import bz2
import csv
import gzip
import re
from io import StringIO

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

ADJACENCIES = "TF\ttarget\timportance\nSPI1\tLYZ\t2.5\nSPI1\tCD14\t1.5\n"
NET = "source,target,weight\nA,g1,1\nA,g2,2\n"
SETS = "A\tx\tg1\tg2\nB\tx\tg1\n"
TABLE = (
    ",,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment,Enrichment\n"
    ",,AUC,NES,MotifSimilarityQvalue,OrthologousIdentity,Annotation,Context,RankAtMax,TargetGenes\n"
    "TF,MotifID,,,,,,,,\n"
    "A,m1,0.1,3.5,0.0,1.0,direct,frozenset(),100,\"[('g1', 1.0)]\"\n"
)
ANNOTATIONS = (
    "#motif_id\tgene_name\tmotif_similarity_qvalue\torthologous_identity\tdescription\nm1\tPAX5\t0.0\t1.0\tdirect\n"
)
READERS = {
    "adjacencies.tsv": (tm.io.read_adjacencies, ADJACENCIES),
    "net.csv": (tm.io.read_net, NET),
    "sets.gmt": (tm.io.read_gmt, SETS),
    "motifs.csv": (tm.io.read_motifs, TABLE),
    "motifs.tbl": (tm.io.read_motif_annotations, ANNOTATIONS),
}


@pytest.fixture(params=READERS)
def case(request, tmp_path):
    """A reader, a path and the text of a valid file."""
    read, text = READERS[request.param]
    return read, tmp_path / request.param, text


def test_compression_is_recognised_whatever_the_name(case):
    read, path, text = case
    path.write_text(text)
    expected = read(path)
    for compress in (gzip.compress, bz2.compress):
        path.write_bytes(compress(text.encode()))
        pd.testing.assert_frame_equal(read(path), expected)


def test_windows_line_ends_and_a_byte_order_mark_do_not_matter(case):
    read, path, text = case
    path.write_text(text)
    expected = read(path)
    path.write_bytes(b"\xef\xbb\xbf" + text.replace("\n", "\r\n").encode() + b"\r\n\r\n")
    pd.testing.assert_frame_equal(read(path), expected)


def test_a_file_that_is_cut_off_is_refused(case):
    read, path, text = case
    path.write_bytes(gzip.compress(text.encode() * 20)[:-9])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} cannot be read, it is damaged or incomplete"):
        read(path)


def test_a_compressed_file_with_a_changed_byte_is_refused(case):
    read, path, text = case
    data = bytearray(gzip.compress(text.encode()))
    data[-6] ^= 255  # of the checksum
    path.write_bytes(data)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} cannot be read, it is damaged or incomplete"):
        read(path)


def test_text_in_another_encoding_is_refused(case):
    read, path, text = case
    path.write_bytes(text.encode() + "é\n".encode("latin-1"))
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is not UTF-8 text"):
        read(path)


def test_what_expands_too_far_is_refused_and_the_limit_can_be_raised(case):
    read, path, text = case
    path.write_bytes(gzip.compress(text.encode()))
    n = len(text.encode())
    with pytest.raises(ValueError, match=rf"expands to more than {n - 1} bytes; .* higher max_bytes"):
        read(path, max_bytes=n - 1)
    assert len(read(path, max_bytes=n))
    with pytest.raises(ValueError, match="max_bytes=0 must be a whole number of at least 1"):
        read(path, max_bytes=0)


def test_a_bomb_of_zeros_is_refused_by_default(case, monkeypatch):
    read, path, text = case
    monkeypatch.setattr("tcellmil.io._bounded.MIN_BYTES", 1 << 16)
    path.write_bytes(gzip.compress(text.encode() + b"0\n" * (1 << 20)))
    limit = 100 * path.stat().st_size
    with pytest.raises(ValueError, match=rf"line \d+|expands to more than {limit:,} bytes"):
        read(path)


def test_a_line_without_an_end_is_refused(case, monkeypatch):
    read, path, text = case
    monkeypatch.setattr("tcellmil.io._bounded.MAX_LINE", 1_000)
    path.write_text(text + "x" * 2_000)
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))}, line \d+: over 1,000 characters"):
        read(path)


def test_a_folder_and_nothing_are_named(case, tmp_path):
    read, _, _ = case
    with pytest.raises((ValueError, FileNotFoundError), match="nothing"):
        read(tmp_path / "nothing")
    with pytest.raises((ValueError, FileNotFoundError), match=re.escape(str(tmp_path))):
        read(tmp_path)


def test_an_empty_file_is_refused(case):
    read, path, _ = case
    path.write_text("\n")
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} (is empty|holds no gene set)"):
        read(path)


@pytest.mark.parametrize("name", ["adjacencies.tsv", "net.csv", "motifs.csv", "motifs.tbl"])
def test_a_file_that_ends_after_its_header_is_refused(tmp_path, name):
    """It was found as a motif table that became a net without edges."""
    read, text = READERS[name]
    (tmp_path / name).write_text("".join(text.splitlines(keepends=True)[: 3 if name == "motifs.csv" else 1]))
    for reader in {read, tm.io.read_net} if name == "motifs.csv" else {read}:
        with pytest.raises(ValueError, match=f"{name} has a header and no rows"):
            reader(tmp_path / name)


def test_a_database_without_motifs_or_genes_is_refused(tmp_path):
    ranking_file(tmp_path / "x.feather")
    for table in (pd.DataFrame({"motifs": ["m1"]}), pd.DataFrame({"motifs": ["m"], "LYZ": [0]})[:0]):
        table.reset_index(drop=True).astype({"motifs": "string"}).to_feather(tmp_path / "x.feather")
        with pytest.raises(ValueError, match="x.feather ranks . genes for . motifs; it is incomplete"):
            tm.io.read_rankings(tmp_path / "x.feather")


def test_the_limit_of_the_csv_module_is_as_before(tmp_path):
    before = csv.field_size_limit()
    (tmp_path / "x.tsv").write_text(ADJACENCIES + "a\tb\n")
    with pytest.raises(ValueError, match="line 4: 2 fields"):
        tm.io.read_adjacencies(tmp_path / "x.tsv")
    assert csv.field_size_limit() == before


@pytest.mark.parametrize("name", ["adjacencies.tsv", "net.csv", "motifs.csv", "motifs.tbl"])
@pytest.mark.parametrize("change", ["longer", "shorter"])
def test_a_row_of_another_length_than_the_header_is_refused(tmp_path, name, change):
    read, text = READERS[name]
    mark = "," if name.endswith("csv") else "\t"
    *rest, last = text.rstrip("\n").split("\n")
    last = f"1{mark}{last}" if change == "longer" else last.split(mark, 1)[1]
    (tmp_path / name).write_text("\n".join([*rest, last]) + "\n")
    hint = "; write the table without row names" if change == "longer" else ""
    with pytest.raises(ValueError, match=rf"{name}, line {len(rest) + 1}: \d+ fields, but the header has \d+.*{hint}$"):
        read(tmp_path / name)


def test_row_names_without_a_header_do_not_shift_the_columns(tmp_path):
    """R writes a header that is one field shorter than its rows: TF became the number of the row."""
    (tmp_path / "x.tsv").write_text("TF\ttarget\timportance\n1\tSPI1\tLYZ\t2.5\n")
    with pytest.raises(ValueError, match=r"x.tsv, line 2: 4 fields, but the header has 3, \['TF', 'target'"):
        tm.io.read_adjacencies(tmp_path / "x.tsv")


def test_a_column_of_row_names_with_a_blank_header_is_left_out(tmp_path):
    pd.read_csv(StringIO(ADJACENCIES), sep="\t").to_csv(tmp_path / "x.csv")
    assert list(tm.io.read_adjacencies(tmp_path / "x.csv").columns) == ["TF", "target", "importance"]
    pd.read_csv(StringIO(NET)).to_csv(tmp_path / "net.csv")
    assert len(tm.io.read_net(tmp_path / "net.csv")) == 2


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("SPI1\tFCN1\tinf", "line 4: importance is inf, which must be finite and at least 0"),
        ("SPI1\tFCN1\t-1", "line 4: importance is -1, which must be"),
        ("SPI1\tFCN1\t", "line 4: importance is nan"),
        ("SPI1\tFCN1\thigh", "line 4: importance: 'high' is not a number"),
        ("SPI1\tFCN1\t1_0", "line 4: importance: '1_0' is not a number"),
        ("SPI1\t\t1", "line 4: target is blank"),
        ("SPI1\tLYZ\t1", "line 4: SPI1 - LYZ is there already; each edge must be there once"),
        ('"SPI1\tLYZ\t1', "line 4: 1 fields, but the header has 3"),
    ],
)
def test_an_edge_that_cannot_be_is_refused_by_its_line(tmp_path, row, message):
    (tmp_path / "x.tsv").write_text(f"{ADJACENCIES}{row}\n")
    with pytest.raises(ValueError, match=rf"x.tsv, {re.escape(message)}"):
        tm.io.read_adjacencies(tmp_path / "x.tsv")


def test_several_bad_rows_are_counted(tmp_path):
    (tmp_path / "x.tsv").write_text(ADJACENCIES + "A\tb\tinf\nA\tc\t-1\n")
    with pytest.raises(ValueError, match=r"line 4: importance is inf.*\(2 rows are so\)"):
        tm.io.read_adjacencies(tmp_path / "x.tsv")


def test_columns_that_are_there_twice_are_refused(tmp_path):
    (tmp_path / "x.tsv").write_text("TF\ttarget\timportance\ttarget\nA\tb\t1\tc\n")
    with pytest.raises(ValueError, match=r"has the columns \['target'\] more than once"):
        tm.io.read_adjacencies(tmp_path / "x.tsv")


def test_other_columns_are_read_as_what_they_are(tmp_path):
    (tmp_path / "x.tsv").write_text(
        "TF\ttarget\timportance\trho\tregulation\tnote\nA\tb\t1\t\t1\tx\nA\tc\t2\t-0.5\t-1\t3\n"
    )
    table = tm.io.read_adjacencies(tmp_path / "x.tsv")
    assert np.isnan(table["rho"][0]) and table["rho"][1] == -0.5
    assert table["regulation"].tolist() == [1, -1] and table["note"].tolist() == ["x", "3"]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("B,g1,inf", "line 4: weight is inf, which must be finite"),
        ("B,g1,", "line 4: weight is nan"),
        ("B,g1,x", "line 4: weight: 'x' is not a number"),
        (",g1,1", "line 4: source is blank"),
        ("A,g1,3", "line 4: A - g1 is there already; keep one of each edge"),
    ],
)
def test_an_edge_of_a_net_is_refused_by_its_line(tmp_path, row, message):
    (tmp_path / "net.csv").write_text(f"{NET}{row}\n")
    with pytest.raises(ValueError, match=rf"net.csv, {re.escape(message)}"):
        tm.io.read_net(tmp_path / "net.csv")


def test_a_net_with_other_columns_says_how_to_rename_them(tmp_path):
    (tmp_path / "net.csv").write_text("tf,target,mor\nA,g1,1\n")
    with pytest.raises(ValueError, match=r"net.csv: net needs the columns .* it has \['tf', 'target', 'mor'\]. Rename"):
        tm.io.read_net(tmp_path / "net.csv")


def test_a_gene_called_na_is_a_gene(tmp_path):
    (tmp_path / "net.csv").write_text("source;target\nNA;nan\n")
    assert tm.io.read_net(tmp_path / "net.csv").values.tolist() == [["NA", "nan", 1.0]]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (f"{SETS}A\tx\tg3\n", "line 3: 'A' is the name of the set in line 1 too"),
        (f"{SETS} \tx\tg3\n", "line 3: the set has no name"),
        (f"{SETS}C\tx\t \n", "line 3 has no gene"),
    ],
)
def test_a_gene_set_is_refused_by_its_line(tmp_path, text, message):
    (tmp_path / "x.gmt").write_text(text)
    with pytest.raises(ValueError, match=re.escape(message)):
        tm.io.read_gmt(tmp_path / "x.gmt")


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("('g1', 1.0)", "('g1', inf)", "line 4: TargetGenes: the weight of 'g1' is inf, which must be finite"),
        ("('g1', 1.0)", "('g1', -1.0)", "line 4: TargetGenes: the weight of 'g1' is -1"),
        ("('g1', 1.0)", "('g1', 1.0), ('g1', 2.0)", "line 4: TargetGenes: 'g1' is there twice"),
        ("('g1', 1.0)", "('g1', 1.0) ('g2', 2.0)", "not what pySCENIC writes there"),
        ("('g1', 1.0)", "[" * 5_000, "not what pySCENIC writes there"),
        (",3.5,", ",inf,", "line 4: NES is inf"),
        (",100,", ",,", "line 4: RankAtMax is nan"),
        ("\nA,m1", "\nA,", "line 4: MotifID is blank"),
        ("frozenset()", "frozenset({1})", "not what pySCENIC writes there"),
    ],
)
def test_a_motif_is_refused_by_its_line(tmp_path, old, new, message):
    (tmp_path / "motifs.csv").write_text(TABLE.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(message)):
        tm.io.read_motifs(tmp_path / "motifs.csv")


def test_names_with_quotation_marks_and_backslashes_survive(tmp_path):
    motifs = tm.io.read_motifs(_written(tmp_path, TABLE))
    motifs["TargetGenes"] = [[("it's", 1.0), ('a "b"', 2.0), ("c\\d", 3.0), ('it\'s "both"', 4.0)]]
    motifs["Context"] = [frozenset({"it's", "b, c"})]
    tm.io.write_motifs(motifs, tmp_path / "again.csv")
    pd.testing.assert_frame_equal(tm.io.read_motifs(tmp_path / "again.csv"), motifs)


def test_a_third_header_row_need_not_be_there(tmp_path):
    with_names = tm.io.read_motifs(_written(tmp_path, TABLE))
    without = tm.io.read_motifs(_written(tmp_path, TABLE.replace("TF,MotifID,,,,,,,,\n", "")))
    pd.testing.assert_frame_equal(with_names, without)


def _written(folder, text):
    (folder / "motifs.csv").write_text(text)
    return folder / "motifs.csv"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0.0", "low", "line 2: motif_similarity_qvalue: 'low' is not a number"),
        ("0.0", "", "line 2: motif_similarity_qvalue is nan"),
        ("PAX5", " ", "line 2: gene_name is blank"),
    ],
)
def test_an_annotation_is_refused_by_its_line(tmp_path, old, new, message):
    (tmp_path / "motifs.tbl").write_text(ANNOTATIONS.replace(old, new))
    with pytest.raises(ValueError, match=re.escape(message)):
        tm.io.read_motif_annotations(tmp_path / "motifs.tbl")


def ranking_file(path, compression="zstd", **changes):
    ranks = pd.DataFrame({"motifs": ["m1", "m2"], "LYZ": [0, 1], "CD14": [1, 0]}).assign(**changes)
    ranks.to_feather(path, compression=compression)
    return path


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"motifs": ["m1", "m1"]}, r"names motifs more than once: \['m1'\]"),
        ({"LYZ": [0, -1]}, "has ranks below 0, the first of motif 'm2'"),
        ({"LYZ": pd.array([0, None], dtype="Int64")}, "it has missing values"),
        ({"motifs": [1, 2]}, "is not a ranking database"),
    ],
)
def test_a_ranking_that_cannot_be_is_refused(tmp_path, changes, message):
    with pytest.raises(ValueError, match=rf"x.feather .*{message}"):
        tm.io.read_rankings(ranking_file(tmp_path / "x.feather", **changes))


def test_genes_that_are_ranked_twice_are_refused(tmp_path):
    import pyarrow as pa
    from pyarrow import feather

    table = pa.table([["m1"], [0], [1]], names=["motifs", "LYZ", "LYZ"])
    feather.write_feather(table, tmp_path / "x.feather")
    with pytest.raises(ValueError, match=r"x.feather names genes more than once: \['LYZ'\]"):
        tm.io.read_rankings(tmp_path / "x.feather")


def test_rankings_that_expand_too_far_are_refused_before_they_are_read(tmp_path):
    ranks = pd.DataFrame(np.zeros((500, 100), dtype=np.int32)).rename(columns=str)
    ranks.insert(0, "motifs", [f"m{i}" for i in range(500)])
    ranks.to_feather(tmp_path / "x.feather", compression="zstd")
    with pytest.raises(ValueError, match="expands to more than 199,999 bytes"):
        tm.io.read_rankings(tmp_path / "x.feather", max_bytes=199_999)
    assert tm.io.read_rankings(tmp_path / "x.feather", max_bytes=200_000).shape == (500, 100)


@pytest.mark.parametrize("compression", ["uncompressed", "lz4", "zstd"])
def test_rankings_that_are_cut_off_are_refused(tmp_path, compression):
    path = ranking_file(tmp_path / "x.feather", compression)
    path.write_bytes(path.read_bytes()[:-40])
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} is not a feather file, or is damaged"):
        tm.io.read_rankings(path)


def test_factors_come_from_a_file_of_one_name_per_line(tmp_path):
    path = tmp_path / "tfs.txt"
    path.write_text("PAX5\nPAX5\nTBX21\tmaster regulator\n")
    with pytest.raises(ValueError, match=r"tfs.txt, line 3: 'TBX21\\tmaster regulator' is not one name"):
        tm.regulons.load_tf_names(path)
    path.write_bytes(b"PAX5\n\xff\n")
    with pytest.raises(ValueError, match="tfs.txt is not UTF-8 text"):
        tm.regulons.load_tf_names(path)
    path.write_bytes(b"PAX5\n" * (1 << 22))
    with pytest.raises(ValueError, match="tfs.txt has more than 16,777,216 bytes"):
        tm.regulons.load_tf_names(path)
