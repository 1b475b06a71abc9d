import numpy as np
import pandas as pd
import pytest
from scipy.stats import false_discovery_control, median_abs_deviation

import tcellmil as tm

PARTS = ("patients", "stats", "pairs", "pair_stats")
SIGN = {"up": 1, "down": -1}


def probability_by_hand(adata, scores, patient):
    """Mean probability of R by the replicas that held ``patient`` out, for any scores of its cells in [0, 1]."""
    model = tm.get.model(adata)
    bags = model.bags()
    i = list(bags.names).index(patient)
    rows = bags.order[bags.bag(i)]
    values = []
    for k in np.flatnonzero(model.module.replicas.test[:, i]):
        alone = model.module.members[0].select(np.array([k]))
        z = alone.encode(alone.scale(scores[rows]))
        values.append(alone.classify(z[:, None], bags.cohort_onehot[i])[0][0, 0, 1])
    return np.mean(values)


def shifted_by_hand(adata, regulons, direction, *, n_mad=3, within=None, cells=None):
    """Scores with one regulon or several shifted on the scale 2x - 1 and clipped there."""
    scores = adata.obsm["X_regulons"].copy()
    for regulon in [regulons] if isinstance(regulons, str) else regulons:
        j = list(adata.uns["regulons"]["names"]).index(regulon)
        scale = 2 * scores[:, j].astype(float) - 1
        reference = slice(None) if within is None else (adata.obs["patient"] == within).to_numpy()
        shift = SIGN[direction] * n_mad * median_abs_deviation(scale[reference])
        mask = slice(None) if cells is None else cells
        scale[mask] = np.clip(scale[mask] + shift, -1, 1)
        scores[:, j] = (scale + 1) / 2
    return scores


def row(adata, patient, regulon, direction):
    table = adata.uns["tcellmil_perturbation"]["patients"].set_index(["patient", "regulon", "direction"])
    return table.loc[(patient, regulon, direction)]


def pair_row(adata, patient, regulon_1, regulon_2, direction):
    table = adata.uns["tcellmil_perturbation"]["pairs"]
    return table.set_index(["patient", "regulon_1", "regulon_2", "direction"]).loc[
        (patient, regulon_1, regulon_2, direction)
    ]


def logit(p):
    return np.log((p + 1e-6) / (1 - p + 1e-6))


CASES = [("P0", "TF0(+)", "up"), ("P0", "TF0(+)", "down"), ("P3", "TF2(+)", "down"), ("P7", "TF4(+)", "up")]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n_mad": 20},
        {"mad": "patient"},
        {"cells": "cell_type == 'NK'"},
    ],
    ids=["default", "clipped", "mad of the patient", "some cells"],
)
def test_a_perturbation_is_what_one_gets_by_shifting_and_predicting_again(fitted, options):
    tm.tl.perturb(fitted, **options)
    by_hand = {"n_mad": options.get("n_mad", 3)}
    if "cells" in options:
        by_hand["cells"] = (fitted.obs["cell_type"] == "NK").to_numpy()
    for patient, regulon, direction in CASES:
        if "mad" in options:
            by_hand["within"] = patient
        got = row(fitted, patient, regulon, direction)
        base = probability_by_hand(fitted, fitted.obsm["X_regulons"], patient)
        prob = probability_by_hand(fitted, shifted_by_hand(fitted, regulon, direction, **by_hand), patient)
        assert got["prob_base"] == pytest.approx(base, abs=1e-6)
        assert got["prob"] == pytest.approx(prob, abs=1e-6)
        assert got["delta"] == pytest.approx(prob - base, abs=2e-6)
        assert got["delta_logit"] == pytest.approx(logit(prob) - logit(base), abs=1e-5)
    assert fitted.uns["tcellmil_perturbation"]["patients"]["delta"].abs().max() > 1e-3


def test_a_standard_scaled_representation_is_shifted_on_its_own_scale(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, use_rep="X_pca", cv="loo")
    tm.tl.perturb(adata, regulons=["X_pca_1"], n_mad=2)
    model = tm.get.model(adata)
    bags = model.bags()
    for k, patient in enumerate(bags.names):
        alone, rows = model.module.members[0].select(np.array([k])), bags.bag(k)
        loc, scale = (getattr(alone.encoders.scaling, name)[0] for name in ("loc", "scale"))
        z = np.clip((bags.x[rows] - loc) / scale, -1, 1)
        z[:, 1] = np.clip(z[:, 1] + 2 * median_abs_deviation(bags.x[:, 1]) / scale[1], -1, 1)
        prob = alone.classify(alone.encode(alone.scale(z * scale + loc))[:, None], bags.cohort_onehot[k])[0][0, 0, 1]
        assert row(adata, patient, "X_pca_1", "up")["prob"] == pytest.approx(prob, abs=1e-5)


