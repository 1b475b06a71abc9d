import importlib
import json
import logging
import warnings

import anndata as ad
import decoupler as dc
import numpy as np
import pandas as pd
import pytest
import scanpy as sc
from scipy import sparse

import tcellmil as tm


@pytest.fixture(scope="module")
def cohort():
    return tm.datasets.pbmc_cohort(n_patients=6, n_cells=60, effect=2)


@pytest.fixture(scope="module")
def net(cohort):
    rng = np.random.default_rng(0)
    random = pd.DataFrame(
        {"source": np.repeat(["A", "B", "C"], 12), "target": rng.choice(cohort.var_names, 36, replace=False)}
    )
    planted = pd.DataFrame({"source": "IRF7", "target": cohort.uns["truth"]["targets"]})
    return pd.concat([planted, random], ignore_index=True).assign(weight=1.0)


@pytest.fixture
def unchanged(cohort):
    """What a failing call must leave as it is."""
    yield
    assert set(cohort.uns) == {"truth"}
    assert not cohort.obsm


def test_scores_are_written_with_their_names_and_targets(cohort, net):
    adata = cohort.copy()
    assert tm.tl.regulons(adata, net=net) is None
    scores = adata.obsm["X_regulons"]
    assert scores.dtype == np.float32
    assert scores.shape == (cohort.n_obs, 4)
    assert 0 <= scores.min() < scores.max() <= 1
    assert list(adata.uns["regulons"]["names"]) == ["A", "B", "C", "IRF7"]
    assert list(adata.uns["regulons"]["targets"].columns) == ["regulon", "target", "weight"]
    assert adata.uns["regulons"]["params"]["method"] == "aucell"


def test_the_planted_regulon_is_higher_in_driver_cells(cohort, net):
    scores = tm.get.regulons(tm.tl.regulons(cohort, net=net, copy=True))["IRF7"]
    driver = cohort.obs["is_driver"]
    assert scores[driver].median() > scores[~driver].quantile(0.9)


@pytest.mark.parametrize(
    "convert", [sparse.csc_matrix, sparse.csr_array, lambda x: x.toarray(), lambda x: x.astype(np.float64)]
)
def test_format_and_type_do_not_matter(cohort, net, convert):
    other = ad.AnnData(convert(cohort.X), obs=cohort.obs, var=cohort.var)
    tm.tl.regulons(other, net=net)
    np.testing.assert_array_equal(
        other.obsm["X_regulons"], tm.tl.regulons(cohort, net=net, copy=True).obsm["X_regulons"]
    )


def test_counts_and_logarithms_score_alike(cohort, net):
    adata = cohort.copy()
    adata.layers["linear"] = adata.X.expm1()
    tm.tl.regulons(adata, net=net)
    tm.tl.regulons(adata, net=net, layer="linear", key_added="linear")
    np.testing.assert_allclose(adata.obsm["X_regulons"], adata.obsm["X_linear"], atol=1e-6)
    assert adata.uns["linear"]["params"]["layer"] == "linear"


def test_results_survive_the_disk_and_score_a_second_data_set(cohort, net, tmp_path):
    extra = pd.concat([net, pd.DataFrame({"source": "A", "target": ["ABSENT"], "weight": 2.0})])
    adata = tm.tl.regulons(cohort, net=extra, copy=True)
    adata.write_h5ad(tmp_path / "x.h5ad")
    back = ad.read_h5ad(tmp_path / "x.h5ad")
    assert back.uns["regulons"]["params"] == adata.uns["regulons"]["params"]
    assert "ABSENT" in set(back.uns["regulons"]["targets"].target)
    new = ad.AnnData(back.X[:50, ::-1].copy(), obs=back.obs[:50], var=back.var[::-1])
    tm.tl.regulons(new, net=back.uns["regulons"]["targets"])
    assert list(new.uns["regulons"]["names"]) == list(adata.uns["regulons"]["names"])
    np.testing.assert_allclose(new.obsm["X_regulons"], adata.obsm["X_regulons"][:50], atol=1e-6)


def test_signed_nets_are_split_as_pyscenic_names_them(cohort, net):
    signed = net.assign(weight=np.where(net.index % 3 == 0, -1.0, 1.0))
    adata = tm.tl.regulons(cohort, net=signed, copy=True)
    assert {"IRF7(+)", "IRF7(-)"} <= set(adata.uns["regulons"]["names"])
    assert (adata.uns["regulons"]["targets"].weight > 0).all()
    alone = tm.tl.regulons(cohort, net=signed[signed.weight > 0], copy=True)
    np.testing.assert_array_equal(tm.get.regulons(alone)["IRF7"], tm.get.regulons(adata)["IRF7(+)"])


