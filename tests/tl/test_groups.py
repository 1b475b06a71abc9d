"""Several samples of a patient are on one side of every split."""

import anndata as ad
import numpy as np
import pytest

import tcellmil as tm
from tcellmil.cv import make_replicas
from tcellmil.stats import bootstrap_metrics

LABELS = np.array([0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 1])
GROUPS = np.array([0, 0, 1, 1, 2, 3, 4, 4, 5, 5, 6, 7])


@pytest.mark.parametrize("cv", ["loo", "rebalanced_loo", "leave_pair_out", 2, 3, "cohort"])
@pytest.mark.parametrize("seed", range(5))
def test_no_replica_trains_on_a_sample_of_a_group_that_it_holds_out(cv, seed):
    replicas = make_replicas(
        cv, LABELS, groups=GROUPS, cohorts=np.arange(12) % 2 if cv == "cohort" else None, seed=seed
    )
    for train, test in zip(replicas.train, replicas.test, strict=True):
        assert not set(GROUPS[train]) & set(GROUPS[test])
    assert replicas.test.any(axis=0).all()


def test_leave_one_out_leaves_one_group_out():
    replicas = make_replicas("loo", LABELS, groups=GROUPS)
    assert len(replicas) == 8
    for train, test in zip(replicas.train, replicas.test, strict=True):
        assert len(set(GROUPS[test])) == 1 and (train | test).all()


def test_rebalancing_drops_as_many_samples_of_others_as_are_held_out():
    replicas = make_replicas("rebalanced_loo", LABELS, groups=GROUPS)
    for train in replicas.train:
        assert (train & (LABELS == 0)).sum() == (train & (LABELS == 1)).sum()


@pytest.mark.parametrize("seed", range(3))
def test_shares_do_not_go_with_the_size_of_the_group(seed):
    """Classes of different size, and groups that are larger in one of them: majority must not rank patients."""
    labels = np.array([0] * 9 + [1] * 15)
    groups = np.array([0, 1, 2, 3, 4, 5, 6, 7, 8, *np.repeat([9, 10, 11, 12, 13], 3)])
    replicas = make_replicas("rebalanced_loo", labels, groups=groups, seed=seed)
    counts = {(int((train & (labels == 0)).sum()), int((train & (labels == 1)).sum())) for train in replicas.train}
    assert counts == {(6, 12)}


def test_groups_too_large_to_rebalance_are_named():
    with pytest.raises(ValueError, match="the largest group has 5 samples of one class, and one class has 3 samples"):
        make_replicas("rebalanced_loo", np.array([0] * 3 + [1] * 8), groups=np.array([0, 1, 2, *[3] * 5, 4, 5, 6]))


def test_a_majority_that_knows_nothing_scores_one_half(samples):
    methods = {"methods": ["majority"], "use_reps": ["X_regulons"], "group_key": "donor", "n_boot": 20}
    tm.tl.benchmark(samples, "patient", "response", **methods, n_permutations=20, progress=False)
    table = tm.get.benchmark(samples)["value"].droplevel(["method", "rep"])
    assert table["auroc"] == 0.5 and table["auroc_pairs"] == 0.5


def test_without_groups_the_splits_are_as_they_were():
    for cv in ("loo", "rebalanced_loo", "leave_pair_out", 3):
        alone, each = make_replicas(cv, LABELS, seed=2), make_replicas(cv, LABELS, groups=np.arange(12), seed=2)
        np.testing.assert_array_equal(alone.train, each.train)


def test_splits_of_your_own_that_divide_a_group_are_refused():
    names = np.array([f"S{i}" for i in range(12)])
    split = [(names[[0, 2, 4, 6, 8]], names[[1, 5, 10]])]
    with pytest.raises(ValueError, match=r"fold 'fold 0' holds out \['S1'\] and trains on other samples of the same"):
        make_replicas(split, LABELS, names=names, groups=GROUPS)


