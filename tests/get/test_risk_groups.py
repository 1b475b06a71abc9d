"""What getters say where the outcome is a number or a time to event."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.outcomes import Continuous, Survival
from tcellmil.stats import kaplan_meier, logrank_test

PATIENTS = [f"P{i}" for i in range(9)]


OUTCOMES = {"survival": Survival("months", "death"), "continuous": Continuous("age")}


@pytest.fixture(scope="module")
def build(fit_of):
    """Return a function that gives nine fitted patients of two cells each; the last has no outcome."""

    def built(kind, **columns):
        rng = np.random.default_rng(0)
        obs = pd.DataFrame({"patient": np.repeat(PATIENTS, 2)}, index=[f"cell{i}" for i in range(18)])
        obs["tcellmil_attention"] = np.tile([0.25, 0.75], 9)
        adata = ad.AnnData(np.ones((18, 1), dtype=np.float32), obs=obs)
        if kind == "survival":
            observed = np.column_stack([np.arange(1.0, 9.0), np.tile([1.0, 0.0], 4)])
        else:
            observed = rng.normal(50, 5, (8, 1))
        observed = np.vstack([observed, np.full_like(observed[:1], np.nan)])
        predicted = rng.normal(size=(9, 1)) if kind == "survival" else rng.normal(50, 5, (9, 1))
        codes = np.where(np.isnan(observed[:, 0]), -1, 0)
        fit = fit_of(PATIENTS, 2, OUTCOMES[kind], codes, observed, predicted)
        assert set(columns) <= set(fit["predictions"])
        adata.uns["tcellmil"] = fit | {"predictions": fit["predictions"].assign(**columns)}
        return adata

    return built


@pytest.mark.parametrize(("outcome", "column"), [("continuous", "predicted"), ("survival", "risk")])
def test_attention_stands_beside_one_group_of_patients_and_the_number(build, outcome, column):
    adata = build(outcome)
    table = tm.get.attention(adata)
    assert table["label"].tolist() == ["all patients"] * 16 + ["", ""]
    expected = np.repeat(tm.get.predictions(adata)[column].to_numpy(), 2)
    np.testing.assert_array_equal(table["predicted"], expected)
    np.testing.assert_allclose(table["relative"], np.tile([0.5, 1.5], 9))


def test_a_patient_whose_event_is_not_known_is_in_no_group(build):
    event = np.append(np.tile([1.0, 0.0], 4), np.nan)
    event[2] = np.nan
    label = tm.get.attention(build("survival", event=event)).groupby("sample")["label"].first()
    assert label.index[label == ""].tolist() == ["P2", "P8"]


def test_patients_that_no_replica_held_out_have_no_number(build):
    predicted = np.append(np.nan, np.arange(8.0))
    table = tm.get.attention(build("continuous", predicted=predicted))
    assert table["predicted"].isna().sum() == 2 and table["predicted"].dtype == float


@pytest.mark.parametrize("part", ["curves", "test"])
def test_risk_groups_are_cut_at_the_median_of_known_patients(build, part):
    adata = build("survival")
    table = tm.get.predictions(adata).dropna()
    high = (table["risk"] > table["risk"].median()).to_numpy()
    time, event = table["time"].to_numpy(), table["event"].to_numpy()
    found = tm.get.risk_groups(adata, part).reset_index()
    if part == "test":
        row = found.iloc[0]
        assert (row["n_low"], row["n_high"], row["threshold"]) == (4, 4, table["risk"].median())
        assert (row["events_low"], row["events_high"]) == (event[~high].sum(), event[high].sum())
        assert (row["statistic"], row["p"]) == logrank_test(time, event, high)
    else:
        for name, own in (("low risk", ~high), ("high risk", high)):
            curve = found[found["group"] == name].drop(columns="group").reset_index(drop=True)
            pd.testing.assert_frame_equal(curve, kaplan_meier(time[own], event[own]))


def test_who_is_at_the_median_counts_as_low(build):
    adata = build("survival", time=np.append(np.arange(1.0, 8.0), [np.nan] * 2), risk=np.arange(9.0))
    assert tm.get.risk_groups(adata, "test")[["n_low", "n_high"]].iloc[0].tolist() == [4, 3]


def test_turning_the_risks_around_swaps_the_groups(build):
    adata, turned = build("survival"), build("survival")
    turned.uns["tcellmil"]["predictions"]["risk"] *= -1
    one, other = (tm.get.risk_groups(a, "test").iloc[0] for a in (adata, turned))
    assert one["p"] == pytest.approx(other["p"]) and one["events_low"] == other["events_high"]


@pytest.mark.parametrize(
    ("kind", "columns", "options", "error", "message"),
    [
        ("survival", {"risk": 1.0}, {}, ValueError, "8 patients have a time and a risk, and none a risk above .* 1;"),
        ("survival", {"risk": np.nan}, {}, ValueError, "0 patients have a time and a risk"),
        ("survival", {}, {"part": "pairs"}, ValueError, "part='pairs' is not known; choose from 'curves', 'test'"),
        ("survival", {}, {"key": "other"}, KeyError, "no 'other'; run tl.fit_mil"),
        (
            "continuous",
            {},
            {},
            ValueError,
            "for outcome='survival', 'tcellmil' was fitted with outcome='continuous'",
        ),
    ],
)
def test_groups_that_cannot_be_made(build, kind, columns, options, error, message):
    with pytest.raises(error, match=message):
        tm.get.risk_groups(build(kind, **columns), **options)


@pytest.mark.parametrize("outcome", ["continuous", "survival"])
def test_calibration_is_for_classes(build, outcome):
    message = f"calibration is for classes, 'tcellmil' was fitted with outcome='{outcome}'; use pl.predictions"
    for call in (tm.get.calibration, tm.pl.calibration):
        with pytest.raises(ValueError, match=message):
            call(build(outcome))