def test_regulons_with_too_few_targets_are_left_out(cohort, net):
    few = pd.concat([net, pd.DataFrame({"source": "D", "target": cohort.var_names[:4]})]).assign(weight=1.0)
    assert "D" not in tm.tl.regulons(cohort, net=few, copy=True).uns["regulons"]["names"]
    assert "D" in tm.tl.regulons(cohort, net=few, min_targets=4, copy=True).uns["regulons"]["names"]


def test_gmt_motif_table_and_csv_are_nets(cohort, net, tmp_path):
    expected = tm.tl.regulons(cohort, net=net, copy=True).obsm["X_regulons"]
    tm.io.write_gmt(net, tmp_path / "x.gmt")
    net.to_csv(tmp_path / "net.csv", index=False)
    motifs = pd.DataFrame({"TF": ["A", "IRF7"], "MotifID": "m", "AUC": 0.1, "NES": 4.0, "MotifSimilarityQvalue": 0.0})
    motifs = motifs.assign(
        OrthologousIdentity=1.0, Annotation="direct", RankAtMax=10, Context=[frozenset({"top50"})] * 2
    )
    motifs["TargetGenes"] = [
        list(zip(rows.target, rows.weight, strict=True))
        for _, rows in net[net.source.isin(["A", "IRF7"])].groupby("source")
    ]
    tm.io.write_motifs(motifs, tmp_path / "motifs.csv")
    for source in (tmp_path / "x.gmt", str(tmp_path / "x.gmt"), tmp_path / "net.csv"):
        np.testing.assert_array_equal(tm.tl.regulons(cohort, net=source, copy=True).obsm["X_regulons"], expected)
    for source in (tmp_path / "motifs.csv", motifs):
        adata = tm.tl.regulons(cohort, net=source, copy=True)
        assert list(adata.uns["regulons"]["names"]) == ["A(+)", "IRF7(+)"]
        np.testing.assert_array_equal(adata.obsm["X_regulons"], expected[:, [0, 3]])


def test_a_real_motif_table_matches_nothing_human_and_says_why(cohort, shared_data, unchanged):
    with pytest.raises(ValueError, match=r"var_names look like human symbols.*the targets look like mouse symbols"):
        tm.tl.regulons(cohort, net=shared_data("pyscenic_motifs_GSE60361.csv.gz"))


def test_priors_are_downloaded_by_decoupler(cohort, net, monkeypatch, unchanged):
    monkeypatch.setattr(dc.op, "collectri", lambda: net)
    assert tm.tl.regulons(cohort, net="collectri", copy=True).uns["regulons"]["params"]["net"] == "collectri"

    def no_network():
        raise OSError("no route to host")

    monkeypatch.setattr(dc.op, "dorothea", no_network)
    with pytest.raises(ConnectionError, match=r"no route to host.*save decoupler.op.dorothea\(\).to_csv"):
        tm.tl.regulons(cohort, net="dorothea")


@pytest.mark.parametrize("method", ["ulm", "zscore", "viper"])
def test_methods_of_decoupler_give_its_own_scores(cohort, net, method):
    signed = net.assign(weight=np.where(net.index % 3 == 0, -1.0, 1.0))
    small = cohort[:40].copy()
    tm.tl.regulons(small, net=signed, method=method)
    expected = cohort[:40].copy()
    getattr(dc.mt, method)(expected, signed, empty=False)
    expected = expected.obsm[f"score_{method}"]
    assert list(small.uns["regulons"]["names"]) == sorted(expected.columns)
    np.testing.assert_allclose(tm.get.regulons(small), expected[sorted(expected.columns)], rtol=1e-4, atol=1e-5)
    assert small.uns["regulons"]["params"]["method"] == method


INDEPENDENT = ["gsea", "mlm", "ora", "ulm", "viper", "waggr", "zscore"]
LONG_COMPILED = ("gsea", "ora", "waggr")


def test_every_method_of_decoupler_is_tested_for_dependence_on_other_cells():
    of_trees = {"mdt", "udt"}  # need xgboost, and fit each cell alone
    assert {*INDEPENDENT, "aucell", "gsva"} | of_trees == set(dc.mt.show()["name"]) | of_trees