def test_intervals_are_over_groups():
    """Two copies of each patient know no more than one: the interval stays as wide."""
    rng = np.random.default_rng(0)
    y = np.arange(40) % 2
    p = 1 / (1 + np.exp(-(y - 0.5 + rng.normal(0, 1, 40))))
    proba = np.column_stack([1 - p, p])
    widths = []
    for rows, groups in ((np.arange(40), None), (np.repeat(np.arange(40), 2), np.repeat(np.arange(40), 2))):
        table = bootstrap_metrics(y[rows], proba[rows], groups=groups).set_index("metric").loc["auroc"]
        widths.append(table["ci_high"] - table["ci_low"])
    assert widths[1] == pytest.approx(widths[0], rel=0.02)


@pytest.fixture
def samples(make_cohort):
    """Twelve samples of eight patients."""
    adata = make_cohort(n_patients=12)
    order = {f"P{i}": (i // 2 if i < 8 else i) // 2 * 2 + i % 2 for i in range(12)}
    adata.obs["donor"] = adata.obs["patient"].map({name: f"D{group}" for name, group in order.items()}).astype(str)
    return adata


def test_it_goes_from_the_fit_to_the_file_and_the_permutation_test(samples, fit_quickly, tmp_path):
    fit_quickly(samples, "cohort", group_key="donor")
    replicas = tm.get.model(samples).module.replicas
    donor = samples.obs.groupby("patient", observed=True)["donor"].first().to_numpy()
    for train, test in zip(replicas.train, replicas.test, strict=True):
        assert not set(donor[train]) & set(donor[test])
    samples.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    tm.tl.perturb(back)
    del back.uns["tcellmil_perturbation"]
    tm.tl.permutation_test(back, 3, within_cohorts=False, progress=False)
    assert len(tm.get.permutation_test(back, "null")) == 3


@pytest.mark.parametrize(
    ("change", "key", "error", "message"),
    [
        (None, "person", KeyError, r"group_key='person' is not a column of adata.obs"),
        (
            lambda obs: obs.__setitem__("donor", np.arange(len(obs)).astype(str)),
            "donor",
            ValueError,
            r"group_key 'donor' has several values within patients",
        ),
        (lambda obs: obs.__setitem__("donor", None), "donor", ValueError, r"group_key 'donor' is missing for samples"),
    ],
)
def test_bad_groups_are_named(samples, fit_quickly, change, key, error, message):
    if change is not None:
        change(samples.obs)
    with pytest.raises(error, match=message):
        fit_quickly(samples, group_key=key)
    assert "tcellmil" not in samples.uns


def test_replicas_trained_on_a_group_do_not_predict_its_unlabelled_sample():
    labels, groups = np.array([0, 1, 0, 1, 0, 1, -1]), np.array([0, 1, 2, 3, 4, 5, 0])
    replicas = make_replicas("loo", labels, groups=groups)
    judges = replicas.test[:, 6]
    assert judges.sum() == 1 and not replicas.train[judges, 0].any()


def test_new_samples_need_no_group(samples, make_cohort, fit_quickly):
    fit_quickly(samples, "cohort", cv=2, group_key="donor")
    new = make_cohort(n_patients=4, seed=1, prefix="N")
    tm.tl.predict(new, samples)
    assert len(tm.get.predictions(new)) == 4


def test_a_benchmark_keeps_groups_together_and_exchanges_them_whole(samples):
    tm.tl.benchmark(
        samples,
        "patient",
        "response",
        methods=["gaussian_nb", "majority"],
        use_reps=["X_regulons"],
        cv="loo",
        group_key="donor",
        n_boot=20,
        n_permutations=20,
        progress=False,
    )
    donor = samples.obs.groupby("patient", observed=True)["donor"].first()
    y = (samples.obs.groupby("patient", observed=True)["response"].first() == "R").to_numpy()
    table = tm.get.benchmark(samples, "predictions").reset_index()
    prior = table[table["method"] == "majority"].set_index("patient")["prob_R"]
    for patient in donor.index:  # the prior of the patients of all other donors
        others = (donor != donor[patient]).to_numpy()
        assert prior[patient] == pytest.approx(y[others].mean())
    tested = tm.get.benchmark(samples).reset_index()
    compared = tested[(tested["method"] == "majority") & (tested["metric"] != "auroc_pairs")]
    assert set(compared["test"]) == {"exchange"}
