import gzip

import decoupler as dc
import numpy as np
import pandas as pd
import pytest
from ctxcore.genesig import GeneSignature

import tcellmil as tm


@pytest.fixture
def edges():
    return pd.DataFrame(
        {
            "TF": ["SPI1", "NA", "PAX5"],
            "target": ["LYZ", "CD79A", "NAN"],
            "importance": [2.5, 1.25, 1e-9],
            "rho": [0.5, -0.1, np.nan],
        }
    )


@pytest.mark.parametrize("name", ["adj.tsv", "adj.csv", "adj.tsv.gz", "adj.csv.gz"])
def test_adjacencies_survive_a_round_trip(tmp_path, edges, name):
    tm.io.write_adjacencies(edges, tmp_path / name)
    pd.testing.assert_frame_equal(tm.io.read_adjacencies(tmp_path / name), edges)


def test_adjacencies_are_read_as_pyscenic_writes_them(tmp_path):
    (tmp_path / "adj.tsv").write_text("TF\ttarget\timportance\nSpi1\tLyz2\t12.5\n")
    table = tm.io.read_adjacencies(tmp_path / "adj.tsv")
    assert table.to_dict("records") == [{"TF": "Spi1", "target": "Lyz2", "importance": 12.5}]


def test_a_file_that_is_no_network_is_named(tmp_path, edges):
    (tmp_path / "adj.tsv").write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match=r"lacks the columns \['TF', 'importance', 'target'\]; its header is"):
        tm.io.read_adjacencies(tmp_path / "adj.tsv")
    with pytest.raises(ValueError, match=r"grn lacks the columns \['TF'\]"):
        tm.io.write_adjacencies(edges.drop(columns="TF"), tmp_path / "new.tsv")
    assert not (tmp_path / "new.tsv").exists()


@pytest.mark.parametrize("name", ["sets.gmt", "sets.gmt.gz"])
def test_gmt_survives_a_round_trip(tmp_path, name):
    targets = pd.DataFrame(
        {"regulon": ["B(+)", "B(+)", "A(-)"], "target": ["g2", "g1", "g1"], "weight": [1.0, 2.0, 3.0]}
    )
    tm.io.write_gmt(targets, tmp_path / name)
    back = tm.io.read_gmt(tmp_path / name)
    pd.testing.assert_frame_equal(back, targets.rename(columns={"regulon": "source"})[["source", "target"]])
    if name.endswith("gz"):
        assert gzip.open(tmp_path / name, "rt").readline() == "B(+)\tregulon\tg2\tg1\n"


def test_gmt_of_pyscenic_is_read_in_its_own_dialect(tmp_path):
    path = str(tmp_path / "sets.gmt")
    GeneSignature.to_gmt(path, [GeneSignature(name="A(+)", gene2weight={"g1": 2.0, "g2": 1.0})])
    assert open(path).read().startswith("A(+),")
    assert tm.io.read_gmt(path).values.tolist() == [["A(+)", "g1"], ["A(+)", "g2"]]


def test_gmt_of_this_package_is_read_by_pyscenic(tmp_path):
    path = str(tmp_path / "sets.gmt")
    tm.io.write_gmt(pd.DataFrame({"source": "A", "target": ["g1", "g2"]}), path)
    [signature] = GeneSignature.from_gmt(path)
    assert (signature.name, set(signature.genes)) == ("A", {"g1", "g2"})


def test_gmt_of_this_package_is_read_by_decoupler(tmp_path):
    """It splits at blanks, so that an empty description cost every regulon its first gene."""
    net = pd.DataFrame({"source": ["A(+)", "A(+)", "B(-)"], "target": ["g1", "g2", "g3"]})
    tm.io.write_gmt(net, tmp_path / "sets.gmt")
    pd.testing.assert_frame_equal(dc.pp.read_gmt(str(tmp_path / "sets.gmt")), net)


def test_gmt_of_this_package_is_read_by_gseapy(tmp_path):
    parser = pytest.importorskip("gseapy.parser", reason="gseapy is not installed")
    tm.io.write_gmt(pd.DataFrame({"source": ["A", "A", "B"], "target": ["g1", "g2", "g3"]}), tmp_path / "sets.gmt")
    assert parser.read_gmt(str(tmp_path / "sets.gmt")) == {"A": ["g1", "g2"], "B": ["g3"]}


@pytest.mark.parametrize(
    ("source", "target", "message"),
    [
        ("A\tB", "g1", "source 'A.tB' cannot be written as GMT"),
        ("A", "g1\n", "target 'g1.n' cannot be written as GMT"),
        ("#A", "g1", "source '#A' cannot be written as GMT"),
        (None, "g1", "source (None|nan) cannot be written"),
        ("A", np.nan, "target nan cannot be written"),
    ],
)
def test_names_that_gmt_cannot_hold_are_refused(tmp_path, source, target, message):
    with pytest.raises(ValueError, match=message):
        tm.io.write_gmt(pd.DataFrame({"source": [source, "B"], "target": [target, "g2"]}), tmp_path / "x.gmt")
    assert not (tmp_path / "x.gmt").exists()


