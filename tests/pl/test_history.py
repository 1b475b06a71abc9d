"""Losses: a line a replica, their median while half of them train."""

import numpy as np
import pytest
from matplotlib.collections import LineCollection

import tcellmil as tm


@pytest.mark.parametrize("n_replicas", [2, 24, 192])
def test_every_replica_and_the_median_are_drawn(cohort, n_replicas):
    adata = cohort(n_patients=6, n_regulons=2, n_replicas=n_replicas)
    table = adata.uns["tcellmil"]["history"]
    axes = tm.pl.history(adata, show=False)
    for ax, stage in zip(axes, ["autoencoder", "mil"], strict=True):
        assert f"{n_replicas} replicas" in ax.get_title()
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training", "validation"]
        drawn = [c for c in ax.collections if isinstance(c, LineCollection)]
        assert [len(c.get_segments()) for c in drawn] == [n_replicas, n_replicas]
        of_stage = table[table["stage"] == stage]
        for line, column in zip(ax.lines, ["train_loss", "validation_loss"], strict=True):
            by_epoch = of_stage.groupby("epoch")[column].agg(["median", "count"])
            half = by_epoch[by_epoch["count"] >= n_replicas / 2]
            np.testing.assert_allclose(line.get_xdata(), half.index + 1)
            np.testing.assert_allclose(line.get_ydata(), half["median"])


def test_without_validation_only_training_is_drawn(cohort):
    axes = tm.pl.history(cohort(n_patients=6, n_regulons=2, n_replicas=1, validation=False), show=False)
    for ax in axes:
        assert [text.get_text() for text in ax.get_legend().get_texts()] == ["training"]
        assert ax.get_title().endswith("1 replica")


def test_replicas_without_validation_beside_others_with_it_are_left_out(cohort):
    adata = cohort(n_patients=6, n_regulons=2, n_replicas=4)
    table = adata.uns["tcellmil"]["history"]
    table.loc[table["replica"] == 0, "validation_loss"] = np.nan
    drawn = tm.pl.history(adata, show=False)[0].collections
    assert [len(c.get_segments()) for c in drawn] == [4, 3]


def test_a_model_without_an_autoencoder_has_one_panel(cohort):
    adata = cohort(n_patients=6, n_regulons=2)
    table = adata.uns["tcellmil"]["history"]
    adata.uns["tcellmil"]["history"] = table[table["stage"] == "mil"]
    assert tm.pl.history(adata, show=False).get_ylabel() == "Cross-entropy"
