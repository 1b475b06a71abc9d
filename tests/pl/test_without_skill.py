"""Pictures of a model that may know nothing say so, and mark nothing as significant."""

import warnings

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.text import Text

from tcellmil.pl._palette import GREY

LINE = "The model's AUROC 0.52 [0.31, 0.73] includes 0.5: it may know nothing"
DESCRIBING = ["perturb", "perturb_dose", "shap", "shap on embedding", "regulators"]
DESCRIBING += ["attention_correlation", "attention_enrichment"]
pytestmark = pytest.mark.filterwarnings("ignore:the model of 'tcellmil' may know nothing")


@pytest.fixture
def at_chance(complete):
    adata = complete.copy()
    metrics = adata.uns["tcellmil"]["metrics"]
    metrics.loc[metrics["metric"] == "auroc", ["value", "ci_low", "ci_high"]] = 0.52, 0.31, 0.73
    return adata


def texts(figure):
    return [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]


def words(figure):
    return " ".join(" ".join(text.get_text() for text in texts(figure)).split())


@pytest.mark.parametrize("name", DESCRIBING)
@pytest.mark.parametrize("title", [None, "A title of my own"])
def test_the_line_is_above_the_picture_and_covers_nothing(at_chance, draw, name, title):
    figure = draw(at_chance, name, show=False, title=title)[0].figure
    assert LINE in words(figure)
    assert figure.get_suptitle().startswith(title or LINE[:20])
    figure.draw_without_rendering()
    box = figure._suptitle.get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width and box.y1 <= figure.bbox.height
    for panel in figure.axes:
        assert not box.overlaps(panel.get_tightbbox())


@pytest.mark.parametrize("name", DESCRIBING)
def test_nothing_is_marked_as_significant(at_chance, draw, name):
    found = words(draw(at_chance, name, show=False)[0].figure)
    assert "*" not in found and "enriched" not in found
    assert "significant" not in found and "p <" not in found


@pytest.mark.parametrize("name", DESCRIBING)
def test_a_model_that_is_better_has_no_such_line(complete, draw, name):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*may know nothing")
        figure = draw(complete, name, show=False)[0].figure
    assert "may know nothing" not in words(figure) and figure.get_suptitle() == ""


@pytest.mark.parametrize("title", [None, "A title of my own"])
def test_on_axes_of_the_caller_the_line_is_in_the_title(at_chance, draw, title):
    figure, axes = plt.subplots(1, 2, figsize=(12, 4))
    draw(at_chance, "perturb", ax=axes, title=title)
    assert " ".join(axes[0].get_title().split()).endswith(LINE) and "know nothing" not in axes[1].get_title()
    assert axes[0].get_title().startswith(title or "Upregulated in silico")
    assert figure.get_suptitle() == ""


@pytest.mark.parametrize("name", ["perturb", "perturb_dose"])
def test_boxes_and_points_are_filled_alike(at_chance, draw, name):
    for panel in draw(at_chance, name, show=False):
        faces = [box.get_facecolor() for box in panel.patches]
        faces += [line.get_markerfacecolor() for line in panel.lines if line.get_marker() == "o"]
        assert faces and not [face for face in faces if face in ("white", (1.0, 1.0, 1.0, 1.0))]


def test_the_volcano_is_grey_and_names_the_strongest(at_chance, draw):
    (panel,) = draw(at_chance, "attention_correlation", show=False, n_top=3)
    table = at_chance.uns["tcellmil_attention_correlation"]["regulons"].set_index("regulon")["tau_within"]
    strongest = set(table.abs().nlargest(3).index)
    named = {text.get_text() for text in panel.texts if text.get_text()}
    assert len(named) == 3 and {name.split("…")[0] for name in named} <= {
        name[: len(short)] for name in strongest for short in (n.split("…")[0] for n in named)
    }
    colors = np.unique(panel.collections[0].get_facecolors()[:, :3], axis=0)
    np.testing.assert_allclose(colors, [plt.matplotlib.colors.to_rgb(GREY)])


def test_pictures_of_how_good_a_model_is_have_no_such_line(at_chance, draw):
    for name in ("predictions", "metrics", "roc", "permutation_test"):
        assert "may know nothing" not in words(draw(at_chance, name, show=False)[0].figure)
