"""Every verb writes one dict with its tables and arguments, under one rule of names, and getters give copies of it."""

import inspect
import json
import warnings

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

NOT_RESULTS = {"adata", "copy", "progress", "key_added"}
#: Verb: where it writes, and its tables.
RESULTS = {
    "grn": ("grn", {"edges"}),
    "prune": ("prune", {"targets", "motifs"}),
    "regulons": ("regulons", {"names", "targets"}),
    "perturb": ("tcellmil_perturbation", {"patients", "stats", "pairs", "pair_stats"}),
    "shap": ("tcellmil_shap", {"patients", "difference", "stats", "additivity"}),
    "attention_enrichment": ("tcellmil_attention_enrichment", {"patients", "stats"}),
    "attention_correlation": ("tcellmil_attention_correlation", {"regulons"}),
    "attention_stability": ("tcellmil_attention_stability", {"attention", "regulators", "top"}),
    "permutation_test": ("tcellmil_permutation_test", {"null", "test"}),
    "top_cells": ("tcellmil_top_cells", set()),
    "batch_effect": ("batch_effect", {"ari", "tests"}),
    "benchmark": ("benchmark", {"metrics", "methods", "predictions"}),
    "match_bulk": ("match_bulk", {"pairs", "conditions"}),
}
DOSE = ["direction", "n_mad"]
PAIR = ["regulon_1", "regulon_2"]
#: Getter, its part, and the names of the index.
TABLES = [
    ("grn", None, ["TF", "target"]),
    ("prune", "targets", ["regulon", "target"]),
    ("prune", "motifs", ["TF", "MotifID"]),
    ("regulons", None, ["cell"]),
    ("predictions", None, ["patient"]),
    ("metrics", None, ["metric"]),
    ("history", None, ["stage", "replica", "epoch"]),
    ("attention", None, ["cell"]),
    ("perturb", "patients", ["patient", "regulon", *DOSE]),
    ("perturb", "stats", ["regulon", *DOSE]),
    ("perturb", "pairs", ["patient", *PAIR, *DOSE]),
    ("perturb", "pair_stats", [*PAIR, *DOSE]),
    ("shap", "patients", ["patient", "regulon", "class"]),
    ("shap", "difference", ["patient", "regulon"]),
    ("shap", "stats", ["regulon"]),
    ("shap", "additivity", ["patient"]),
    ("attention_enrichment", "patients", ["patient", "group"]),
    ("attention_enrichment", "stats", ["group"]),
    ("attention_correlation", None, ["regulon"]),
    ("attention_stability", "attention", ["patient", "across"]),
    ("attention_stability", "regulators", ["across"]),
    ("attention_stability", "top", ["across", "regulon"]),
    ("permutation_test", "test", ["metric"]),
    ("permutation_test", "null", ["permutation"]),
    ("batch_effect", "ari", ["representation", "init"]),
    ("batch_effect", "tests", ["reference", "representation"]),
    ("benchmark", "metrics", ["method", "rep", "metric"]),
    ("benchmark", "wide", ["method", "rep"]),
    ("benchmark", "methods", ["method", "rep"]),
    ("benchmark", "predictions", ["method", "rep", "patient"]),
    ("match_bulk", "conditions", ["patient"]),
    ("match_bulk", "pairs", ["patient", "cell"]),
    ("regulators", None, ["regulon"]),
    ("calibration", None, ["bin"]),
]


def table_of(adata, getter, part):
    return getattr(tm.get, getter)(adata, *([] if part is None else [part]))


def ids(tables):
    return ["-".join(filter(None, row[:2])) for row in tables]


def test_every_verb_writes_one_dict_of_flat_tables_and_params(explored):
    for place, tables in RESULTS.values():
        result = explored.uns[place]
        assert type(result) is dict and set(result) == tables | {"params"}
        for table in tables - {"names"}:
            assert isinstance(result[table].index, pd.RangeIndex)
    assert set(explored.uns) == {place for place, _ in RESULTS.values()} | {"tcellmil"}
    assert set(explored.obsm) == {"X_regulons", "X_tcellmil", "X_tcellmil_shap"}
    assert "tcellmil_attention" in explored.obs


def test_every_verb_with_a_result_of_its_own_is_in_this_file():
    of_language_models = {"annotate_sentences", "embed_sentences", "generate_cells"}  # tests/model/test_c2s.py
    others = {"fit_mil", "predict", "sentences_to_expression"} | of_language_models
    assert set(RESULTS) | others == set(tm.tl.__all__)


@pytest.mark.parametrize("verb", RESULTS)
def test_params_hold_every_argument_that_shapes_the_result(explored, verb):
    parameters = inspect.signature(getattr(tm.tl, verb)).parameters.values()
    arguments = {p.name for p in parameters if p.kind is not p.VAR_KEYWORD} - NOT_RESULTS
    params = explored.uns[RESULTS[verb][0]]["params"]
    assert arguments - {"model"} <= set(params)  # the model that predicted is known by its checksum, `fit`
    for value in params.values():
        assert type(value) in (str, bool, int, float) or (isinstance(value, np.ndarray) and value.ndim == 1)


