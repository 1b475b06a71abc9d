"""Agreement between replicas, checked by running each replica by itself."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest
from scipy.stats import median_abs_deviation, spearmanr

import tcellmil as tm
from tcellmil.stats import rank_agreement

MOVABLE = [f"TF{i}(+)" for i in range(5)]  # of the cohort's regulons, the last is the same in all cells


@pytest.fixture(scope="module")
def compared_once(fitted_once):
    adata = fitted_once.copy()
    tm.tl.attention_stability(adata, n_top=2)
    return adata


@pytest.fixture
def compared(compared_once):
    """Two seeds of rebalanced leave-one-out over eight patients."""
    return compared_once.copy()


def each_replica(adata, patient):
    """Seed of each replica, whether it trained on and held out the patient, and its attention."""
    model = tm.get.model(adata)
    bags, replicas = model.bags(), model.module.replicas
    i = list(bags.names).index(patient)
    attention = [model.module.members[0].select(np.array([k])).predict_bag(bags, i)[1][0] for k in range(len(replicas))]
    return replicas.seed, replicas.train[:, i], replicas.test[:, i], np.array(attention)


def importance_by_hand(adata, k, patient, regulon, n_mad=3):
    """Half the difference of the probability of R between up and down, of one replica."""
    model = tm.get.model(adata)
    bags, alone = model.bags(), model.module.members[0].select(np.array([k]))
    i, j = list(bags.names).index(patient), model.schema.features.index(regulon)
    shift = n_mad * median_abs_deviation(adata.obsm["X_regulons"][:, j])
    sides = []
    for sign in (1, -1):
        x = bags.x[bags.bag(i)].copy()
        x[:, j] = np.clip(x[:, j] + sign * shift, 0, 1)
        sides.append(alone.classify(alone.encode(alone.scale(x))[:, None], bags.cohort_onehot[i])[0][0, 0, 1])
    return (sides[0] - sides[1]) / 2


@pytest.fixture(scope="module")
def by_replica(fitted_once):
    """Importance ``(replica, regulon)`` by hand; leave-one-out: a replica holds out one patient."""
    model = tm.get.model(fitted_once)
    replicas, names = model.module.replicas, model.bags().names
    return np.array(
        [
            [importance_by_hand(fitted_once, k, names[replicas.test[k]][0], regulon) for regulon in MOVABLE]
            for k in range(len(replicas))
        ]
    )


@pytest.mark.parametrize("patient", ["P0", "P5"])
def test_across_seeds_replicas_that_held_the_patient_out_are_compared(compared, patient):
    row = (
        compared.uns["tcellmil_attention_stability"]["attention"]
        .set_index(["across", "patient"])
        .loc[("seeds", patient)]
    )
    _, _, test, attention = each_replica(compared, patient)
    one, other = attention[test]
    assert row["n_pairs"] == 1
    assert row["spearman"] == row["spearman_min"] == pytest.approx(spearmanr(one, other).statistic, abs=1e-6)


@pytest.mark.parametrize("patient", ["P0", "P5"])
def test_across_folds_attention_is_compared_with_replicas_trained_on_it(compared, patient):
    row = (
        compared.uns["tcellmil_attention_stability"]["attention"]
        .set_index(["across", "patient"])
        .loc[("folds", patient)]
    )
    seed, train, test, attention = each_replica(compared, patient)
    rho = [
        spearmanr(attention[test & (seed == s)][0], other).statistic
        for s in (0, 1)
        for other in attention[train & (seed == s)]
    ]
    assert row["n_pairs"] == len(rho)
    assert row["spearman"] == pytest.approx(np.mean(rho), abs=1e-6)
    assert row["spearman_min"] == pytest.approx(np.min(rho), abs=1e-6)


def test_every_patient_has_a_row_for_the_seeds_and_one_for_the_folds(compared):
    attention = compared.uns["tcellmil_attention_stability"]["attention"]
    assert attention["across"].tolist() == ["seeds"] * 8 + ["folds"] * 8
    assert attention["patient"].tolist() == [f"P{i}" for i in range(8)] * 2


def test_regulators_agree_as_the_replicas_run_one_by_one(compared, by_replica):
    by_seed = by_replica.reshape(2, 8, 5)
    regulators = compared.uns["tcellmil_attention_stability"]["regulators"].set_index("across")
    expected = {
        "seeds": [rank_agreement(by_seed.mean(axis=1), n_top=2)],
        "folds": [rank_agreement(of_seed, n_top=2) for of_seed in by_seed],
    }
    for across, of_runs in expected.items():
        row, table = regulators.loc[across], pd.DataFrame(of_runs)
        for name in ("spearman_mean", "kendall_w", "top_overlap", "top_overlap_chance"):
            assert row[name] == pytest.approx(table[name].mean(), abs=1e-9)
        assert row["spearman_min"] == pytest.approx(table["spearman_min"].min(), abs=1e-9)
        assert row["n_pairs"] == table["n_pairs"].sum()
    assert regulators["n_groups"].tolist() == [2, 16]
    assert (regulators["n_top"] == 2).all() and (regulators["n_regulons"] == 5).all()


def test_top_holds_importance_spread_and_shares_of_every_movable_regulon(compared, by_replica):
    top = compared.uns["tcellmil_attention_stability"]["top"]
    for across, raters in {"seeds": by_replica.reshape(2, 8, 5).mean(axis=1), "folds": by_replica}.items():
        own = top[top["across"] == across]
        assert sorted(own["regulon"]) == MOVABLE
        assert own["importance"].abs().is_monotonic_decreasing
        own = own.set_index("regulon").loc[MOVABLE]
        mean = raters.mean(axis=0)
        np.testing.assert_allclose(own["importance"], mean, atol=1e-6)
        np.testing.assert_allclose(own["sd"], raters.std(axis=0, ddof=1), atol=1e-6)
        in_top = np.argsort(np.argsort(-np.abs(raters), axis=1), axis=1) < 2
        np.testing.assert_allclose(own["share_top"], in_top.mean(axis=0))
        np.testing.assert_allclose(own["sign_agreement"], ((raters > 0) == (mean > 0)).mean(axis=0))


def test_mean_importance_is_half_the_difference_that_perturb_finds(compared):
    tm.tl.perturb(compared)
    delta = tm.get.perturb(compared).reset_index().pivot_table(index="regulon", columns="direction", values="delta")
    top = tm.get.attention_stability(compared, "top").reset_index().query("across == 'seeds'").set_index("regulon")
    np.testing.assert_allclose(top["importance"], ((delta["up"] - delta["down"]) / 2)[top.index], atol=1e-6)


def test_the_other_class_has_the_opposite_importance(compared):
    tm.tl.attention_stability(compared, n_top=2, target_class="NR", key_added="of_nr")
    one, other = compared.uns["tcellmil_attention_stability"], compared.uns["of_nr"]
    assert other["params"]["target_class"] == "NR"
    np.testing.assert_allclose(one["top"]["importance"], -other["top"]["importance"], atol=1e-9)
    np.testing.assert_allclose(one["regulators"]["kendall_w"], other["regulators"]["kendall_w"])


def test_seeds_that_learned_agree_on_the_regulon_that_marks_responders(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=4, n_seeds=3, training={"max_epochs": 40})
    tm.tl.attention_stability(adata, n_top=1)
    best = tm.get.attention_stability(adata, "top").reset_index().query("across == 'seeds'").iloc[0]
    assert best["regulon"] == "TF0(+)" and best["importance"] > 2 * best["sd"]
    assert best["share_top"] == best["sign_agreement"] == 1
    regulators = tm.get.attention_stability(adata, "regulators")
    assert regulators["top_overlap"]["seeds"] == 1 and regulators["top_overlap_chance"]["seeds"] == pytest.approx(0.2)


def test_one_seed_is_compared_across_folds_only_and_says_so(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=2)
    with pytest.warns(UserWarning, match="nothing to compare across seeds; for that, fit again with n_seeds=3"):
        tm.tl.attention_stability(adata)
    for part in ("attention", "regulators", "top"):
        assert set(tm.get.attention_stability(adata, part).reset_index()["across"]) == {"folds"}


SPLIT = [([f"P{i}" for i in range(6)], ["P6", "P7"])]


def test_one_fold_is_compared_across_seeds_only_and_says_so(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=SPLIT, n_seeds=2)
    with pytest.warns(UserWarning, match="nothing to compare across folds; for that, fit again with several"):
        tm.tl.attention_stability(adata)
    for part in ("attention", "regulators", "top"):
        assert set(tm.get.attention_stability(adata, part).reset_index()["across"]) == {"seeds"}
    assert tm.get.attention_stability(adata).reset_index()["patient"].tolist() == ["P6", "P7"]


def test_a_single_replica_cannot_be_compared(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=SPLIT)
    with pytest.raises(ValueError, match="single replica that held out patients.*n_seeds=3, or with several folds"):
        tm.tl.attention_stability(adata)
    assert "tcellmil_attention_stability" not in adata.uns


def test_a_model_that_held_out_no_patient_cannot_be_compared(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata)
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response")
    model = tm.model.TcellMIL(adata, compression="autoencoder", n_hidden=8, n_latent=4, n_attention=2)
    model.train(n_seeds=2, max_epochs=1, max_epochs_ae=1, progress=False)
    adata.uns["tcellmil"] |= model.to_state()
    with pytest.raises(ValueError, match="no replica of the model under 'tcellmil' held out a patient; fit with cv="):
        tm.tl.attention_stability(adata)
    assert "tcellmil_attention_stability" not in adata.uns


def test_patients_without_a_label_count_for_attention_across_seeds_only(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obs["response"] = adata.obs["response"].astype(object).where(adata.obs["patient"] != "P7")
    fit_quickly(adata, cv=2, n_seeds=2, unlabelled="predict")
    tm.tl.attention_stability(adata)
    attention = tm.get.attention_stability(adata).reset_index().groupby("across")["patient"].agg(set)
    assert attention["seeds"] - attention["folds"] == {"P7"}
    of_labelled = tm.get.attention_stability(adata, "top").reset_index().query("across == 'seeds'").set_index("regulon")
    tm.tl.perturb(adata)
    delta = tm.get.perturb(adata).reset_index().query("patient != 'P7'")
    delta = delta.pivot_table(index="regulon", columns="direction", values="delta")
    expected = ((delta["up"] - delta["down"]) / 2)[of_labelled.index]
    np.testing.assert_allclose(of_labelled["importance"], expected, atol=1e-6)


def test_patients_held_out_by_several_replicas_of_a_run_count_once(make_cohort, fit_quickly):
    adata = make_cohort(n_patients=6)
    fit_quickly(adata, cv="leave_pair_out")
    with pytest.warns(UserWarning, match="across seeds"):
        tm.tl.attention_stability(adata)
    attention = tm.get.attention_stability(adata).reset_index()
    assert (attention["n_pairs"] == 6).all()  # of nine pairs, three hold a patient out
    seed, train, test, each = each_replica(adata, "P1")
    rho = [spearmanr(each[test].mean(axis=0), other).statistic for other in each[train]]
    assert attention.set_index("patient").loc["P1", "spearman"] == pytest.approx(np.mean(rho), abs=1e-6)


def test_a_patient_that_is_held_out_twice_weighs_no_more_than_the_others(make_cohort, fit_quickly):
    adata = make_cohort()
    first, second = [f"P{i}" for i in range(6)], [f"P{i}" for i in range(1, 6)]
    fit_quickly(adata, cv=[(first, ["P6", "P7"]), (second, ["P0", "P7"])], n_seeds=2)
    tm.tl.attention_stability(adata)
    expected = []
    for k in (0, 2):  # the first replica of each seed
        p6, p7, p0, p7_again = (
            importance_by_hand(adata, k + fold, patient, "TF1(+)")
            for fold, patient in ((0, "P6"), (0, "P7"), (1, "P0"), (1, "P7"))
        )
        expected.append(np.mean([p6, p0, (p7 + p7_again) / 2]))
    top = tm.get.attention_stability(adata, "top").reset_index().query("across == 'seeds'").set_index("regulon")
    assert top.loc["TF1(+)", "importance"] == pytest.approx(np.mean(expected), abs=1e-6)
    assert top.loc["TF1(+)", "sd"] == pytest.approx(np.std(expected, ddof=1), abs=1e-6)


@pytest.mark.filterwarnings("ignore:nothing to compare across seeds")
def test_regulons_that_cannot_be_shifted_leave_nothing_to_rank_and_say_so(make_cohort, fit_quickly):
    adata = make_cohort()
    adata.obsm["X_regulons"] = np.full_like(adata.obsm["X_regulons"], 0.25)
    fit_quickly(adata, cv=2, training={"max_epochs": 1})
    with pytest.warns(UserWarning, match="0 of 6 regulons can be shifted, the others have a deviation of 0"):
        tm.tl.attention_stability(adata)
    result = adata.uns["tcellmil_attention_stability"]
    assert result["regulators"][["spearman_mean", "kendall_w", "top_overlap"]].isna().all(axis=None)
    assert result["top"].empty and result["params"]["n_unmovable"] == 6
    flat = result["attention"]  # cells that are all the same get the same attention
    assert (flat["n_pairs"] == 0).all() and flat["spearman"].isna().all()


def test_attention_does_not_depend_on_how_much_is_run_at_once(compared, monkeypatch):
    whole = compared.uns["tcellmil_attention_stability"]["attention"]
    monkeypatch.setattr("tcellmil.tl._explain._attention_stability.CHUNK_VALUES", 15 * 6 * 3)
    tm.tl.attention_stability(compared)
    pd.testing.assert_frame_equal(compared.uns["tcellmil_attention_stability"]["attention"], whole, atol=1e-6)


def test_order_of_cells_does_not_matter(fitted):
    shuffled = fitted[np.random.default_rng(0).permutation(fitted.n_obs)].copy()
    for cells in (fitted, shuffled):
        tm.tl.attention_stability(cells)
    for part in ("attention", "regulators", "top"):
        one, other = (tm.get.attention_stability(cells, part).reset_index() for cells in (fitted, shuffled))
        pd.testing.assert_frame_equal(one, other)


def test_only_the_key_is_written_and_goes_through_a_file(fitted, tmp_path, assert_same):
    before = fitted.copy()
    changed = tm.tl.attention_stability(fitted, copy=True)
    assert set(fitted.uns) == set(before.uns)
    assert set(changed.uns) - set(before.uns) == {"tcellmil_attention_stability"}
    assert_same(changed.obs, before.obs)
    changed.write_h5ad(tmp_path / "cells.h5ad")
    read = ad.read_h5ad(tmp_path / "cells.h5ad")
    for part in ("attention", "regulators", "top"):
        one, other = (tm.get.attention_stability(cells, part).reset_index() for cells in (changed, read))
        assert_same(one, other, check_index_type=False)
    tm.tl.attention_stability(read)  # the model in the file is enough
    again = tm.get.attention_stability(read, "top").reset_index()
    assert_same(again, tm.get.attention_stability(changed, "top").reset_index(), check_index_type=False)


def test_result_of_another_model_lies_beside_that_model(make_cohort, fit_quickly):
    adata = make_cohort()
    fit_quickly(adata, cv=2, n_seeds=2, key_added="gated", training={"max_epochs": 1})
    tm.tl.attention_stability(adata, key="gated")
    assert adata.uns["gated_attention_stability"]["params"]["key"] == "gated"


@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_top": 0}, ValueError, "n_top=0 must be at least 1"),
        ({"n_mad": 0}, ValueError, "n_mad=0 must be above 0"),
        ({"n_mad": np.inf}, ValueError, "n_mad=inf must be above 0"),
        ({"target_class": "PR"}, ValueError, "target_class='PR' is not known; choose from 'NR', 'R'"),
        ({"key": "other"}, KeyError, "adata.uns has no fit 'other'; fits here: "),
    ],
)
def test_bad_input_is_named_and_nothing_written(fitted, options, error, message):
    before = set(fitted.uns)
    with pytest.raises(error, match=message):
        tm.tl.attention_stability(fitted, **options)
    assert set(fitted.uns) == before
