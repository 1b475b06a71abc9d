"""The perturbation tables come out as copies, whole or by regulon, direction and dose."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.get._perturb import nearest_dose

PARTS = ("patients", "stats")
PAIR_PARTS = ("pairs", "pair_stats")
KEY = "tcellmil_perturbation"


@pytest.fixture
def perturbed(explored):
    return explored


@pytest.mark.parametrize("part", ["patients", "pairs"])
def test_tables_of_patients_come_out_as_they_were_written(perturbed, part, assert_same):
    assert_same(tm.get.perturb(perturbed, part).reset_index(), perturbed.uns[KEY][part])


@pytest.mark.parametrize(("part", "size"), [("stats", "mean_delta"), ("pair_stats", "mean_epistasis")])
def test_tests_come_out_whole_the_largest_effect_first(perturbed, part, size, assert_same):
    table, written = tm.get.perturb(perturbed, part), perturbed.uns[KEY][part]
    sizes = table[size].abs().dropna().to_numpy()
    assert len(sizes) > 1 and (np.diff(sizes) <= 0).all()
    assert table[size].isna().equals(table[size].isna().sort_values(kind="stable"))  # without a size last
    assert_same(table.loc[pd.MultiIndex.from_frame(written[table.index.names])].reset_index(), written)


@pytest.mark.parametrize("part", PARTS)
def test_regulon_and_direction_choose_rows(perturbed, part):
    table = tm.get.perturb(perturbed, part, regulons="C", direction="down").reset_index()
    assert table["regulon"].unique().tolist() == ["C"] and table["direction"].unique().tolist() == ["down"]
    n_patients, n_doses = 1 if part == "stats" else 6, 2
    assert len(table) == n_doses * n_patients
    both = tm.get.perturb(perturbed, part, regulons=["C", "IRF7(+)"])
    assert len(both) == 2 * 2 * n_doses * n_patients


@pytest.mark.parametrize("part", PARTS)
def test_changing_a_table_changes_nothing_in_adata(perturbed, part):
    before = perturbed.uns[KEY][part].copy()
    table = tm.get.perturb(perturbed, part)
    table.loc[:, table.select_dtypes("number").columns] = 0
    table["regulon"] = "changed"
    pd.testing.assert_frame_equal(perturbed.uns[KEY][part], before)


@pytest.mark.parametrize("part", PARTS)
def test_a_dose_chooses_rows(perturbed, part):
    result = perturbed.uns[KEY]
    result[part] = pd.concat([result[part], result[part].query("n_mad == 3").assign(n_mad=0.5)], ignore_index=True)
    for dose in (3, 0.5):
        table = tm.get.perturb(perturbed, part, n_mad=dose)
        assert len(table) == (6 if part == "stats" else 36) and set(table.index.get_level_values("n_mad")) == {dose}
    with pytest.raises(ValueError, match="n_mad=5 is not one of the doses; there are 0.5, 1, 3"):
        tm.get.perturb(perturbed, part, n_mad=5)


@pytest.mark.parametrize("doses, expected", [([3.0], 3), ([1, 2, 5, 10], 2), ([4.0, 2.0], 2), ([5, 10], 5)])
def test_the_usual_dose_is_the_nearest_to_that_of_the_paper(doses, expected):
    assert nearest_dose(pd.Series(doses)) == nearest_dose(pd.Index(doses)) == expected


@pytest.mark.parametrize("part", PAIR_PARTS)
def test_pairs_are_chosen_by_either_member(perturbed, part):
    pairs = perturbed.uns[KEY][part]
    first, second, third = perturbed.uns["regulons"]["names"]
    of_one = tm.get.perturb(perturbed, part, regulons=third, direction="up", n_mad=3).reset_index()
    members = of_one[["regulon_1", "regulon_2"]].drop_duplicates().to_numpy().tolist()
    assert sorted(members) == sorted([[first, third], [second, third]])
    assert len(tm.get.perturb(perturbed, part, regulons=[first, second])) == len(pairs)
    message = r"regulons \['TF9'\] are not in the table; there are \['"
    with pytest.raises(KeyError, match=message):
        tm.get.perturb(perturbed, part, regulons=["TF9"])


def test_without_pairs_the_error_says_how_to_get_them(perturbed):
    del perturbed.uns[KEY]["pairs"]
    with pytest.raises(KeyError, match=rf"uns\['{KEY}'\] has no 'pairs'; run tl.perturb\(adata, combine=2\) first"):
        tm.get.perturb(perturbed, "pairs")
    verb = r"run tl.perturb\(adata, combine=2, key='other'\) first"
    with pytest.raises(KeyError, match=f"no 'other_perturbation'; {verb}"):
        tm.get.perturb(perturbed, "pair_stats", key="other")
    with pytest.raises(KeyError, match=r"no 'nk'; run tl.perturb\(adata, combine=2, key_added='nk'\) first"):
        tm.get.perturb(perturbed, "pairs", result_key="nk")


def test_without_a_perturbation_the_error_names_perturb():
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    with pytest.raises(KeyError, match=r"no 'tcellmil_perturbation'; run tl.perturb\(adata\) first"):
        tm.get.perturb(adata)
    with pytest.raises(KeyError, match=r"no 'other_perturbation'; run tl.perturb\(adata, key='other'\) first"):
        tm.get.perturb(adata, "stats", key="other")


def test_a_perturbation_under_its_own_key_is_found_by_it(perturbed):
    result = perturbed.uns[KEY]
    perturbed.uns["nk_only"] = result | {"patients": result["patients"].iloc[:4], "stats": result["stats"].iloc[:1]}
    assert len(tm.get.perturb(perturbed, result_key="nk_only")) == 4
    assert len(tm.get.perturb(perturbed, "stats", result_key="nk_only")) == 1
    with pytest.raises(KeyError, match=r"no 'b_only'; run tl.perturb\(adata, key_added='b_only'\) first"):
        tm.get.perturb(perturbed, result_key="b_only")


def test_unknown_regulons_directions_and_parts_are_named(perturbed):
    with pytest.raises(KeyError, match="TF9.*are not in the table; there are.*IRF7"):
        tm.get.perturb(perturbed, regulons=["IRF7(+)", "TF9"])
    with pytest.raises(ValueError, match="direction='sideways' is not known; choose from 'up', 'down'"):
        tm.get.perturb(perturbed, direction="sideways")
    with pytest.raises(ValueError, match="part='table' is not known; choose from 'patients', 'stats', 'pairs', 'pair_"):
        tm.get.perturb(perturbed, "table")
