import pytest

import tcellmil as tm


@pytest.fixture
def adata(explored):
    return explored


def test_wide_has_one_row_per_method_and_one_column_per_metric(adata):
    wide, tidy = tm.get.benchmark(adata, "wide"), tm.get.benchmark(adata, metric="f1")
    assert list(wide.columns)[:2] == ["auroc", "auprc"] and len(wide) == 2
    assert wide["f1"].tolist() == tidy["value"].tolist()
    assert wide.index.equals(tidy.index.droplevel("metric"))
    assert tm.get.benchmark(adata, "wide", metric="f1").columns.tolist() == ["f1"]


def test_tables_are_copies(adata):
    table = tm.get.benchmark(adata)
    table.iloc[:, 0] = 7
    assert (adata.uns["benchmark"]["metrics"]["value"] != 7).all()


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda a: tm.get.benchmark(a, result_key="other"), KeyError, r"\(adata, ..., key_added='other'\) first"),
        (lambda a: tm.get.benchmark(a, metric="auc"), ValueError, r"metric='auc' is not known; choose from 'auroc'"),
        (lambda a: tm.get.benchmark(a, "table"), ValueError, r"part='table' is not known"),
    ],
)
def test_what_is_missing_is_named(adata, call, error, message):
    with pytest.raises(error, match=message):
        call(adata)