def test_the_base_is_the_out_of_fold_prediction(fitted):
    tm.tl.perturb(fitted)
    base = fitted.uns["tcellmil_perturbation"]["patients"].groupby("patient")["prob_base"].agg(["min", "max"])
    for column in base:
        np.testing.assert_allclose(base[column], tm.get.predictions(fitted)["prob_R"], atol=1e-6)


def test_a_larger_shift_moves_the_scores_further(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=8, n_cells=30)
    fit_quickly(adata, training={"max_epochs": 40})
    effects = []
    for n_mad in (0.5, 1, 2, 4):
        tm.tl.perturb(adata, regulons="TF0(+)", directions="up", n_mad=n_mad)
        effects.append(adata.uns["tcellmil_perturbation"]["stats"]["mean_delta_logit"].item())
    assert effects[0] > 0  # the regulon that marks responders
    assert (np.diff(effects) > 0).all()


def test_perturbing_one_patients_cells_leaves_all_others(fitted):
    mask = (fitted.obs["patient"] == "P4").to_numpy()
    tm.tl.perturb(fitted, cells=mask)
    moved = fitted.uns["tcellmil_perturbation"]["patients"].groupby("patient")["delta"].apply(lambda d: d.abs().max())
    assert moved["P4"] > 1e-4
    np.testing.assert_allclose(moved.drop("P4"), 0, atol=1e-9)


def test_a_mask_a_series_in_any_order_and_a_query_agree(fitted):
    series = fitted.obs["cell_type"] == "NK"
    tables = []
    for cells in (series.to_numpy(), series, series.iloc[::-1], "cell_type == 'NK'"):
        tm.tl.perturb(fitted, cells=cells)
        tables.append(fitted.uns["tcellmil_perturbation"]["patients"])
    tm.tl.perturb(fitted)
    assert not fitted.uns["tcellmil_perturbation"]["patients"]["prob"].equals(tables[0]["prob"])
    for table in tables[1:]:
        pd.testing.assert_frame_equal(table, tables[0])


def test_some_regulons_and_directions_give_their_rows_of_the_whole(fitted):
    tm.tl.perturb(fitted)
    whole = fitted.uns["tcellmil_perturbation"]["patients"]
    tm.tl.perturb(fitted, regulons=["TF3(+)", "TF1(+)"], directions=["down"])
    part = fitted.uns["tcellmil_perturbation"]["patients"]
    assert part["regulon"].unique().tolist() == ["TF3(+)", "TF1(+)"]
    assert set(part["direction"]) == {"down"}
    key = ["patient", "regulon", "direction", "n_mad"]
    both = part.merge(whole, on=key, suffixes=("", "_whole"))
    assert len(both) == len(part) == 16
    np.testing.assert_allclose(both["prob"], both["prob_whole"], atol=1e-6)


def test_only_the_documented_keys_are_written(fitted):
    before, scores = set(fitted.uns), fitted.obsm["X_regulons"].copy()
    obs = fitted.obs.copy()
    assert tm.tl.perturb(fitted) is None
    assert set(fitted.uns) - before == {"tcellmil_perturbation"}
    tm.tl.perturb(fitted, regulons="TF1(+)", key_added="one")
    assert set(fitted.uns["one"]) == set(fitted.uns["tcellmil_perturbation"]) == {"patients", "stats", "params"}
    result = tm.tl.perturb(fitted, key_added="copied", copy=True)
    assert "copied" in result.uns and "copied" not in fitted.uns
    assert np.array_equal(fitted.obsm["X_regulons"], scores)
    pd.testing.assert_frame_equal(fitted.obs, obs)


def test_several_doses_are_the_tables_of_each_one_under_another(fitted):
    tm.tl.perturb(fitted, n_mad=[3, 1])
    table, stats = (fitted.uns["tcellmil_perturbation"][part] for part in ("patients", "stats"))
    for dose in (1, 3):
        tm.tl.perturb(fitted, n_mad=dose, key_added="one")
        part = table[table["n_mad"] == dose].reset_index(drop=True)
        pd.testing.assert_frame_equal(part, fitted.uns["one"]["patients"], rtol=1e-5, atol=1e-6)
        own = stats[stats["n_mad"] == dose].reset_index(drop=True)
        alone = fitted.uns["one"]["stats"]
        pd.testing.assert_frame_equal(own.drop(columns="padj"), alone.drop(columns="padj"), rtol=1e-3)
    assert set(table["n_mad"]) == {1.0, 3.0} and len(stats) == 6 * 2 * 2
    tested = stats["movable"]
    np.testing.assert_allclose(stats.loc[tested, "padj"], false_discovery_control(stats.loc[tested, "p"]))


