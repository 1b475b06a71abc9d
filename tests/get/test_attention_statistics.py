"""The attention tables come out as copies, whole or by group and regulon."""

import anndata as ad
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm


@pytest.fixture
def tested():
    rows = [(p, g) for p in ("P1", "P2", "P3") for g in ("B", "T")]
    table = pd.DataFrame(rows, columns=["patient", "group"]).assign(p=np.arange(6) / 10)
    stats = pd.DataFrame({"group": ["B", "T"], "p": [0.1, np.nan]})
    correlation = pd.DataFrame({"regulon": ["TF1(+)", "TF2(+)", "TF3(+)"], "tau": [0.1, 0.2, np.nan]})
    adata = ad.AnnData(np.ones((2, 1), dtype=np.float32))
    adata.uns.update(attention_enrichment=table, attention_enrichment_stats=stats, attention_correlation=correlation)
    return adata


def test_whole_tables_come_out_as_they_were_written(tested):
    pd.testing.assert_frame_equal(tm.get.attention_enrichment(tested), tested.uns["attention_enrichment"])
    pd.testing.assert_frame_equal(
        tm.get.attention_enrichment(tested, stats=True), tested.uns["attention_enrichment_stats"]
    )
    pd.testing.assert_frame_equal(tm.get.attention_correlation(tested), tested.uns["attention_correlation"])


def test_groups_and_regulons_choose_rows(tested):
    table = tm.get.attention_enrichment(tested, groups="T")
    assert table["group"].unique().tolist() == ["T"] and table.index.tolist() == [0, 1, 2]
    assert tm.get.attention_enrichment(tested, stats=True, groups=["T", "B"])["group"].tolist() == ["B", "T"]
    assert tm.get.attention_correlation(tested, regulons=["TF3(+)", "TF1(+)"])["regulon"].tolist() == [
        "TF1(+)",
        "TF3(+)",
    ]


def test_changing_a_table_changes_nothing_in_adata(tested):
    before = tested.copy()
    for table in (
        tm.get.attention_enrichment(tested),
        tm.get.attention_enrichment(tested, stats=True),
        tm.get.attention_correlation(tested),
        tm.get.attention_correlation(tested, regulons="TF1(+)"),
    ):
        table.iloc[:, 0] = "changed"
        table.iloc[:, -1] = 0
    for key in before.uns:
        pd.testing.assert_frame_equal(tested.uns[key], before.uns[key])


def test_a_table_under_its_own_key_is_found_by_it(tested):
    tested.uns["mine"], tested.uns["mine_stats"] = tested.uns["attention_enrichment"].iloc[:1], pd.DataFrame()
    assert len(tm.get.attention_enrichment(tested, enrichment_key="mine")) == 1
    assert len(tm.get.attention_enrichment(tested, enrichment_key="mine", stats=True)) == 0
    tested.uns["yours"] = tested.uns["attention_correlation"].iloc[:2]
    assert len(tm.get.attention_correlation(tested, correlation_key="yours")) == 2


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
            {"enrichment_key": "e", "stats": True},
            r"no 'e_stats'; run tl.attention_enrichment\(adata, groupby=..., key_added='e'\) first",
        ),
        ("attention_correlation", {"key": "m"}, r"no 'm_attention_correlation'; run .*\(adata, key='m'\) first"),
        ("attention_correlation", {"correlation_key": "c"}, r"no 'c'; run .*\(adata, key_added='c'\) first"),
        ("attention_enrichment", {"groups": "NK"}, r"groups \['NK'\] are not in the table; there are \['B', 'T'\]"),
        ("attention_correlation", {"regulons": ["TF9"]}, r"regulons \['TF9'\] are not in the table; there are \['TF1"),
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