def test_what_belongs_to_a_fit_has_the_name_of_the_fit_in_front(explored, run_explanations):
    adata, before = explored, explored.copy()
    adata.uns["other"], adata.obs["other_attention"] = adata.uns["tcellmil"], adata.obs["tcellmil_attention"]
    uns, obsm = set(adata.uns), set(adata.obsm)
    run_explanations(adata, key="other")
    names = {place.replace("tcellmil", "other") for place, _ in RESULTS.values() if place.startswith("tcellmil")}
    assert set(adata.uns) - uns == names and len(names) == 7
    assert set(adata.obsm) - obsm == {"X_other_shap"}
    for name in names:
        assert adata.uns[name]["params"]["key"] == "other"
    for getter, part, _ in TABLES:
        if "key" in inspect.signature(getattr(tm.get, getter)).parameters:
            table = getattr(tm.get, getter)(adata, *([] if part is None else [part]), key="other")
            pd.testing.assert_frame_equal(table, table_of(before, getter, part))


@pytest.mark.parametrize(("getter", "part", "index"), TABLES, ids=ids(TABLES))
def test_each_table_has_its_index_and_is_a_copy(explored, getter, part, index):
    table = table_of(explored, getter, part)
    assert list(table.index.names) == index and not set(index) & set(table.columns)
    assert table.index.is_unique or (getter, part) == ("prune", "motifs")
    assert len(table)
    before = table.copy()
    for position, dtype in enumerate(table.dtypes):  # in place, where memory would be shared
        table.iloc[:, position] = {"b": True, "O": "changed"}.get(dtype.kind, 7)
    assert not table.equals(before)
    pd.testing.assert_frame_equal(table_of(explored, getter, part), before)


@pytest.mark.parametrize(("getter", "part", "index"), TABLES, ids=ids(TABLES))
def test_getters_take_the_same_arguments_in_the_same_order(getter, part, index):
    first, *others = inspect.signature(getattr(tm.get, getter)).parameters.values()
    assert first.name == "adata"
    names = [p.name for p in others]
    assert [p.name for p in others if p.kind is not p.KEYWORD_ONLY] == (["part"] if "part" in names else [])
    shared = [name for name in names if name in ("part", "key", "result_key")]
    assert shared == [name for name in ("part", "key", "result_key") if name in names] == names[: len(shared)]


@pytest.mark.filterwarnings("ignore:Writing zarr v2")
@pytest.mark.parametrize("suffix", ["h5ad", "zarr"])
def test_all_results_survive_a_file(explored, tmp_path, suffix):
    path = tmp_path / f"result.{suffix}"
    if suffix == "zarr":
        pytest.importorskip("zarr")
        explored.write_zarr(path)
        back = ad.read_zarr(path)
    else:
        explored.write_h5ad(path)
        back = ad.read_h5ad(path)
    for getter, part, _ in TABLES:
        tables = table_of(back, getter, part), table_of(explored, getter, part)
        pd.testing.assert_frame_equal(*tables, check_dtype=False, check_index_type=False, check_column_type=False)
    for place, _ in RESULTS.values():
        read, written = (a.uns[place]["params"] for a in (back, explored))
        assert set(read) == set(written)
        for name, value in written.items():
            np.testing.assert_array_equal(read[name], value)


def test_a_perturbation_is_repeated_from_the_params_in_a_file(explored, tmp_path):
    explored.write_h5ad(tmp_path / "result.h5ad")
    back = ad.read_h5ad(tmp_path / "result.h5ad")
    arguments = set(inspect.signature(tm.tl.perturb).parameters)
    params = {k: v for k, v in back.uns["tcellmil_perturbation"]["params"].items() if k in arguments}
    params = {name: None if isinstance(value, str) and not value else value for name, value in params.items()}
    params["cells"] = back.obs_names.isin(params["cells"])
    tm.tl.perturb(back, **params, key_added="again", progress=False)
    for part in ("patients", "stats", "pairs", "pair_stats"):
        again, first = tm.get.perturb(back, part, result_key="again"), tm.get.perturb(explored, part)
        pd.testing.assert_frame_equal(again, first, check_dtype=False, check_exact=True)


@pytest.mark.parametrize("part", ["curves", "test"])
def test_risk_groups_have_an_index(make_cohort, fit_quickly, part):
    adata = make_cohort()
    adata.obs["death"] = 1
    adata.obs["months"] = adata.obs["patient"].str[1:].astype(float) + 1
    options = {"outcome": "survival", "event_key": "death", "training": {"max_epochs": 3}, "progress": False}
    tm.tl.fit_mil(adata, "patient", "months", cv=2, n_boot=20, **options)
    table = tm.get.risk_groups(adata, part)
    assert list(table.index.names) == {"curves": ["group", "time"], "test": ["test"]}[part]


def test_arguments_become_plain_values(tmp_path):
    from tcellmil._params import plain

    params = plain(
        nothing=None,
        empty=[],
        path=tmp_path,
        flag=np.bool_(True),
        count=np.int64(3),
        share=np.float32(0.5),
        doses=np.array(2),
        names=("a", "b"),
        options={"lr": 0.1, "path": tmp_path},
        table=pd.DataFrame({"a": [1, 2]}),
        function=len,
    )
    assert (params["nothing"], params["empty"], params["path"]) == ("", "", str(tmp_path))
    assert (params["flag"], params["count"], params["share"], params["doses"]) == (True, 3, 0.5, 2)
    assert params["names"].tolist() == ["a", "b"] and json.loads(params["options"])["lr"] == 0.1
    assert params["table"] == "DataFrame of 2 x 1" and params["function"] == "len"
    adata = ad.AnnData(np.ones((1, 1), dtype=np.float32), uns={"params": params})
    adata.write_h5ad(tmp_path / "plain.h5ad")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of anndata by pandas
        assert set(ad.read_h5ad(tmp_path / "plain.h5ad").uns["params"]) == set(params)
