"""Regulons from a table, a file or decoupler are one tidy table."""

import decoupler as dc
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.io._net import net_name


@pytest.fixture
def net():
    return pd.DataFrame({"source": ["B", "A", "A"], "target": ["g1", "g2", "g3"], "weight": [1.0, 2.0, 0.5]})


@pytest.fixture
def tidy():
    return pd.DataFrame({"regulon": ["A", "A", "B"], "target": ["g2", "g3", "g1"], "weight": [2.0, 0.5, 1.0]})


def motif_table():
    motifs = pd.DataFrame({"TF": ["A", "A"], "MotifID": ["m1", "m2"], "AUC": 0.1, "NES": 4.0})
    motifs = motifs.assign(MotifSimilarityQvalue=0.0, OrthologousIdentity=1.0, Annotation="direct", RankAtMax=10)
    motifs["Context"] = [frozenset({"activating"}), frozenset({"repressing"})]
    motifs["TargetGenes"] = [[("g1", 1.0), ("g2", 3.0)], [("g3", 2.0)]]
    return motifs


@pytest.mark.parametrize("name", ["net.csv", "net.tsv", "net.csv.gz"])
@pytest.mark.parametrize("kind", [str, lambda path: path])
def test_a_table_and_its_file_are_the_same_net(net, tidy, name, kind, tmp_path):
    net.to_csv(tmp_path / name, sep="\t" if "tsv" in name else ",", index=False)
    pd.testing.assert_frame_equal(tm.io.read_net(net), tidy)
    pd.testing.assert_frame_equal(tm.io.read_net(kind(tmp_path / name)), tidy)
    assert (net_name(net), net_name(kind(tmp_path / name))) == ("net", name)


def test_what_was_read_can_be_read_again(net, tidy):
    pd.testing.assert_frame_equal(tm.io.read_net(tm.io.read_net(net)), tidy)


@pytest.mark.parametrize("name", ["net.gmt", "net.gmt.gz"])
def test_a_gmt_file_has_weights_of_one(net, tidy, name, tmp_path):
    tm.io.write_gmt(net, tmp_path / name)
    pd.testing.assert_frame_equal(tm.io.read_net(tmp_path / name), tidy.assign(weight=1.0))


def test_a_motif_table_is_joined_by_factor_and_sign(tmp_path):
    expected = pd.DataFrame({"regulon": ["A(+)", "A(+)", "A(-)"], "target": ["g2", "g1", "g3"]})
    expected["weight"] = [3.0, 1.0, 2.0]
    tm.io.write_motifs(motif_table(), tmp_path / "motifs.csv")
    for source in (motif_table(), tmp_path / "motifs.csv"):
        pd.testing.assert_frame_equal(tm.io.read_net(source), expected)
    assert net_name(motif_table()) == "motif table"


def test_a_resource_of_decoupler_is_downloaded_by_name(net, tidy, monkeypatch):
    monkeypatch.setattr(dc.op, "dorothea", lambda: net)
    pd.testing.assert_frame_equal(tm.io.read_net("dorothea"), tidy)
    assert net_name("dorothea") == "dorothea"


@pytest.mark.parametrize(
    ("net", "error", "message"),
    [
        ("nothing.gmt", ValueError, "'nothing.gmt' is neither a file nor one of collectri, dorothea"),
        ({"A": ["B"]}, TypeError, "net must be a DataFrame, a path, or one of collectri, dorothea, got dict"),
        (pd.DataFrame({"tf": ["A"], "target": ["B"]}), ValueError, r"it has \['tf', 'target'\]"),
        (pd.DataFrame({"source": ["A"], "target": ["B"], "weight": [np.nan]}), ValueError, "1 of 1 rows of net lack"),
    ],
)
def test_what_is_no_net_is_named(net, error, message):
    with pytest.raises(error, match=message):
        tm.io.read_net(net)
