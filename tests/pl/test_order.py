"""Groups are listed in the order of their categories, or of their numbers: 2 before 10."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm

CLUSTERS = [str(i) for i in range(12)]
TYPES = {
    "text": lambda codes: codes.astype(str),
    "numbers": lambda codes: codes,
    "categories": lambda codes: pd.Categorical(codes.astype(str), categories=CLUSTERS),
    "categories of numbers": lambda codes: pd.Categorical(codes),
}


@pytest.fixture(params=TYPES)
def clustered(request, complete):
    adata = complete.copy()
    adata.obs["cell_type"] = TYPES[request.param](np.arange(adata.n_obs) % 12)
    return adata


def rows(ax):
    return [text.get_text() for text in ax.get_yticklabels()]


def test_heatmap_and_legend_of_batches_list_clusters_in_order(clustered):
    ax = tm.pl.regulon_heatmap(clustered, "cell_type", show=False)
    assert [text.get_text() for text in ax.get_xticklabels()] == CLUSTERS
    assert tm.get.regulons(clustered, groupby="cell_type").index.tolist() == CLUSTERS
    legend = tm.pl.batch_effect(clustered, "umap", show=False)[0].figure.legends[0]
    assert [text.get_text() for text in legend.get_texts()] == CLUSTERS


def test_violins_list_groups_in_order(clustered):
    few = clustered[np.isin(clustered.obs["cell_type"].astype(str), ["2", "9", "10", "11"])].copy()
    legend = tm.pl.regulons(few, groupby="cell_type", show=False).figure.legends[0]
    assert [text.get_text().split(",")[0] for text in legend.get_texts()] == ["2", "9", "10", "11"]


def test_attention_and_enrichment_list_groups_by_their_statistic(clustered):
    relative = tm.get.attention(clustered)["relative"]
    median = relative.groupby(clustered.obs["cell_type"].astype(str).to_numpy()).median()
    drawn = rows(tm.pl.attention(clustered, groupby="cell_type", show=False))
    assert drawn == median.sort_values(ascending=False).index.tolist()
    del clustered.uns["tcellmil_attention_enrichment"]
    tm.tl.attention_enrichment(clustered, "cell_type", n_permutations=20)
    table = tm.get.attention_enrichment(clustered, "stats")
    table = table[table["n_patients"] > 0].sort_values("median_difference", ascending=False, kind="stable")
    assert [name.split("\n")[0] for name in rows(tm.pl.attention_enrichment(clustered, show=False))] == list(
        table.index
    )
