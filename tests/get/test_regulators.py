"""Perturbation, SHAP and attention in one table, and what it says where they agree, disagree or are silent."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.outcomes import Classes

# regulon: change up, its padj, change down, its padj, SHAP difference, its padj, tau within, its padj
PAPER = {
    "TBX21(+)": (0.10, 0.001, -0.08, 0.001, 0.02, 0.001, 0.3, 0.001),
    "HMGA1(+)": (-0.09, 0.001, 0.07, 0.001, -0.02, 0.001, 0.2, 0.001),
    "KLF6(+)": (0.12, 0.001, -0.02, 0.2, -0.03, 0.001, -0.3, 0.001),
}
OTHERS = {
    "BOTH(+)": (0.05, 0.01, 0.04, 0.01, 0.01, 0.01, 0.0, 0.9),
    "BOTHLESS(+)": (-0.05, 0.01, -0.04, 0.01, 0.01, 0.01, 0.0, 0.9),
    "NOSHAP(+)": (0.06, 0.01, -0.04, 0.01, 0.01, 0.30, 0.1, 0.9),
    "NOSHIFT(+)": (0.07, 0.05, -0.04, 0.01, 0.01, 0.01, 0.1, 0.9),
    "NEITHER(+)": (0.01, 0.50, -0.01, 0.5, 0.01, 0.50, 0.1, 0.9),
    "STILL(+)": (np.nan, np.nan, np.nan, np.nan, 0.01, 0.01, 0.1, 0.9),
}
CLASSES = ("NR", "OR")


@pytest.fixture(scope="module")
def build(explored_once, fit_of, rows_like):
    """Return a function that gives results as verbs write them, with the values above."""

    def result(verb, part, own, **params):
        written = explored_once.uns[f"tcellmil_{verb}"]
        return {part: rows_like(written[part], **own), "params": written["params"] | params | {"fit": "this"}}

    def built(rows=None, classes=CLASSES, target="OR", explained="OR", key="tcellmil"):
        rows = PAPER | OTHERS if rows is None else rows
        names, values = list(rows), np.array(list(rows.values()), dtype=float)
        adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
        adata.uns[key] = fit_of(["A", "B"], 1, Classes("response", classes))
        adata.uns[key]["params"] |= {"fit": "this", "scores": "{}"}
        change = {"regulon": names * 2, "direction": np.repeat(["up", "down"], len(names)), "n_mad": 3.0}
        change["median_delta"] = values[:, [0, 2]].ravel(order="F")
        change["mean_delta"] = change["median_delta"] * 1.1
        change["padj"] = values[:, [1, 3]].ravel(order="F")
        change |= {"movable": ~np.isnan(change["median_delta"]), "target_class": target}
        shap = {"regulon": names, "weighted_difference": values[:, 4], "median_abs": 0.5, "padj": values[:, 5]}
        correlation = {"regulon": names, "tau_within": values[:, 6], "tau_within_padj": values[:, 7]}
        correlation |= {"rho_within": values[:, 6] * 1.4, "rho_within_padj": values[:, 7], "tau": 0.9, "n_patients": 24}
        correlation |= {"mixed_coef": 0.7, "mixed_padj": 0.2, "mixed_status": "ok"}
        adata.uns[f"{key}_perturbation"] = result("perturbation", "stats", change, key=key, target_class=target)
        adata.uns[f"{key}_shap"] = result("shap", "stats", shap, key=key, target_class=explained)
        adata.uns[f"{key}_attention_correlation"] = result("attention_correlation", "regulons", correlation, key=key)
        return adata

    return built


def test_the_regulons_of_the_paper_read_as_the_paper_reads_them(build):
    table = tm.get.regulators(build())
    assert table.loc[list(PAPER), "agreement"].tolist() == ["concordant", "concordant", "discordant"]
    assert table.loc[list(PAPER), "favours"].tolist() == ["OR", "NR", "OR"]
    assert table.loc[list(PAPER), "attended"].tolist() == ["more", "more", "less"]
    assert (table.loc[list(PAPER), "reason"] == "").all()


@pytest.mark.parametrize(
    ("regulon", "reason", "favours"),
    [
        ("BOTH(+)", "up and down both raise the probability", "unclear"),
        ("BOTHLESS(+)", "up and down both lower the probability", "unclear"),
        ("NOSHAP(+)", "the SHAP difference is not significant", "OR"),
        ("NOSHIFT(+)", "the change is not significant", "unclear"),
        ("NEITHER(+)", "neither is significant", "unclear"),
        ("STILL(+)", "cannot be moved", "unclear"),
    ],
)
def test_what_is_unclear_says_why(build, regulon, reason, favours):
    row = tm.get.regulators(build()).loc[regulon]
    assert (row["agreement"], row["reason"], row["favours"], row["attended"]) == ("unclear", reason, favours, "unclear")


def test_columns_are_those_of_the_three_tables(build):
    adata = build()
    table = tm.get.regulators(adata)
    stats = adata.uns["tcellmil_perturbation"]["stats"].set_index(["direction", "regulon"])
    for direction in ("up", "down"):
        for name in ("mean_delta", "median_delta", "padj"):
            expected = stats.loc[direction, name].reindex(table.index)
            np.testing.assert_array_equal(table[f"{name}_{direction}"], expected)
    np.testing.assert_array_equal(table["effect"], table["median_delta_up"])
    shap = adata.uns["tcellmil_shap"]["stats"].set_index("regulon").reindex(table.index)
    for name, source in {
        "shap_difference": "weighted_difference",
        "shap_abs": "median_abs",
        "shap_padj": "padj",
    }.items():
        np.testing.assert_array_equal(table[name], shap[source])
    correlation = adata.uns["tcellmil_attention_correlation"]["regulons"].set_index("regulon").reindex(table.index)
    for name in ("tau_within", "tau_within_padj", "rho_within", "rho_within_padj", "mixed_coef", "mixed_padj"):
        np.testing.assert_array_equal(table[name], correlation[name])
    assert set(table["target_class"]) == {"OR"}
    assert table["movable"].tolist() == [1.0] * 8 + [0.0]


def test_the_largest_absolute_effect_comes_first_and_the_unmovable_last(build):
    table = tm.get.regulators(build())
    assert table.index.tolist()[:3] == ["KLF6(+)", "TBX21(+)", "HMGA1(+)"]
    assert table.index.tolist()[-1] == "STILL(+)"
    assert (np.diff(table["effect"].abs()[:-1]) <= 0).all()


def test_with_the_shift_down_as_the_effect_its_sign_is_turned_round(build):
    table = tm.get.regulators(build(), direction="down")
    np.testing.assert_array_equal(table["effect"], table["median_delta_down"])
    assert table.loc[["TBX21(+)", "HMGA1(+)", "NOSHIFT(+)"], "agreement"].tolist() == ["concordant"] * 3
    assert table.loc[["TBX21(+)", "HMGA1(+)"], "favours"].tolist() == ["OR", "NR"]
    assert table.loc["KLF6(+)", "reason"] == "the change is not significant"


def test_alpha_decides_what_is_significant(build):
    assert tm.get.regulators(build(), alpha=0.06).loc["NOSHIFT(+)", "agreement"] == "concordant"
    assert (tm.get.regulators(build(), alpha=1e-4)[["agreement", "favours", "attended"]] == "unclear").all(axis=None)


def test_another_class_of_two_turns_the_sign_of_shap_round(build):
    table, same = tm.get.regulators(build(target="OR", explained="NR")), tm.get.regulators(build())
    np.testing.assert_array_equal(table["shap_difference"], -same["shap_difference"])
    assert table.loc["KLF6(+)", "agreement"] == "concordant"
    followed = tm.get.regulators(build(target="NR", explained="NR"))
    assert followed.loc["TBX21(+)", ["favours", "target_class"]].tolist() == ["NR", "NR"]
    assert followed.loc["HMGA1(+)", "favours"] == "OR"


def test_of_several_classes_the_others_have_no_single_name(build):
    table = tm.get.regulators(build(classes=("CR", "PD", "PR"), target="CR", explained="CR"))
    assert table.loc[["TBX21(+)", "HMGA1(+)"], "favours"].tolist() == ["CR", "not CR"]
    with pytest.raises(
        ValueError, match="SHAP values are of class 'PR', the perturbation followed 'CR'; run both with"
    ):
        tm.get.regulators(build(classes=("CR", "PD", "PR"), target="CR", explained="PR"))


@pytest.mark.parametrize(
    ("missing", "verb", "empty"),
    [
        ("tcellmil_perturbation", r"tl.perturb\(adata\)", ["effect", "padj_up", "movable"]),
        ("tcellmil_shap", r"tl.shap\(adata\)", ["shap_difference", "shap_abs", "shap_padj"]),
        ("tcellmil_attention_correlation", r"tl.attention_correlation\(adata\)", ["tau_within", "mixed_padj"]),
    ],
)
def test_a_verb_that_was_not_run_leaves_its_columns_empty_and_is_named(build, missing, verb, empty):
    adata = build()
    whole = tm.get.regulators(adata)
    del adata.uns[missing]
    with pytest.warns(UserWarning, match=f"^{verb} not run: columns are NaN, and what depends on them is 'unclear'"):
        table = tm.get.regulators(adata)
    assert table[empty].isna().all(axis=None)
    assert table.columns.tolist() == whole.columns.tolist() and set(table.index) == set(whole.index)
    if missing == "tcellmil_attention_correlation":
        assert table["agreement"].tolist() == whole["agreement"].tolist() and set(table["attended"]) == {"unclear"}
    else:
        reason = "not perturbed" if "perturbation" in missing else "no SHAP values"
        assert set(table["agreement"]) == {"unclear"}
        assert set(table["reason"]) - {"cannot be moved"} == {reason}


def test_two_missing_verbs_are_named_in_one_warning(build):
    adata = build(key="mine")
    del adata.uns["mine_shap"], adata.uns["mine_attention_correlation"]
    with pytest.warns(UserWarning) as caught:
        tm.get.regulators(adata, key="mine")
    (warning,) = caught
    assert "tl.shap(adata, key='mine') and tl.attention_correlation(adata, key='mine') not run" in str(warning.message)
    assert warning.filename == __file__


def test_without_any_of_the_three_the_error_names_all(build):
    adata = build()
    for key in ("tcellmil_perturbation", "tcellmil_shap", "tcellmil_attention_correlation"):
        del adata.uns[key]
    verbs = r"run tl.perturb\(adata\), tl.shap\(adata\) or tl.attention_correlation\(adata\) first"
    with pytest.raises(KeyError, match=verbs):
        tm.get.regulators(adata)


def test_without_a_perturbation_the_largest_shap_difference_comes_first(build):
    adata = build(PAPER)
    del adata.uns["tcellmil_perturbation"]
    adata.uns["tcellmil_shap"]["stats"]["weighted_difference"] = [0.01, -0.05, 0.03]
    with pytest.warns(UserWarning):
        table = tm.get.regulators(adata)
    assert table.index.tolist() == ["HMGA1(+)", "KLF6(+)", "TBX21(+)"]
    assert set(table["target_class"]) == {"OR"}


def test_a_regulon_that_one_verb_did_not_see_is_kept(build):
    adata = build(PAPER)
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    adata.uns["tcellmil_perturbation"]["stats"] = stats[stats["regulon"] == "KLF6(+)"]
    table = tm.get.regulators(adata)
    assert table.index[0] == "KLF6(+)" and set(table.index) == set(PAPER)
    assert table.loc["TBX21(+)", "reason"] == "not perturbed"


def test_of_several_doses_the_nearest_to_3_counts_unless_said(build):
    adata = build()
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    doses = [stats.assign(n_mad=dose, median_delta=stats["median_delta"] * dose) for dose in (1.0, 4.0)]
    adata.uns["tcellmil_perturbation"]["stats"] = pd.concat(doses, ignore_index=True)
    assert tm.get.regulators(adata).loc["TBX21(+)", "effect"] == pytest.approx(0.4)
    assert tm.get.regulators(adata, n_mad=1).loc["TBX21(+)", "effect"] == pytest.approx(0.1)
    with pytest.raises(ValueError, match="n_mad=3 is not one of the doses; there are 1, 4"):
        tm.get.regulators(adata, n_mad=3)


def test_results_under_names_of_their_own_are_found_and_named(build):
    adata = build()
    for old, new in [
        ("tcellmil_perturbation", "nk"),
        ("tcellmil_shap", "bags"),
        ("tcellmil_attention_correlation", "hallmarks"),
    ]:
        adata.uns[new] = adata.uns.pop(old)
    own = {"perturb": "nk", "shap": "bags", "attention_correlation": "hallmarks"}
    pd.testing.assert_frame_equal(tm.get.regulators(adata, result_key=own), tm.get.regulators(build()))
    with pytest.raises(KeyError, match=r"run tl.perturb\(adata, key_added='a'\), tl.shap\(adata\) or tl.attention"):
        tm.get.regulators(adata, result_key={"perturb": "a"})


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"direction": "sideways"}, "direction='sideways' is not known; choose from 'up', 'down'"),
        (
            {"result_key": {"perturbation": "nk"}},
            "result_key='perturbation' is not known; choose from 'perturb', 'shap'",
        ),
        ({"alpha": 0}, "alpha=0 must be above 0 and at most 1"),
        ({"alpha": 5}, "alpha=5 must be above 0 and at most 1"),
        ({"alpha": float("nan")}, "alpha=nan must be above 0 and at most 1"),
    ],
)
def test_options_out_of_range_are_named(build, options, message):
    with pytest.raises(ValueError, match=message):
        tm.get.regulators(build(), **options)


def test_a_direction_that_was_not_run_is_an_error_or_empty(build):
    adata = build()
    stats = adata.uns["tcellmil_perturbation"]["stats"]
    adata.uns["tcellmil_perturbation"]["stats"] = stats[stats["direction"] == "up"]
    with pytest.raises(ValueError, match=r"direction='down' was not perturbed, only \['up'\]"):
        tm.get.regulators(adata, direction="down")
    table = tm.get.regulators(adata)
    assert table["median_delta_down"].isna().all()
    assert table.loc["BOTH(+)", "agreement"] == "concordant"


def test_changing_the_table_changes_nothing_in_adata(build):
    adata, before = build(), build()
    table = tm.get.regulators(adata)
    table.loc[:, "tau_within"] = 99.0
    for key, part in (("tcellmil_attention_correlation", "regulons"), ("tcellmil_shap", "stats")):
        pd.testing.assert_frame_equal(adata.uns[key][part], before.uns[key][part])


def test_what_the_verbs_wrote_is_joined(explored):
    adata = explored
    table = tm.get.regulators(adata)
    stats = tm.get.perturb(adata, "stats", direction="up", n_mad=3).reset_index().set_index("regulon")
    assert set(table.index) == {"IRF7(+)", "B", "C"} and set(table["target_class"]) == {"R"}
    np.testing.assert_allclose(table["effect"], stats["median_delta"].reindex(table.index))
    assert table[["shap_difference", "tau_within", "mixed_coef"]].notna().all(axis=None)