def test_unused_categories_are_no_gene_sets(tmp_path):
    source = pd.Categorical(["A"], categories=["A", "unused"])
    tm.io.write_gmt(pd.DataFrame({"source": source, "target": ["g1"]}), tmp_path / "x.gmt")
    assert tm.io.read_gmt(tmp_path / "x.gmt").values.tolist() == [["A", "g1"]]


def test_gmt_skips_comments_and_genes_named_twice(tmp_path):
    (tmp_path / "x.gmt").write_text("# a comment\n\nA\thttp://x\tg1\tg2\tg1\t\r\n")
    assert tm.io.read_gmt(tmp_path / "x.gmt").values.tolist() == [["A", "g1"], ["A", "g2"]]


@pytest.mark.parametrize(("text", "message"), [("A g1 g2\n", "x.gmt, line 1 has no gene"), ("", "holds no gene set")])
def test_a_file_that_is_no_gmt_is_named(tmp_path, text, message):
    (tmp_path / "x.gmt").write_text(text)
    with pytest.raises(ValueError, match=message):
        tm.io.read_gmt(tmp_path / "x.gmt")


def test_gmt_needs_names_and_targets(tmp_path):
    with pytest.raises(ValueError, match="it has"):
        tm.io.write_gmt(pd.DataFrame({"tf": ["A"], "target": ["g"]}), tmp_path / "x.gmt")


def test_rankings_have_motifs_in_rows_and_genes_in_columns(shared_data):
    rankings = tm.io.read_rankings(shared_data("cistarget_hg19_5motifs.rankings.feather"))
    assert rankings.shape == (5, 22_284)
    assert "predrem__nrMotif1806" in rankings.index
    assert (np.sort(rankings.to_numpy()[0]) == np.arange(22_284)).all()


def test_rankings_of_a_genome_say_what_to_fetch_where_there_is_no_network(monkeypatch):
    from rustscenic import data

    def no_network(*args, **kwargs):
        raise RuntimeError("failed to download")

    monkeypatch.setattr(data, "motif_rankings_path", no_network)
    with pytest.raises(
        FileNotFoundError, match=r"mm10 are not at .*Fetch mm10_10kbp_up.*rankings.feather .* put it there"
    ):
        tm.io.read_rankings("mm10")


def test_a_file_that_is_no_database_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="neither a file nor one of hg38, mm10"):
        tm.io.read_rankings("hg19")
    (tmp_path / "x.feather").write_text("no feather")
    with pytest.raises(ValueError, match="is not a feather file"):
        tm.io.read_rankings(tmp_path / "x.feather")
    pd.DataFrame({"motifs": ["m"], "g": [0.5]}).to_feather(tmp_path / "scores.feather")
    with pytest.raises(ValueError, match="a database of scores is a different file"):
        tm.io.read_rankings(tmp_path / "scores.feather")


@pytest.fixture
def annotation_file(tmp_path):
    path = tmp_path / "motifs.tbl"
    header = "#motif_id\tmotif_name\tgene_name\tmotif_similarity_qvalue\torthologous_identity\tdescription"
    rows = [
        "m1\tx\tPAX5\t0.0\t1.0\tgene is directly annotated",
        "m1\tx\tPAX2\t0.0009\t0.5\tsimilar",
        "m2\tx\tSPI1\t0.01\t1.0\tfar",
    ]
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


def test_annotations_are_those_that_pyscenic_loads(annotation_file):
    from pyscenic.utils import load_motif_annotations

    ours = tm.io.read_motif_annotations(annotation_file)
    expected = load_motif_annotations(str(annotation_file)).reset_index()
    pd.testing.assert_frame_equal(ours, expected[ours.columns])
    assert list(ours.TF) == ["PAX5", "PAX2"]
    assert list(tm.io.read_motif_annotations(annotation_file, orthologous_identity=0.6).TF) == ["PAX5"]


def test_missing_annotations_say_what_to_fetch(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    with pytest.raises(
        FileNotFoundError, match=r"hgnc-m0.001-o0.0.tbl do not exist; fetch https://.* and put it there"
    ):
        tm.io.read_motif_annotations("hg38")
    (tmp_path / "x.tbl").write_text("a\tb\n")
    with pytest.raises(ValueError, match="is not a motif2TF table: it lacks"):
        tm.io.read_motif_annotations(tmp_path / "x.tbl")
