import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

N_MOTIFS = 60


@pytest.fixture(scope="module")
def cohort():
    adata = tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)
    tm.tl.grn(adata, tf_names=["IRF7", "SPI1"])
    return adata


@pytest.fixture(scope="module")
def database(cohort):
    """Random rankings of the genes, except that motif m0 ranks the planted targets first."""
    rng = np.random.default_rng(0)
    ranks = np.array([rng.permutation(cohort.n_vars) for _ in range(N_MOTIFS)], dtype=np.int16)
    planted = cohort.var_names.isin(cohort.uns["truth"]["targets"])
    ranks[0] = np.argsort(np.argsort(~planted, kind="stable"))
    return pd.DataFrame(ranks, columns=cohort.var_names, index=[f"m{i}" for i in range(N_MOTIFS)])


@pytest.fixture(scope="module")
def annotations():
    motifs = {"TF": ["IRF7", "SPI1"], "MotifID": ["m0", "m1"], "Annotation": "gene is directly annotated"}
    return pd.DataFrame(motifs).assign(MotifSimilarityQvalue=0.0, OrthologousIdentity=1.0)


def test_targets_with_the_motif_are_kept_and_survive_the_disk(cohort, database, annotations, tmp_path, assert_same):
    adata = tm.tl.prune(cohort, database, annotations, copy=True)
    assert "prune" not in cohort.uns
    targets = adata.uns["prune"]["targets"]
    assert set(targets.regulon) == {"IRF7(+)"}
    planted = set(cohort.uns["truth"]["targets"])
    assert len(planted & set(targets.target)) > 2 * len(set(targets.target) - planted)
    motifs = adata.uns["prune"]["motifs"]
    assert set(motifs.MotifID) == {"m0"}
    assert motifs.NES.min() >= 3
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad").uns["prune"]
    assert_same(back["targets"].reset_index(drop=True), targets)
    tm.tl.regulons(adata, net=back["targets"])
    assert adata.obsm["X_regulons"].shape == (cohort.n_obs, 1)


def test_files_are_read_and_several_databases_are_joined(cohort, database, annotations, tmp_path):
    for name, motifs in (("first", database), ("second", database.iloc[::-1])):
        motifs.rename_axis("motifs").reset_index().to_feather(tmp_path / f"{name}.rankings.feather")
    header = {"MotifID": "#motif_id", "TF": "gene_name", "Annotation": "description"}
    header |= {"MotifSimilarityQvalue": "motif_similarity_qvalue", "OrthologousIdentity": "orthologous_identity"}
    annotations.rename(columns=header).to_csv(tmp_path / "motifs.tbl", sep="\t", index=False)
    paths = [tmp_path / "first.rankings.feather", str(tmp_path / "second.rankings.feather")]
    one = tm.tl.prune(cohort, paths[0], tmp_path / "motifs.tbl", copy=True).uns["prune"]
    both = tm.tl.prune(cohort, paths, tmp_path / "motifs.tbl", copy=True).uns["prune"]
    assert len(both["motifs"]) == 2 * len(one["motifs"])
    pd.testing.assert_frame_equal(one["targets"], both["targets"])
    assert {context.split(", ")[1] for context in both["motifs"].Context} == {"first", "second"}


def test_regulons_does_all_steps_in_one_call(cohort, database, annotations):
    adata = tm.tl.regulons(cohort, rankings=database, annotations=annotations, tf_names=["IRF7", "SPI1"], copy=True)
    steps = tm.tl.prune(cohort, database, annotations, copy=True)
    pd.testing.assert_frame_equal(adata.uns["regulons"]["targets"], steps.uns["prune"]["targets"])
    assert adata.uns["regulons"]["params"]["source"] == "pruned modules"


def test_a_real_database_of_five_motifs_cannot_reach_the_default_threshold(cohort, shared_data):
    path = shared_data("cistarget_hg19_5motifs.rankings.feather")
    motifs = tm.io.read_rankings(path).index
    known = pd.DataFrame({"TF": "IRF7", "MotifID": motifs, "Annotation": ""})
    known = known.assign(MotifSimilarityQvalue=0.0, OrthologousIdentity=1.0)
    with pytest.raises(ValueError, match="has 5 motifs, among which the NES cannot exceed 2.00"):
        tm.tl.prune(cohort, path, known)


def test_bad_input_is_named(cohort, database, annotations, tmp_path):
    with pytest.raises(KeyError, match=r"adata.uns has no 'other'; run tl.grn first \(there are \['truth', 'grn'"):
        tm.tl.prune(cohort, database, annotations, grn_key="other")
    with pytest.raises(ValueError, match="annotations are missing"):
        tm.tl.prune(cohort, database)
    with pytest.raises(FileNotFoundError, match="neither a file nor one of hg38, mm10"):
        tm.tl.prune(cohort, tmp_path / "no.feather", annotations)
    with pytest.raises(ValueError, match="in none of"):
        tm.tl.prune(cohort, database, annotations.assign(TF="PAX5"))
    assert "prune" not in cohort.uns
