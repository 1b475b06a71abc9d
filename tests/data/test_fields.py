"""The keys of a model: one declaration, one signature, one text, one check."""

import inspect
import json

import pytest

import tcellmil as tm
from tcellmil.data import Fields
from tcellmil.data._fields import takes_fields

NAMES = list(inspect.signature(Fields).parameters)
VERBS = [tm.tl.fit_mil, tm.model.TcellMIL.setup_anndata, tm.model.TcellMIL.setup_mudata]


@takes_fields()
def verb(adata, fields, *, copy=False):
    """Read.

    Parameters
    ----------
    adata
        Cells.
    %(fields)s
    copy
        Return a copy.
    """
    return adata, fields, copy


def test_each_field_is_an_argument_of_its_own():
    parameters = inspect.signature(verb).parameters
    assert list(parameters) == ["adata", *NAMES, "copy"]
    for name in NAMES:
        own, declared = parameters[name], inspect.signature(Fields).parameters[name]
        assert (own.kind, own.default) == (declared.kind, declared.default)
    assert NAMES[:4] == ["sample_key", "label_key", "batch_key", "use_rep"]
    assert all(parameters[name].kind is inspect.Parameter.KEYWORD_ONLY for name in NAMES[4:])


def test_arguments_become_fields_by_place_and_by_name():
    adata, fields, copy = verb("cells", "patient", "response", "cohort", unlabelled="predict", copy=True)
    assert (adata, copy) == ("cells", True)
    assert fields == Fields("patient", "response", "cohort", unlabelled="predict")
    assert verb(adata="cells", label_key="response", sample_key="patient")[1] == Fields("patient", "response")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("cells", "patient"), "label_key"),
        (("cells", "patient", "response", "cohort", "X_pca", "classes"), "too many positional"),
    ],
)
def test_arguments_that_do_not_fit_the_signature_are_refused(arguments, message):
    with pytest.raises(TypeError, match=message):
        verb(*arguments)
    with pytest.raises(TypeError, match="colour"):
        verb("cells", "patient", "response", colour="red")


def test_a_field_that_a_verb_does_not_offer_is_no_argument():
    @takes_fields(without=["scaling", "use_rep"])
    def narrow(adata, fields):
        """%(fields)s"""
        return fields

    assert set(inspect.signature(narrow).parameters) == {"adata", *NAMES} - {"scaling", "use_rep"}
    assert "scaling" not in narrow.__doc__.splitlines() and "sample_key" in narrow.__doc__
    with pytest.raises(TypeError, match="scaling"):
        narrow("cells", "patient", "response", scaling="auto")


def test_the_docstring_has_the_texts_of_all_fields_where_it_says_so():
    lines = inspect.cleandoc(verb.__doc__).splitlines()
    assert lines[lines.index("    Cells.") + 1] == "sample_key" and lines[-2:] == ["copy", "    Return a copy."]
    assert [line for line in lines if line in NAMES] == NAMES
    assert all(lines[lines.index(name) + 1].startswith("    ") for name in NAMES)
    assert "%(" not in verb.__doc__


@pytest.mark.parametrize("function", VERBS, ids=lambda function: function.__qualname__)
def test_verbs_offer_every_field_with_its_text(function):
    declared = inspect.cleandoc(Fields.__doc__).partition("Parameters\n----------\n")[2].partition("\n\nRaises")[0]
    assert declared in inspect.cleandoc(function.__doc__)
    assert set(NAMES) <= set(inspect.signature(function).parameters)


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ({"unlabelled": "drop"}, "unlabelled='drop' is not known; choose from 'error', 'predict'"),
        ({"outcome": "ordered"}, "outcome='ordered' is not known; choose from 'classes', 'ordinal', 'continuous'"),
        ({"batch_key": "response"}, "label_key and batch_key are both 'response'; they must be different columns"),
        ({"label_key": "patient"}, "sample_key and label_key are both 'patient'"),
        ({"outcome": "survival", "event_key": "response"}, "label_key and event_key are both 'response'"),
        ({"continuous_covariate_keys": "response"}, r"\['response'\] are named twice: as covariates, and as something"),
        ({"continuous_covariate_keys": "x", "categorical_covariate_keys": ["x", "y"]}, r"\['x'\] are named twice"),
        ({"event_key": "death"}, "event_key='death' is for outcome='survival', the outcome is 'classes'"),
        ({"class_order": ["I", "II"]}, r"class_order=\['I', 'II'\] is for outcome='ordinal', the outcome is 'classes'"),
        ({"outcome": "continuous", "positive_class": "R"}, "positive_class='R' is for outcome='classes', the outcome"),
    ],
)
def test_keys_that_contradict_each_other_are_named(keys, message):
    with pytest.raises(ValueError, match=message):
        Fields(**{"sample_key": "patient", "label_key": "response"} | keys)


def test_a_group_may_be_another_column_too():
    assert Fields("patient", "response", "cohort", group_key="cohort").group_key == "cohort"
    covariates = Fields("patient", "response", group_key="site", categorical_covariate_keys="site")
    assert covariates.categorical_covariate_keys == ("site",)


def test_covariates_are_one_or_several_each_once():
    fields = Fields("p", "r", continuous_covariate_keys="age", categorical_covariate_keys=["sex", "site", "sex"])
    assert (fields.continuous_covariate_keys, fields.categorical_covariate_keys) == (("age",), ("sex", "site"))
    assert Fields("p", "r").continuous_covariate_keys == ()
    assert list(fields.columns())[-3:] == [
        ("continuous_covariate_keys", "age"),
        ("categorical_covariate_keys", "sex"),
        ("categorical_covariate_keys", "site"),
    ]


def test_fields_come_back_from_json():
    options = {"outcome": "ordinal", "class_order": ("I", "II"), "scaling": ("standard", "unit_interval")}
    fields = Fields("p", "r", "c", ("X_a", "X_b"), continuous_covariate_keys=["age"], **options)
    assert Fields.from_dict(json.loads(json.dumps(fields.as_dict()))) == fields
    assert fields.given(without=["scaling"]).keys() == set(NAMES) - {"scaling"}


def test_an_option_of_the_training_is_sent_where_it_belongs(make_cohort):
    import tcellmil as tm

    message = (
        r"fit_mil got an unexpected .*'max_epochs'; options of the training go into training=\{'max_epochs': ...\}"
    )
    with pytest.raises(TypeError, match=message):
        tm.tl.fit_mil(make_cohort(), "patient", "response", max_epochs=2)