def test_a_list_of_one_dose_is_that_dose(fitted):
    tm.tl.perturb(fitted, n_mad=3, combine=2)
    tm.tl.perturb(fitted, n_mad=[3], combine=2, key_added="listed")
    for part in PARTS:
        pd.testing.assert_frame_equal(fitted.uns["listed"][part], fitted.uns["tcellmil_perturbation"][part])


@pytest.mark.parametrize(
    "options",
    [{}, {"n_mad": 20}, {"mad": "patient"}, {"cells": "cell_type == 'NK'"}],
    ids=["default", "clipped", "mad of the patient", "some cells"],
)
def test_a_pair_is_what_one_gets_by_shifting_both_and_predicting_again(fitted, options):
    tm.tl.perturb(fitted, combine=2, **options)
    by_hand = {"n_mad": options.get("n_mad", 3)}
    if "cells" in options:
        by_hand["cells"] = (fitted.obs["cell_type"] == "NK").to_numpy()
    for patient, pair, direction in [
        ("P0", ("TF0(+)", "TF1(+)"), "up"),
        ("P3", ("TF0(+)", "TF4(+)"), "down"),
        ("P6", ("TF2(+)", "TF3(+)"), "up"),
    ]:
        if "mad" in options:
            by_hand["within"] = patient
        base, one, other, both = (
            probability_by_hand(fitted, shifted_by_hand(fitted, regulons, direction, **by_hand), patient)
            for regulons in ([], pair[0], pair[1], pair)
        )
        got = pair_row(fitted, patient, *pair, direction)
        assert got["prob_base"] == pytest.approx(base, abs=1e-6)
        assert got["prob"] == pytest.approx(both, abs=1e-6)
        assert got["delta"] == pytest.approx(both - base, abs=2e-6)
        assert got["delta_logit"] == pytest.approx(logit(both) - logit(base), abs=1e-5)
        assert got["epistasis"] == pytest.approx(both - one - other + base, abs=4e-6)
        expected = logit(both) - logit(one) - logit(other) + logit(base)
        assert got["epistasis_logit"] == pytest.approx(expected, abs=4e-5)


def test_patients_without_a_cell_that_is_shifted_have_no_epistasis(fitted):
    tm.tl.perturb(fitted, cells=(fitted.obs["patient"] == "P4").to_numpy(), combine=2)
    largest = (
        fitted.uns["tcellmil_perturbation"]["pairs"].groupby("patient")["epistasis_logit"].agg(lambda e: e.abs().max())
    )
    np.testing.assert_allclose(largest.drop("P4"), 0, atol=1e-6)


def test_pairs_are_in_the_order_of_the_model_however_they_are_requested(fitted):
    tables = []
    for regulons in (["TF0(+)", "TF2(+)", "TF3(+)"], ["TF3(+)", "TF0(+)", "TF2(+)", "TF3(+)"]):
        tm.tl.perturb(fitted, regulons=regulons, combine=2)
        tables.append([fitted.uns["tcellmil_perturbation"][part] for part in ("pairs", "pair_stats")])
    for one, other in zip(*tables, strict=True):
        pd.testing.assert_frame_equal(one, other)
    names = tables[0][1][["regulon_1", "regulon_2"]].drop_duplicates().to_numpy().tolist()
    assert names == [["TF0(+)", "TF2(+)"], ["TF0(+)", "TF3(+)"], ["TF2(+)", "TF3(+)"]]
    assert fitted.uns["tcellmil_perturbation"]["patients"]["regulon"].unique().tolist() == [
        "TF3(+)",
        "TF0(+)",
        "TF2(+)",
    ]


def test_regulons_alone_are_the_same_with_and_without_pairs(fitted):
    tm.tl.perturb(fitted)
    tm.tl.perturb(fitted, combine=2, key_added="both")
    for part in ("patients", "stats"):
        pd.testing.assert_frame_equal(fitted.uns["both"][part], fitted.uns["tcellmil_perturbation"][part])


def test_pairs_of_an_earlier_run_do_not_outlive_its_table(fitted):
    tm.tl.perturb(fitted, combine=2)
    assert set(fitted.uns["tcellmil_perturbation"]) == {*PARTS, "params"}
    tm.tl.perturb(fitted, regulons="TF1(+)")
    assert set(fitted.uns["tcellmil_perturbation"]) == {"patients", "stats", "params"}


def test_the_order_of_the_cells_does_not_matter(fitted):
    other = fitted[np.random.default_rng(0).permutation(fitted.n_obs)].copy()
    for adata in (fitted, other):
        tm.tl.perturb(adata, combine=2, n_mad=[1, 3], mad="patient", cells="cell_type == 'NK'")
    for part in PARTS:
        one, same = (a.uns["tcellmil_perturbation"][part] for a in (other, fitted))
        pd.testing.assert_frame_equal(one, same)


