"""Verbs and tables that describe a model say where the model may know nothing."""

import warnings

import anndata as ad
import numpy as np
import pytest

import tcellmil as tm

VERBS = {
    "perturb": {"progress": False},
    "shap": {"background": 60, "progress": False},
    "attention_enrichment": {"groupby": "cell_type", "n_permutations": 20},
    "attention_correlation": {},
}
PARTS = [
    *(("perturb", part) for part in ("patients", "stats")),
    *(("shap", part) for part in ("patients", "difference", "stats", "additivity")),
    *(("attention_enrichment", part) for part in ("patients", "stats")),
    ("attention_correlation", None),
]
DOUBT = "AUROC 0.52 [0.31, 0.73] includes 0.5"
WARNED = r"the model of 'tcellmil' may know nothing of the outcome: AUROC 0\.52 \[0\.31, 0\.73\] includes 0\.5"


def with_auroc(adata, value, low, high):
    metrics = adata.uns["tcellmil"]["metrics"]
    metrics.loc[metrics["metric"] == "auroc", ["value", "ci_low", "ci_high"]] = value, low, high
    return adata


@pytest.fixture
def at_chance(fitted):
    return with_auroc(fitted, 0.52, 0.31, 0.73)


@pytest.fixture
def skilled(fitted):
    return with_auroc(fitted, 0.8, 0.6, 0.95)


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_warns_and_its_params_keep_why(at_chance, verb, tmp_path):
    with pytest.warns(UserWarning, match=WARNED):
        getattr(tm.tl, verb)(at_chance, **VERBS[verb])
    at_chance.write_h5ad(tmp_path / "result.h5ad")
    place = {"perturb": "perturbation"}.get(verb, verb)
    for adata in (at_chance, ad.read_h5ad(tmp_path / "result.h5ad")):
        assert adata.uns[f"tcellmil_{place}"]["params"]["no_skill"] == DOUBT


@pytest.fixture
def described(at_chance):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for verb, options in VERBS.items():
            getattr(tm.tl, verb)(at_chance, **options)
    return at_chance


@pytest.mark.parametrize(("verb", "part"), PARTS)
def test_a_table_warns_and_carries_why_through_selections(described, verb, part):
    with pytest.warns(UserWarning, match=WARNED) as met:
        table = getattr(tm.get, verb)(described, *([part] if part else []))
    assert met[0].filename == __file__
    assert table.attrs == {"no_skill": DOUBT} and table.head(2).reset_index().attrs == {"no_skill": DOUBT}


def test_regulators_carry_it_too(described):
    with pytest.warns(UserWarning, match=WARNED):
        table = tm.get.regulators(described)
    assert table.attrs == {"no_skill": DOUBT} and len(table) == 6


def test_a_result_under_a_name_of_its_own_is_of_its_fit(at_chance):
    with pytest.warns(UserWarning, match=WARNED):
        tm.tl.perturb(at_chance, regulons="TF0(+)", key_added="mine", progress=False)
    with pytest.warns(UserWarning, match=WARNED):
        assert tm.get.perturb(at_chance, result_key="mine").attrs == {"no_skill": DOUBT}


@pytest.mark.parametrize("verb", VERBS)
def test_nothing_is_said_of_a_model_that_is_better(skilled, verb):
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*may know nothing")
        getattr(tm.tl, verb)(skilled, **VERBS[verb])
        assert getattr(tm.get, verb)(skilled).attrs == {"no_skill": ""}


OF_NEW = {"perturb": "model", "shap": "model"}


@pytest.fixture
def new(make_cohort):
    return make_cohort(n_patients=6, seed=1, prefix="N")


def described_with(verb, new, model):
    options = VERBS[verb] | ({OF_NEW[verb]: model} if verb in OF_NEW else {})
    getattr(tm.tl, verb)(new, **options)
    return getattr(tm.get, verb)(new)


@pytest.mark.parametrize("verb", VERBS)
def test_new_patients_are_judged_by_their_own_metrics(skilled, new, verb):
    tm.tl.predict(new, skilled)
    with_auroc(new, 0.52, 0.31, 0.73)
    with pytest.warns(UserWarning, match=WARNED + " in new patients.*get.metrics of the data that tl.fit_mil"):
        assert described_with(verb, new, skilled).attrs == {"no_skill": DOUBT + " in new patients"}
    with_auroc(new, 0.8, 0.6, 0.95)
    with_auroc(skilled, 0.52, 0.31, 0.73)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*may know nothing")
        assert described_with(verb, new, skilled).attrs == {"no_skill": ""}


@pytest.mark.parametrize("known", [{}, {"N0": "NR", "N2": "NR"}, {"N1": "R"}], ids=["none", "one class", "one patient"])
@pytest.mark.parametrize("verb", VERBS)
@pytest.mark.filterwarnings("ignore:of the .* new patients with a known outcome")
def test_new_patients_whose_outcomes_tell_nothing_are_not_judged(at_chance, new, verb, known):
    new.obs["response"] = new.obs["patient"].map(known).astype(object)
    tm.tl.predict(new, at_chance)
    with warnings.catch_warnings():
        warnings.filterwarnings("error", message=".*may know nothing")
        assert described_with(verb, new, at_chance).attrs == {"no_skill": ""}


def test_a_picture_of_new_patients_says_where_the_doubt_is(skilled, new):
    tm.tl.predict(new, skilled)
    with_auroc(new, 0.52, 0.31, 0.73)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        tm.tl.perturb(new, model=skilled)
        figure = tm.pl.perturb(new, show=False)[0].figure
    assert f"The model's {DOUBT} in new patients: it may know nothing" in " ".join(figure.get_suptitle().split())


@pytest.mark.parametrize(
    ("verb", "words", "part", "size"),
    [
        ("shap", "largest median |SHAP| of a patient: ", "stats", "median_abs"),
        ("attention_enrichment", "largest median differences of relative attention: ", "stats", "median_difference"),
    ],
)
def test_the_closing_line_names_sizes_as_the_table_is_led(skilled, verb, words, part, size, caplog):
    with caplog.at_level("INFO", logger="tcellmil"):
        getattr(tm.tl, verb)(skilled, **VERBS[verb])
    table = getattr(tm.get, verb)(skilled, part)
    sign = "" if verb == "shap" else "+"
    named = ", ".join(f"{name} {value:{sign}.2g}" for name, value in table[size].head(3).items())
    assert words + named in caplog.text and "padj" not in caplog.text
    assert (np.diff(table[size].abs().dropna()) <= 0).all()


@pytest.mark.parametrize(
    ("label", "expected"), [("random", True), ("response", False)], ids=["random labels", "a planted effect"]
)
def test_a_fit_is_judged_by_its_own_interval(make_cohort, fit_quickly, label, expected):
    adata = make_cohort(n_patients=24)
    adata.obs["random"] = adata.obs["patient"].map({f"P{i}": "ab"[i // 2 % 2] for i in range(24)})
    adata.obs["response"] = adata.obs[label].astype(str)
    fit_quickly(adata, n_boot=200)
    with warnings.catch_warnings(record=True) as met:
        warnings.simplefilter("always")
        tm.tl.perturb(adata, progress=False)
    low = tm.get.metrics(adata).loc["auroc", "ci_low"]
    assert (low <= 0.5) == expected == any("may know nothing" in str(warning.message) for warning in met)
