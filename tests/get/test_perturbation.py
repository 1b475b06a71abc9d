"""The perturbation tables come out as copies, whole or by regulon and direction."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.get._perturbation import nearest_dose


@pytest.fixture
def perturbed():
    rows = [(p, r, d) for d in ("up", "down") for p in ("A", "B", "C") for r in ("TF1(+)", "TF2(+)")]
    table = pd.DataFrame(rows, columns=["patient", "regulon", "direction"])
    table.insert(3, "n_mad", 3.0)
    table["delta"] = np.arange(12) / 100
    stats = table[table["patient"] == "A"].drop(columns=["patient", "delta"]).reset_index(drop=True)
    stats["padj"] = [0.01, 0.2, 0.03, np.nan]
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    adata.uns.update(tcellmil_perturbation=table, tcellmil_perturbation_stats=stats)
    return adata


def test_whole_tables_come_out_as_they_were_written(perturbed):
    pd.testing.assert_frame_equal(tm.get.perturbation(perturbed), perturbed.uns["tcellmil_perturbation"])
    stats = tm.get.perturbation(perturbed, stats=True)
    pd.testing.assert_frame_equal(stats, perturbed.uns["tcellmil_perturbation_stats"])


@pytest.mark.parametrize("stats", [False, True])
def test_regulon_and_direction_choose_rows(perturbed, stats):
    table = tm.get.perturbation(perturbed, stats=stats, regulons="TF2(+)", direction="down")
    assert table["regulon"].unique().tolist() == ["TF2(+)"] and table["direction"].unique().tolist() == ["down"]
    assert table.index.tolist() == list(range(1 if stats else 3))
    both = tm.get.perturbation(perturbed, stats=stats, regulons=["TF2(+)", "TF1(+)"])
    assert len(both) == (4 if stats else 12)


@pytest.mark.parametrize("stats", [False, True])
def test_changing_a_table_changes_nothing_in_adata(perturbed, stats):
    before = perturbed.copy()
    table = tm.get.perturbation(perturbed, stats=stats)
    table.iloc[:, 3:] = 0
    table["regulon"] = "changed"
    for key in before.uns:
        pd.testing.assert_frame_equal(perturbed.uns[key], before.uns[key])


@pytest.mark.parametrize("stats", [False, True])
def test_a_dose_chooses_rows(perturbed, stats):
    key = "tcellmil_perturbation_stats" if stats else "tcellmil_perturbation"
    perturbed.uns[key] = pd.concat([perturbed.uns[key].assign(n_mad=dose) for dose in (0.5, 3.0, 10.0)])
    for dose in (3, 0.5):
        table = tm.get.perturbation(perturbed, stats=stats, n_mad=dose)
        assert len(table) == (4 if stats else 12) and set(table["n_mad"]) == {dose}
    with pytest.raises(ValueError, match="n_mad=5 is not one of the doses; there are 0.5, 3, 10"):
        tm.get.perturbation(perturbed, stats=stats, n_mad=5)


@pytest.mark.parametrize("doses, expected", [([3.0], 3), ([1, 2, 5, 10], 2), ([4.0, 2.0], 2), ([5, 10], 5)])
def test_the_usual_dose_is_the_nearest_to_that_of_the_paper(doses, expected):
    assert nearest_dose(pd.Series(doses)) == expected


@pytest.mark.parametrize("stats", [False, True])
def test_pairs_come_out_whole_and_by_either_member(perturbed, stats):
    names = [("TF1", "TF2"), ("TF1", "TF3"), ("TF2", "TF3")]
    pairs = pd.DataFrame([(*n, d, 3.0) for n in names for d in ("up", "down")])
    pairs.columns = ["regulon_1", "regulon_2", "direction", "n_mad"]
    perturbed.uns["tcellmil_perturbation_pairs" + ("_stats" if stats else "")] = pairs
    pd.testing.assert_frame_equal(tm.get.perturbation(perturbed, stats=stats, pairs=True), pairs)
    of_one = tm.get.perturbation(perturbed, stats=stats, pairs=True, regulons="TF3", direction="up")
    assert of_one[["regulon_1", "regulon_2"]].to_numpy().tolist() == [["TF1", "TF3"], ["TF2", "TF3"]]
    assert len(tm.get.perturbation(perturbed, stats=stats, pairs=True, regulons=["TF1", "TF2"])) == 6
    with pytest.raises(KeyError, match=r"regulons \['TF9'\] were not perturbed; there are \['TF1', 'TF2', 'TF3'\]"):
        tm.get.perturbation(perturbed, stats=stats, pairs=True, regulons=["TF9"])


def test_without_pairs_the_error_says_how_to_get_them(perturbed):
    with pytest.raises(KeyError, match=r"no 'tcellmil_perturbation_pairs'; run tl.perturb\(adata, combine=2\) first"):
        tm.get.perturbation(perturbed, pairs=True)
    verb = r"run tl.perturb\(adata, combine=2, key='other'\) first"
    with pytest.raises(KeyError, match=f"no 'other_perturbation_pairs_stats'; {verb}"):
        tm.get.perturbation(perturbed, key="other", pairs=True, stats=True)
    with pytest.raises(KeyError, match=r"no 'nk_pairs'; run tl.perturb\(adata, combine=2, key_added='nk'\) first"):
        tm.get.perturbation(perturbed, perturbation_key="nk", pairs=True)


def test_without_a_perturbation_the_error_names_perturb():
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    with pytest.raises(KeyError, match=r"no 'tcellmil_perturbation'; run tl.perturb\(adata\) first"):
        tm.get.perturbation(adata)
    with pytest.raises(KeyError, match=r"no 'other_perturbation_stats'; run tl.perturb\(adata, key='other'\) first"):
        tm.get.perturbation(adata, key="other", stats=True)


def test_a_perturbation_under_its_own_key_is_found_by_it(perturbed):
    perturbed.uns["nk_only"] = perturbed.uns["tcellmil_perturbation"].iloc[:4]
    perturbed.uns["nk_only_stats"] = perturbed.uns["tcellmil_perturbation_stats"].iloc[:1]
    assert len(tm.get.perturbation(perturbed, perturbation_key="nk_only")) == 4
    assert len(tm.get.perturbation(perturbed, perturbation_key="nk_only", stats=True)) == 1
    with pytest.raises(KeyError, match=r"no 'b_only'; run tl.perturb\(adata, key_added='b_only'\) first"):
        tm.get.perturbation(perturbed, perturbation_key="b_only")


def test_unknown_regulons_and_directions_are_named(perturbed):
    with pytest.raises(KeyError, match="TF9.*were not perturbed; there are.*TF1"):
        tm.get.perturbation(perturbed, regulons=["TF1(+)", "TF9"])
    with pytest.raises(ValueError, match="direction='sideways' is not known; choose from 'up', 'down'"):
        tm.get.perturbation(perturbed, direction="sideways")
