import numpy as np
import pandas as pd
import pytest

from tcellmil.regulons import split_by_sign, targets_from_net
from tcellmil.regulons._targets import describe_names, keep_covered, present_targets, weight_matrix


def net(**columns):
    return pd.DataFrame({"source": ["B", "A", "A"], "target": ["g1", "g1", "g2"]} | columns)


def test_a_net_without_weights_has_weight_1():
    targets = targets_from_net(net())
    assert list(targets.regulon) == ["A", "A", "B"]
    assert set(targets.weight) == {1.0}


def test_edges_of_weight_0_are_no_edges():
    assert list(targets_from_net(net(weight=[1, 0, 2])).regulon) == ["A", "B"]


def test_a_net_without_negative_weights_keeps_its_names():
    targets = targets_from_net(net(weight=[1, 1, 2]))
    assert split_by_sign(targets) is targets


def test_a_signed_net_is_split_and_loses_no_edge():
    split = split_by_sign(targets_from_net(net(weight=[1, -1, 2])))
    assert split.values.tolist() == [["A(+)", "g2", 2.0], ["A(-)", "g1", 1.0], ["B(+)", "g1", 1.0]]


def test_the_table_of_a_result_is_a_net():
    targets = targets_from_net(net(weight=[1, 1, 2]))
    pd.testing.assert_frame_equal(targets_from_net(targets), targets)


def test_kept_regulons_keep_the_targets_that_are_not_here():
    targets = targets_from_net(net())
    kept = keep_covered(targets, pd.Index(["g2", "x"]), min_targets=1)
    assert kept.values.tolist() == [["A", "g1", 1.0], ["A", "g2", 1.0]]


def test_targets_that_are_present_are_counted():
    counted = present_targets(targets_from_net(net()), pd.Index(["g2", "x"]))
    assert counted.to_dict("index") == {"A": {"present": 1, "total": 2}, "B": {"present": 0, "total": 1}}


def test_weights_stand_at_their_gene_and_regulon():
    targets = targets_from_net(net(weight=[1, 2, 3]))
    matrix = weight_matrix(targets, ["A", "B"], pd.Index(["x", "g2", "g1"]))
    assert matrix.toarray().tolist() == [[0, 0], [3, 0], [2, 1]]


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"tf": ["A"], "target": ["g"], "mor": [1]}), r"it has \['tf', 'target', 'mor'\]. Rename"),
        (
            net(weight=[1, None, 1]),
            "1 of 3 rows of net lack a name or have a weight that is no number, the first in row 1",
        ),
        (net(weight=["1", "x", "1"]), "a weight that is no number"),
        (net(target=["g1", "g2", None]), "the first in row 2"),
        (net(target=["g1", "g2", "g2"]), "1 edges more than once, for example A - g2"),
        (net(weight=[1, np.inf, 1]), "1 weights of net are infinite, the first that of A - g1"),
        (net(weight=0), "no edge with a weight other than 0"),
    ],
)
def test_bad_nets_are_named(table, message):
    with pytest.raises(ValueError, match=message):
        targets_from_net(table)


@pytest.mark.parametrize(
    ("names", "kind"),
    [
        (["ENSG00000141510", "ENSG00000012048"], "Ensembl"),
        (["ENSMUSG00000059552", "ENSMUSG00000017146.4"], "Ensembl"),
        (["TP53", "HLA-DRA", "C1orf112"], "human symbols"),
        (["Trp53", "Cd8a", "1810013L24Rik"], "mouse symbols"),
        (["0", "1", "2"], "numbers"),
        (["?!", "__"], "no known kind"),
    ],
)
def test_names_are_described_by_their_kind(names, kind):
    assert kind in describe_names(names, "genes")


def test_a_mismatch_says_what_was_found():
    targets = targets_from_net(net(target=["CD8A", "CD8A", "GZMB"]))
    with pytest.raises(
        ValueError, match=r"none of 2 regulons has 2 targets among the 2 genes: 0 of 2 targets match.*mouse.*human"
    ):
        keep_covered(targets, pd.Index(["Cd8a", "Gzmb"]), min_targets=2)
