import numpy as np
import pandas as pd
import pytest
from ctxcore.recovery import aucs, leading_edge, recovery

from tcellmil.io import read_rankings
from tcellmil.regulons import prune_modules, recovery_auc, union_per_tf

N_MOTIFS, N_GENES = 60, 1_000
GENES = [f"g{i}" for i in range(N_GENES)]


@pytest.fixture(scope="module")
def database():
    """Random rankings, except that motif m0 ranks g0 to g19 among its first 40 genes."""
    rng = np.random.default_rng(0)
    ranks = np.array([rng.permutation(N_GENES) for _ in range(N_MOTIFS)], dtype=np.int16)
    order = np.concatenate([rng.permutation(40), 40 + rng.permutation(N_GENES - 40)])
    ranks[0] = np.argsort(np.concatenate([order[:40], order[40:]]))
    return pd.DataFrame(ranks, columns=GENES, index=[f"m{i}" for i in range(N_MOTIFS)])


@pytest.fixture(scope="module")
def annotations():
    return pd.DataFrame(
        {
            "TF": ["A", "A", "B"],
            "MotifID": ["m0", "m0", "m1"],
            "MotifSimilarityQvalue": [1e-4, 0.0, 0.0],
            "OrthologousIdentity": [1.0, 1.0, 1.0],
            "Annotation": ["similar", "direct", "direct"],
        }
    )


def module(tf, targets, regulation="activating", number=0):
    importance = np.arange(len(targets), 0, -1.0)
    rows = {"module": number, "TF": tf, "regulation": regulation, "selection": "top50"}
    return pd.DataFrame({**rows, "target": targets, "importance": importance})


PLANTED = [*GENES[:20], *GENES[500:530]]


def test_recovery_auc_is_that_of_ctxcore_on_a_real_database(shared_data):
    rankings = read_rankings(shared_data("cistarget_hg19_5motifs.rankings.feather"))
    assert rankings.shape == (5, 22_284)
    rng = np.random.default_rng(0)
    modules = {
        f"module{i}": list(rng.choice(rankings.columns, size, replace=False)) for i, size in enumerate((20, 60, 500))
    }
    ours = recovery_auc(rankings, modules)
    for name, genes in modules.items():
        expected = aucs(rankings[genes], rankings.shape[1], np.ones(len(genes)), 0.05)
        np.testing.assert_allclose(ours[name], expected, rtol=1e-5)


@pytest.mark.parametrize("n_genes", [110, 130, 170, 333])
def test_recovery_auc_rounds_the_cutoff_as_ctxcore_does(n_genes):
    rng = np.random.default_rng(0)
    ranks = np.array([rng.permutation(n_genes) for _ in range(8)], dtype=np.int32)
    rankings = pd.DataFrame(ranks, columns=GENES[:n_genes], index=list("abcdefgh"))
    expected = aucs(rankings.iloc[:, :30], n_genes, np.ones(30), 0.05)
    np.testing.assert_allclose(recovery_auc(rankings, {"x": GENES[:30]})["x"], expected, rtol=1e-5)


def test_an_enriched_and_annotated_motif_keeps_its_leading_edge(database, annotations):
    found = prune_modules(module("A", PLANTED), database, annotations, name="db")
    assert list(found.MotifID) == ["m0"]
    row = found.iloc[0]

    ranks, weights = database[PLANTED], np.ones(len(PLANTED))
    curves, areas = recovery(ranks, N_GENES, weights, N_GENES - 1, 0.05)
    importance = np.arange(len(PLANTED), 0, -1.0)
    edge, rank_at_max = leading_edge(
        *(curves[0], curves.mean(axis=0) + 2 * curves.std(axis=0), ranks.to_numpy()[0], np.array(PLANTED), importance)
    )
    assert row.NES == pytest.approx((areas[0] - areas.mean()) / areas.std(), rel=1e-4)
    assert row.AUC == pytest.approx(areas[0], rel=1e-5)
    assert row.RankAtMax == rank_at_max
    assert row.TargetGenes == edge
    assert {gene for gene, _ in row.TargetGenes} >= set(GENES[:20])
    assert row.Context == frozenset({"top50", "activating", "db"})
    assert row.Annotation == "direct"  # the annotation with the lower q-value


