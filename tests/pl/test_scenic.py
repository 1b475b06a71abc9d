"""Targets and motifs of transcription factors: the bars of the tables, the highest first."""

import matplotlib.pyplot as plt
import pytest
from matplotlib.colors import to_hex

import tcellmil as tm
from tcellmil.pl._palette import BLUE, VERMILLION


def names_of(panel):
    return [label.get_text() for label in panel.get_yticklabels()]


def lengths(panel):
    return [bar.get_width() for bar in panel.patches]


def test_targets_are_the_most_important_of_the_top_factors(complete):
    edges = tm.get.grn(complete)
    axes = tm.pl.grn(complete, n_top=6, show=False)
    order = edges.groupby("TF")["importance"].sum().nlargest(4).index
    for panel, factor in zip(axes, order, strict=True):
        top = edges.loc[factor].nlargest(6, "importance")
        assert panel.get_title() == f"{factor}, 15 targets" and names_of(panel) == top.index.tolist()
        assert lengths(panel) == top["importance"].tolist()
        colors = [to_hex(bar.get_facecolor()).upper() for bar in panel.patches]
        assert colors == [BLUE if rho > 0 else VERMILLION for rho in top["rho"]]
    assert len({panel.get_xlim() for panel in axes}) == 1


def test_targets_without_a_correlation_are_named_in_the_legend(complete):
    adata = complete.copy()
    adata.uns["grn"]["edges"]["rho"] = float("nan")
    figure = tm.pl.grn(adata, show=False)[0].figure
    assert [text.get_text() for text in figure.legends[0].get_texts()] == ["no correlation"]


def test_motifs_are_those_of_highest_enrichment_each_once(complete):
    motifs = tm.get.prune(complete, "motifs")
    axes = tm.pl.prune(complete, n_top=5, show=False)
    order = motifs.groupby("TF")["NES"].max().sort_values(ascending=False).index
    for panel, factor in zip(axes, order, strict=True):
        best = motifs.loc[factor].groupby("MotifID")["NES"].max().nlargest(5)
        assert names_of(panel) == best.index.tolist() and lengths(panel) == best.tolist()
        assert panel.lines[0].get_xdata()[0] == 3.0
    (irf7,) = [panel for panel in axes if panel.get_title().startswith("IRF7")]
    assert irf7.get_title() == "IRF7\n12 motifs, 9 targets"


@pytest.mark.parametrize("draw", [tm.pl.grn, tm.pl.prune])
def test_requested_factors_are_drawn_in_their_order(complete, draw):
    axes = draw(complete, tf_names=["SPI1", "IRF7"], show=False)
    assert [panel.get_title()[:4] for panel in axes] == ["SPI1", "IRF7"]
    assert draw(complete, tf_names="TBX21", show=False).get_title().startswith("TBX21")
    assert len(draw(complete, n_tfs=2, show=False)) == 2


@pytest.mark.parametrize("draw", [tm.pl.grn, tm.pl.prune])
@pytest.mark.parametrize(
    ("options", "error", "message"),
    [
        ({"n_top": 0}, ValueError, "n_top=0 must be a whole number of at least 1"),
        ({"n_tfs": 0}, ValueError, "n_tfs=0 must be a whole number of at least 1"),
        ({"tf_names": ["IRF7", "X"]}, KeyError, r"tf_names \['X'\] have no (edges|motifs); there are"),
        ({"tf_names": []}, KeyError, r"have no (edges|motifs); there are"),
    ],
)
def test_bad_input_is_named_and_opens_no_figure(complete, draw, options, error, message):
    with pytest.raises(error, match=message):
        draw(complete, show=False, **options)
    assert not plt.get_fignums()