@pytest.mark.parametrize(
    "method",
    [pytest.param(m, marks=pytest.mark.slow if m in LONG_COMPILED else ()) for m in [*INDEPENDENT, "aucell"]],
)
@pytest.mark.filterwarnings("ignore::numba.NumbaPendingDeprecationWarning")
def test_the_scores_of_a_cell_do_not_depend_on_other_cells(cohort, net, method, monkeypatch):
    """decoupler leaves out genes that no cell detects, and viper scales by the highest rank of all cells."""
    permute = importlib.import_module("decoupler.mt._waggr")
    monkeypatch.setattr(permute, "_perm", getattr(permute._perm, "py_func", permute._perm))  # half a minute to compile
    rng = np.random.default_rng(0)
    X = np.minimum(cohort.X[:60].toarray(), 1.0)  # ties at the top of every cell
    X[:20, rng.choice(cohort.n_vars, 400, replace=False)] = 0  # genes that only the other cells detect
    signed = net.assign(weight=rng.uniform(0.1, 1, len(net)))
    signed["weight"] *= 1 if method == "aucell" else rng.choice([-1, 1], len(net))
    options = {"times": 50} if method in ("gsea", "waggr") else {}
    together = ad.AnnData(sparse.csr_matrix(X), var=cohort.var[[]])
    tm.tl.regulons(together, net=signed, method=method, **options)
    assert list(together.uns["regulons"]["names"]) == ["A", "B", "C", "IRF7"]
    for n_cells in (1, 20):
        alone = ad.AnnData(sparse.csr_matrix(X[:n_cells]), var=cohort.var[[]])
        tm.tl.regulons(alone, net=signed, method=method, **options)
        assert list(alone.uns["regulons"]["names"]) == list(together.uns["regulons"]["names"])
        expected = together.obsm["X_regulons"][:n_cells]
        np.testing.assert_allclose(alone.obsm["X_regulons"], expected, rtol=1e-4, atol=1e-5)


def test_viper_does_not_scale_by_the_ranks_of_other_cells():
    """A cell whose highest genes are tied, alone and beside one without ties."""
    X = np.zeros((2, 40), dtype=np.float32)
    X[0, :10] = 1
    X[1] = np.random.default_rng(0).permutation(40) + 1
    net = pd.DataFrame({"source": np.repeat(["A", "B"], 10), "target": [f"g{i}" for i in range(20)], "weight": 0.5})
    both = ad.AnnData(X, var=pd.DataFrame(index=[f"g{i}" for i in range(40)]))
    alone = both[:1].copy()
    for adata in (both, alone):
        tm.tl.regulons(adata, net=net, method="viper", pleiotropy=False)
    np.testing.assert_allclose(alone.obsm["X_regulons"], both.obsm["X_regulons"][:1], rtol=1e-6)


def test_a_method_that_compares_cells_says_so(cohort, net, monkeypatch):
    def gsva(cells, net, **_):  # its own takes a minute to compile
        cells.obsm["score_gsva"] = pd.DataFrame(0.5, index=cells.obs_names, columns=["A"])

    monkeypatch.setattr(dc.mt, "gsva", gsva)
    small = cohort[:20].copy()
    with pytest.warns(UserWarning, match="gsva compares each cell with the other cells here"):
        tm.tl.regulons(small, net=net, method="gsva")


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ({"empty": True}, "empty= of decoupler is not an argument here: all genes and cells are kept"),
        ({"tmin": 3}, "tmin= of decoupler is not an argument here: use min_targets"),
    ],
)
def test_options_of_decoupler_that_are_set_here_are_refused(cohort, net, option, message, unchanged):
    with pytest.raises(TypeError, match=message):
        tm.tl.regulons(cohort, net=net, method="ulm", **option)


def test_cells_without_counts_change_no_other_cell(cohort, net):
    X = cohort.X[:30].toarray()
    X[[3, 7]] = 0
    adata = ad.AnnData(sparse.csr_matrix(X), var=cohort.var[[]])
    others = adata[np.delete(np.arange(30), [3, 7])].copy()
    with pytest.warns(UserWarning, match="ulm has no score for 2 cells"):
        tm.tl.regulons(adata, net=net, method="ulm")
    tm.tl.regulons(others, net=net, method="ulm")
    scores = np.delete(adata.obsm["X_regulons"], [3, 7], axis=0)
    np.testing.assert_allclose(scores, others.obsm["X_regulons"], rtol=1e-5)
    empty = ad.AnnData(np.zeros((3, cohort.n_vars), dtype=np.float32), var=cohort.var[[]])
    with pytest.raises(ValueError, match="no cell has a value other than 0, so that ulm has nothing to score"):
        tm.tl.regulons(empty, net=net, method="ulm")