def test_the_log_counts_experiments_and_what_could_not_be_moved(fitted, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        tm.tl.perturb(fitted, combine=2, n_mad=[1, 3])
    assert "15 pairs of 6 regulons, 60 shifts per patient" in caplog.text
    assert "1 of the regulons cannot be moved, their deviation is 0" in caplog.text
    stats = tm.get.perturb(fitted, "stats").reset_index()
    first = stats.iloc[0]
    named = f"{first['regulon']} {first['direction']} by {first['n_mad']:g} {first['mean_delta']:+.2g}"
    assert f"largest mean changes of the probability of R: {named}, " in caplog.text
    pair = tm.get.perturb(fitted, "pair_stats").reset_index().iloc[0]
    named = f"{pair['regulon_1']} and {pair['regulon_2']} {pair['direction']} {pair['mean_epistasis']:+.2g}"
    assert f"largest mean epistasis of 60 shifts of pairs: {named}, " in caplog.text
    assert "padj" not in caplog.text


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        (
            {"regulons": ["TF99(+)"]},
            KeyError,
            r"\['TF99\(\+\)'\] are not features of the model; there are \['TF0\(\+\)'",
        ),
        ({"directions": "sideways"}, ValueError, "directions='sideways' is not known; choose from 'up', 'down'"),
        ({"directions": []}, ValueError, "directions is empty; choose from 'up', 'down'"),
        ({"n_mad": 0}, ValueError, "n_mad=0 must be above 0"),
        ({"n_mad": -3}, ValueError, "n_mad=-3 must be above 0; the direction says which way"),
        ({"n_mad": float("nan")}, ValueError, "n_mad=nan must be above 0"),
        ({"n_mad": []}, ValueError, "n_mad is empty; give one number of median absolute deviations, or several"),
        ({"n_mad": [1, -2]}, ValueError, r"n_mad=\[1, -2\] must be above 0; the direction says which way"),
        ({"n_mad": [1, float("nan")]}, ValueError, r"n_mad=\[1, nan\] must be above 0"),
        ({"n_mad": [2, 1, 2.0]}, ValueError, r"n_mad=\[2, 1, 2.0\] names a dose twice"),
        ({"n_mad": "3"}, TypeError, "n_mad must be a number or a list of numbers, got '3'"),
        ({"n_mad": True}, TypeError, "n_mad must be a number or a list of numbers, got True"),
        ({"combine": 3}, ValueError, "combine=3 is not known; choose from 1, 2"),
        (
            {"combine": 2, "regulons": ["TF1(+)", "TF1(+)"]},
            ValueError,
            r"combine=2 needs at least 2 regulons, got \['TF1\(\+\)'\]; name more, or use combine=1",
        ),
        ({"mad": "cell"}, ValueError, "mad='cell' is not known; choose from 'global', 'patient'"),
        ({"cells": "cell_type == 'none'"}, ValueError, "selects no cell; there is nothing to perturb"),
        ({"cells": np.arange(5)}, TypeError, r"bool mask of length 120 or a query on obs, got int64 of shape \(5,\)"),
        ({"cells": np.ones(7, dtype=bool)}, TypeError, r"bool mask of length 120 .* got bool of shape \(7,\)"),
        ({"target_class": "PR"}, ValueError, "target_class='PR' is not known; choose from 'NR', 'R'"),
        ({"key": "other"}, KeyError, "adata.uns has no fit 'other'; fits here: "),
    ],
)
def test_what_cannot_be_answered_is_explained_and_nothing_written(fitted, options, error, message):
    before = set(fitted.uns)
    with pytest.raises(error, match=message):
        tm.tl.perturb(fitted, **options)
    assert set(fitted.uns) == before


def test_features_of_the_same_name_cannot_be_told_apart(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.uns["regulons"]["names"][3] = "TF1(+)"
    fit_quickly(adata, cv=2, training={"max_epochs": 1})
    with pytest.raises(ValueError, match=r"several features by the names \['TF1\(\+\)'\]; rename them and fit again"):
        tm.tl.perturb(adata)


def test_other_patients_than_those_fitted_are_refused(fitted):
    fitted.obs["patient"] = fitted.obs["patient"].replace({"P0": "Q0"})
    with pytest.raises(ValueError, match=r"was fitted on patients \['P0', .*the data also has \['Q0'\].*tl.predict"):
        tm.tl.perturb(fitted)


def test_a_representation_that_is_gone_is_named(fitted):
    del fitted.obsm["X_regulons"]
    with pytest.raises(KeyError, match="use_rep='X_regulons' is not in adata.obsm.*run tcellmil.tl.regulons first"):
        tm.tl.perturb(fitted)
