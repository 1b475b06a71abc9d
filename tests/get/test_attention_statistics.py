"""The attention tables come out as copies, whole or by group and regulon."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

ENRICHMENT, CORRELATION = "tcellmil_attention_enrichment", "tcellmil_attention_correlation"


@pytest.fixture
def tested(explored):
    return explored


def test_whole_tables_come_out_the_largest_effects_first(tested, assert_same):
    table = tm.get.attention_enrichment(tested).reset_index()
    assert_same(table, tested.uns[ENRICHMENT]["patients"])
    for table, written, size in (
        (tm.get.attention_enrichment(tested, "stats"), tested.uns[ENRICHMENT]["stats"], "median_difference"),
        (tm.get.attention_correlation(tested), tested.uns[CORRELATION]["regulons"], "tau_within"),
    ):
        sizes = table[size].abs().dropna().to_numpy()
        assert len(sizes) > 1 and (np.diff(sizes) <= 0).all()
        assert_same(table.loc[written[table.index.name]].reset_index(), written)


def test_groups_and_regulons_choose_rows(tested):
    whole = tm.get.attention_enrichment(tested)
    first, second = whole.index.unique("group")[:2]
    table = tm.get.attention_enrichment(tested, groups=second)
    pd.testing.assert_frame_equal(table, whole[whole.index.get_level_values("group") == second])
    for chosen, whole in (
        (tm.get.attention_enrichment(tested, "stats", groups=[second, first]), [first, second]),
        (tm.get.attention_correlation(tested, regulons=["IRF7(+)", "B"]), ["B", "IRF7(+)"]),
    ):
        assert sorted(chosen.index) == sorted(whole)


def test_changing_a_table_changes_nothing_in_adata(tested):
    before = tested.copy()
    for table in (
        tm.get.attention_enrichment(tested),
        tm.get.attention_enrichment(tested, "stats"),
        tm.get.attention_correlation(tested),
        tm.get.attention_correlation(tested, regulons="IRF7(+)"),
    ):
        for position, dtype in enumerate(table.dtypes):
            table.iloc[:, position] = "changed" if dtype.kind == "O" else 7
    for key, part in ((ENRICHMENT, "patients"), (ENRICHMENT, "stats"), (CORRELATION, "regulons")):
        pd.testing.assert_frame_equal(tested.uns[key][part], before.uns[key][part])


def test_a_table_under_its_own_key_is_found_by_it(tested):
    tables = tested.uns[ENRICHMENT]
    tested.uns["mine"] = tables | {"patients": tables["patients"].iloc[:1], "stats": tables["stats"].iloc[:0]}
    assert len(tm.get.attention_enrichment(tested, result_key="mine")) == 1
    assert len(tm.get.attention_enrichment(tested, "stats", result_key="mine")) == 0
    tested.uns["yours"] = tested.uns[CORRELATION] | {"regulons": tested.uns[CORRELATION]["regulons"].iloc[:2]}
    assert len(tm.get.attention_correlation(tested, result_key="yours")) == 2


@pytest.mark.parametrize(
    ("function", "options", "message"),
    [
        (
            "attention_enrichment",
            {"key": "m"},
            r"no 'm_attention_enrichment'; run .*\(adata, groupby=..., key='m'\) first",
        ),
        (
            "attention_enrichment",
            {"result_key": "e", "part": "stats"},
            r"no 'e'; run tl.attention_enrichment\(adata, groupby=..., key_added='e'\) first",
        ),
        ("attention_correlation", {"key": "m"}, r"no 'm_attention_correlation'; run .*\(adata, key='m'\) first"),
        ("attention_correlation", {"result_key": "c"}, r"no 'c'; run .*\(adata, key_added='c'\) first"),
        ("attention_enrichment", {"groups": "NK"}, r"groups \['NK'\] are not in the table; there are \['CD14"),
        (
            "attention_correlation",
            {"regulons": ["TF9"]},
            r"regulons \['TF9'\] are not in the table; there are \['",
        ),
    ],
)
def test_what_is_not_there_is_named(tested, function, options, message):
    with pytest.raises(KeyError, match=message):
        getattr(tm.get, function)(tested, **options)


def test_without_a_result_the_error_names_the_verb():
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    with pytest.raises(KeyError, match=r"run tl.attention_enrichment\(adata, groupby=...\) first"):
        tm.get.attention_enrichment(adata)
    with pytest.raises(KeyError, match=r"run tl.attention_correlation\(adata\) first"):
        tm.get.attention_correlation(adata)