def test_arguments_reach_the_method_of_decoupler(cohort, net):
    small = cohort[:40].copy()
    tm.tl.regulons(small, net=net, method="zscore", flavor="KSEA")
    tm.tl.regulons(small, net=net, method="zscore", key_added="default")
    assert not np.allclose(small.obsm["X_regulons"], small.obsm["X_default"])
    assert json.loads(small.uns["regulons"]["params"]["method_kwargs"]) == {"flavor": "KSEA"}


def test_without_a_net_modules_are_used_and_a_warning_says_so(cohort):
    with pytest.warns(UserWarning, match="unpruned co-expression modules"):
        adata = tm.tl.regulons(cohort, tf_names=["IRF7", "SPI1", "IRF8"], copy=True)
    with pytest.warns(UserWarning, match="unpruned"):
        again = tm.tl.regulons(cohort, tf_names=["IRF7", "SPI1", "IRF8"], copy=True)
    np.testing.assert_array_equal(adata.obsm["X_regulons"], again.obsm["X_regulons"])
    assert list(adata.uns["regulons"]["names"]) == ["IRF7(+)", "IRF8(+)", "SPI1(+)"]
    sizes = adata.uns["regulons"]["targets"].groupby("regulon").size()
    assert sizes.max() <= 51


def test_the_planted_regulon_is_found_in_the_cohort_without_any_prior():
    adata = tm.datasets.pbmc_cohort(n_patients=10, n_cells=100, effect=2)
    with pytest.warns(UserWarning, match="unpruned"):
        tm.tl.regulons(adata)
    responders = adata[adata.obs["response"] == "R"]
    driver = responders.obs["is_driver"].to_numpy()
    activity = tm.get.regulons(responders)
    difference = (activity[driver].mean() - activity[~driver].mean()) / activity.std()
    assert difference.abs().idxmax() == "IRF7(+)"
    found = adata.uns["regulons"]["targets"].query("regulon == 'IRF7(+)'").target
    assert set(found) & set(adata.uns["truth"]["targets"])


def test_a_network_that_is_there_can_be_used(cohort):
    adata = tm.tl.grn(cohort, tf_names=["IRF7", "SPI1"], copy=True)
    with pytest.warns(UserWarning, match="unpruned"):
        tm.tl.regulons(adata, grn_key="grn")
    assert list(adata.uns["regulons"]["names"]) == ["IRF7(+)", "SPI1(+)"]


def test_one_line_says_what_was_done(cohort, net, caplog):
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.tl.regulons(cohort, net=net, copy=True)
    assert [r.message for r in caplog.records] == [
        "regulons: 4 regulons (of 4) from net scored in 360 cells by aucell, median 12 of 12 targets present"
    ]
    caplog.clear()
    few = cohort[:, cohort.var_names.isin(net.target[net.source != "IRF7"][::2])].copy()
    with caplog.at_level(logging.INFO, logger="tcellmil"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tm.tl.regulons(few, net=net, auc_threshold=0.5)
    assert caplog.records[0].message.endswith("median 6 of 12 targets present")


def test_a_coarse_cutoff_is_warned_about(cohort, net, recwarn):
    with pytest.warns(UserWarning, match="uses the first 15 of 765 genes only"):
        tm.tl.regulons(cohort, net=net, auc_threshold=0.02, copy=True)
    recwarn.clear()
    tm.tl.regulons(cohort, net=net, copy=True)
    assert not [w for w in recwarn if "genes only" in str(w.message)]


def test_a_cell_without_counts_has_a_score_of_aucell_but_not_of_decoupler(cohort, net):
    X = cohort.X[:20].toarray()
    X[3] = 0
    adata = ad.AnnData(sparse.csr_matrix(X), var=cohort.var)
    tm.tl.regulons(adata, net=net)
    assert np.isfinite(adata.obsm["X_regulons"]).all()
    with pytest.warns(UserWarning, match="zscore has no score for 1 cells"):
        tm.tl.regulons(adata, net=net, method="zscore")
    assert list(np.flatnonzero(np.isnan(adata.obsm["X_regulons"]).any(axis=1))) == [3]


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"net": pd.DataFrame({"tf": ["A"], "target": ["B"], "mor": [1]})},
            ValueError,
            r"it has \['tf', 'target', 'mor'\]",
        ),
        ({"net": "nothing.gmt"}, ValueError, "'nothing.gmt' is neither a file nor one of collectri, dorothea"),
        ({"net": {"A": ["B"]}}, TypeError, "net must be a DataFrame, a path, or one of collectri, dorothea, got dict"),
        ({"method": "gsva2"}, ValueError, "method='gsva2' is not known; choose from 'aucell'"),
        ({"flavor": "KSEA"}, TypeError, r"method='aucell' takes no arguments \['flavor'\]"),
        ({"layer": "counts"}, KeyError, r"layer='counts' is not in adata.layers; there are \[\]"),
        ({"net": None, "grn_key": "grn"}, KeyError, "adata.uns has no 'grn'; run tl.grn first"),
        ({"net": None, "tf_names": ["Irf7"]}, ValueError, "none of 1 transcription factors"),
        ({"auc_threshold": 0}, ValueError, r"auc_threshold=0 must be a share"),
        (
            {"min_targets": 500},
            ValueError,
            r"none of 4 regulons has 500 targets among the 765 genes: (\d+) of \1 targets match, the best regulon has",
        ),
    ],
)
def test_bad_arguments_are_named(cohort, net, arguments, error, message, unchanged):
    with pytest.raises(error, match=message):
        tm.tl.regulons(cohort, **({"net": net} | arguments))