def test_the_leading_edge_is_that_of_ctxcore_on_a_real_database(shared_data):
    rankings = read_rankings(shared_data("cistarget_hg19_5motifs.rankings.feather"))
    genes = list(rankings.columns[np.argsort(rankings.to_numpy()[2])[:600:10]]) + list(rankings.columns[:40])
    known = pd.DataFrame(
        {
            "TF": "A",
            "MotifID": rankings.index,
            "MotifSimilarityQvalue": 0.0,
            "OrthologousIdentity": 1.0,
            "Annotation": "",
        }
    )
    found = prune_modules(module("A", genes), rankings, known, nes_threshold=1.5, rank_threshold=1500)
    assert list(found.MotifID) == [rankings.index[2]]

    ranks = rankings[genes]
    curves, _ = recovery(ranks, rankings.shape[1], np.ones(len(genes)), 1500, 0.05)
    importance = np.arange(len(genes), 0, -1.0)
    edge, rank_at_max = leading_edge(
        *(curves[2], curves.mean(axis=0) + 2 * curves.std(axis=0), ranks.to_numpy()[2], np.array(genes), importance)
    )
    assert found.RankAtMax[0] == rank_at_max
    assert found.TargetGenes[0] == edge


def test_nes_among_n_motifs_cannot_reach_the_root_of_n_minus_1(shared_data):
    rankings = read_rankings(shared_data("cistarget_hg19_5motifs.rankings.feather"))
    area = recovery_auc(rankings, {"x": list(rankings.columns[np.argsort(rankings.to_numpy()[0])[:50]])})["x"]
    assert ((area - area.mean()) / area.std(ddof=0)).max() <= 2.0 + 1e-6


def test_a_motif_counts_only_for_its_own_factor(database, annotations):
    both = pd.concat([module("A", PLANTED, number=0), module("B", PLANTED, number=1), module("C", PLANTED, number=2)])
    assert list(prune_modules(both, database, annotations).TF) == ["A"]


def test_a_motif_below_the_threshold_does_not_count(database, annotations):
    nes = prune_modules(module("A", PLANTED), database, annotations).NES[0]
    assert prune_modules(module("A", PLANTED), database, annotations, nes_threshold=nes + 0.01).empty
    assert len(prune_modules(module("A", PLANTED), database, annotations, nes_threshold=nes - 0.01)) == 1
    assert prune_modules(module("A", GENES[500:560]), database, annotations).empty


def test_a_module_that_is_not_ranked_is_left_out(database, annotations):
    almost = PLANTED + [f"unknown{i}" for i in range(12)]
    assert len(prune_modules(module("A", almost), database, annotations)) == 1
    assert prune_modules(module("A", [*almost, "unknown12"]), database, annotations).empty


def test_many_modules_are_scored_as_each_alone(database, annotations):
    rng = np.random.default_rng(0)
    modules = pd.concat(
        [module("A", [*GENES[:20], *rng.choice(GENES[40:], 30, replace=False)], number=i) for i in range(130)]
    )
    found = prune_modules(modules, database, annotations)
    assert len(found) == 130
    alone = prune_modules(modules[modules.module == 105], database, annotations)
    index = list(dict.fromkeys(map(str, modules.module))).index("105")
    assert found.TargetGenes[index] == alone.TargetGenes[0]


def test_union_takes_the_highest_weight_and_keeps_signs_apart():
    motifs = pd.DataFrame(
        {
            "TF": ["A", "A", "A", "B"],
            "Context": [frozenset({"activating"}), frozenset(), frozenset({"repressing"}), frozenset({"top50"})],
            "TargetGenes": [[("g1", 1.0), ("g2", 5.0)], [("g1", 3.0)], [("g1", 9.0)], []],
        }
    )
    expected = {("A(+)", "g1"): 3.0, ("A(+)", "g2"): 5.0, ("A(-)", "g1"): 9.0}
    assert union_per_tf(motifs).set_index(["regulon", "target"])["weight"].to_dict() == expected


def test_bad_input_is_named(database, annotations):
    with pytest.raises(ValueError, match=r"annotations lack the columns \['Annotation'\]"):
        prune_modules(module("A", PLANTED), database, annotations.drop(columns="Annotation"))
    with pytest.raises(ValueError, match="none of the 2 annotated motifs"):
        prune_modules(module("A", PLANTED), database.rename(index="x{}".format), annotations)