@pytest.mark.parametrize(
    ("rename", "message"),
    [
        (
            lambda names: [f"ENSG{i:011d}" for i in range(len(names))],
            r"0 of \d+ targets match.*var_names look like Ensembl",
        ),
        (lambda names: names.str.capitalize(), "var_names look like mouse symbols"),
        (
            lambda names: names.astype(object).where(np.arange(len(names)) > 1, "TWICE"),
            r"var_names are not unique: \['TWICE'\]",
        ),
    ],
)
def test_names_that_do_not_fit_are_described(cohort, net, rename, message):
    adata = ad.AnnData(cohort.X, var=pd.DataFrame(index=pd.Index(rename(cohort.var_names))))
    with pytest.raises(ValueError, match=message):
        tm.tl.regulons(adata, net=net)
    assert not adata.uns
    assert not adata.obsm


def test_values_that_cannot_be_ranked_are_refused(cohort, net):
    scaled = ad.AnnData(cohort.X.toarray(), var=cohort.var)
    sc.pp.scale(scaled)
    with pytest.raises(ValueError, match=r"negative values \(the lowest is -.*AUCell.*layer"):
        tm.tl.regulons(scaled, net=net)
    tm.tl.regulons(scaled, net=net, method="zscore")
    scaled.X[3, 4] = np.nan
    for method in ("aucell", "ulm"):
        with pytest.raises(ValueError, match="NaN or infinite"):
            tm.tl.regulons(scaled, net=net, method=method, key_added="x")
    assert "x" not in scaled.uns


@pytest.mark.parametrize("method", ["aucell", "ulm"])
@pytest.mark.parametrize("dtype", ["f2", ">f4", "u1", "g"])
def test_the_type_of_dense_values_does_not_matter(cohort, net, dtype, method):
    counts = np.round(cohort.X[:40].toarray())
    expected, other = (ad.AnnData(counts.astype(kind), var=cohort.var[[]]) for kind in ("f4", dtype))
    for adata in (expected, other):
        tm.tl.regulons(adata, net=net, method=method)
    np.testing.assert_allclose(other.obsm["X_regulons"], expected.obsm["X_regulons"], rtol=1e-5)


@pytest.mark.parametrize("method", ["aucell", "ulm"])
def test_indices_out_of_range_are_refused_before_any_kernel(cohort, net, method):
    adata = cohort.copy()
    adata.X.indices[7] = 1_000_000
    with pytest.raises(ValueError, match="is damaged: it has a value in column 1000000, which does not exist"):
        tm.tl.regulons(adata, net=net, method=method)
    assert "regulons" not in adata.uns


def test_text_and_complex_numbers_are_refused(cohort, net):
    adata = ad.AnnData(np.ones((60, cohort.n_vars), dtype=complex), var=cohort.var[[]])
    with pytest.raises(ValueError, match="holds values of type complex128, not real numbers; convert them before"):
        tm.tl.regulons(adata, net=net)


def test_genes_by_cells_are_recognised(cohort, net):
    adata = ad.AnnData(cohort.X.T.tocsr(), obs=cohort.var[[]], var=cohort.obs[[]])
    with pytest.raises(ValueError, match=r"none of \d+ targets is among .* but \d+ obs_names are.* transpose"):
        tm.tl.regulons(adata, net=net)
    with pytest.raises(ValueError, match="none of 2 transcription factors is among .* 2 obs_names are.* transpose"):
        tm.tl.regulons(adata, tf_names=["IRF7", "SPI1"])
    assert not adata.uns


@pytest.fixture
def with_identifiers(cohort):
    """As in a file of CELLxGENE: identifiers as names, symbols as a categorical column."""
    adata = ad.AnnData(cohort.X, obs=cohort.obs, var=cohort.var[[]])
    adata.var["feature_name"] = pd.Categorical(adata.var_names)
    adata.var_names = [f"ENSG{i:011d}" for i in range(adata.n_vars)]
    return adata


@pytest.mark.parametrize("method", ["aucell", "ulm"])
def test_symbols_are_read_from_a_column(cohort, net, with_identifiers, method):
    expected = tm.tl.regulons(cohort, net=net, method=method, copy=True)
    tm.tl.regulons(with_identifiers, net=net, method=method, gene_symbols="feature_name")
    np.testing.assert_array_equal(with_identifiers.obsm["X_regulons"], expected.obsm["X_regulons"])
    assert with_identifiers.uns["regulons"]["params"]["gene_symbols"] == "feature_name"


def test_identifiers_without_symbols_name_the_column(net, with_identifiers):
    with pytest.raises(ValueError, match=r"but \d+ values of adata.var\['feature_name'\] are: pass gene_symbols="):
        tm.tl.regulons(with_identifiers, net=net)
    del with_identifiers.var["feature_name"]
    with pytest.raises(ValueError, match=r"var_names look like Ensembl.* name a column of adata.var .*gene_symbols="):
        tm.tl.regulons(with_identifiers, net=net)


def test_versions_of_identifiers_are_recognised(net, with_identifiers):
    identifier = dict(zip(with_identifiers.var["feature_name"], with_identifiers.var_names, strict=True))
    of_ids = net.assign(target=net.target.map(identifier))
    with_identifiers.var_names += ".12"
    with pytest.raises(ValueError, match=r"without the version at the end of var_names: adata.var_names = "):
        tm.tl.regulons(with_identifiers, net=of_ids)


def test_genes_that_share_a_symbol_are_merged_and_a_line_says_so(cohort, net, with_identifiers, caplog):
    counts = sparse.csr_matrix(np.round(cohort.X.toarray()))
    twice = sparse.hstack([counts, counts[:, :2]]).tocsr()
    var = pd.DataFrame({"feature_name": [*cohort.var_names, *cohort.var_names[:2]]})
    adata = ad.AnnData(twice, obs=cohort.obs[[]], var=var.set_index(pd.Index([f"E{i}" for i in range(len(var))])))
    with caplog.at_level(logging.INFO, logger="tcellmil"):
        tm.tl.regulons(adata, net=net, gene_symbols="feature_name")
    assert "regulons: 4 genes share the names" in caplog.messages[0]
    assert "their counts are added up" in caplog.messages[0]
    assert adata.uns["regulons"]["params"]["n_genes"] == cohort.n_vars
    counts = counts.tolil()
    counts[:, :2] *= 2
    expected = ad.AnnData(counts.tocsr(), var=cohort.var[[]])
    tm.tl.regulons(expected, net=net)
    np.testing.assert_array_equal(adata.obsm["X_regulons"], expected.obsm["X_regulons"])


def test_a_column_that_is_not_there_is_named(cohort, net, unchanged):
    with pytest.raises(KeyError, match=r"gene_symbols='symbol' is not a column of adata.var; there are"):
        tm.tl.regulons(cohort, net=net, gene_symbols="symbol")
    with pytest.raises(TypeError, match="gene_symbols must be the name of a column of adata.var"):
        tm.tl.regulons(cohort, net=net, gene_symbols=["symbol"])


def test_views_and_files_are_refused(cohort, net, tmp_path):
    with pytest.raises(ValueError, match="is a view of another AnnData"):
        tm.tl.regulons(cohort[:10], net=net)
    cohort.write_h5ad(tmp_path / "x.h5ad")
    backed = ad.read_h5ad(tmp_path / "x.h5ad", backed="r")
    with pytest.raises(ValueError, match="is backed by a file"):
        tm.tl.regulons(backed, net=net)
    backed.file.close()
