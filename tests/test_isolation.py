"""Calls leave the process as they found it, and what others have set in it changes no number."""

import inspect
import logging
import random
import subprocess
import sys
import warnings

import lightning  # noqa: F401 (its loggers are there before the first call)
import numpy as np
import pandas as pd
import pytest
import torch
from scipy import sparse

import tcellmil as tm
from tcellmil._isolation import LOGGERS, isolated

QUICK = {"cv": 2, "training": {"max_epochs": 2, "accelerator": "cpu"}, "n_boot": 10, "progress": False}
KEYS = {"sample_key": "patient", "label_key": "response"}


def model_of(adata):
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response", use_rep="X_pca")
    return tm.model.TcellMIL(adata, compression="autoencoder", n_hidden=6, n_latent=4, dropout=0.2)


def train(adata):
    model = model_of(adata)
    model.train(cv=2, max_epochs=2, max_epochs_ae=2, progress=False, accelerator="cpu")
    adata.uns["model"] = [model.predict(), model.get_attention().to_frame(), model.get_latent_representation()]


def benchmark(adata):
    methods = ["svc", "random_forest", "logistic_regression"]
    options = {"methods": methods, "use_reps": "X_regulons", "cv": 2, "n_boot": 10, "n_permutations": 10}
    tm.tl.benchmark(adata, **KEYS, **options, progress=False)


def predict(adata):
    model = model_of(adata)
    model.train(max_epochs=2, max_epochs_ae=2, progress=False, accelerator="cpu")
    new = adata.copy()
    new.obs["patient"] = "new " + new.obs["patient"].astype(str)
    tm.tl.predict(new, model, key_added="new")
    adata.uns["new"] = new.uns["new"]["predictions"]


VERBS = {
    "fit_mil": lambda a: tm.tl.fit_mil(a, **KEYS, use_rep="X_pca", key_added="again", **QUICK),
    "train": train,
    "predict": predict,
    "benchmark": benchmark,
    "permutation_test": lambda a: tm.tl.permutation_test(a, 2, progress=False),
    "perturb": lambda a: tm.tl.perturb(a, progress=False),
    "shap of bags": lambda a: tm.tl.shap(a, level="bag", background=20, progress=False),
    "shap of cells": lambda a: tm.tl.shap(a, level="cell", background=20, n_samples=4, progress=False),
    "attention_enrichment": lambda a: tm.tl.attention_enrichment(a, "cell_type", n_permutations=20),
    "attention_correlation": tm.tl.attention_correlation,
    "attention_stability": tm.tl.attention_stability,
    "batch_effect": lambda a: tm.tl.batch_effect(a, "cohort", use_reps=["X_regulons"], n_init=2),
}
#: The same with something that is refused.
REFUSED = {
    "fit_mil": lambda a: tm.tl.fit_mil(a, **KEYS, cv=1000),
    "train": lambda a: model_of(a).train(cv=1000),
    "benchmark": lambda a: tm.tl.benchmark(a, **KEYS, methods=["nothing"]),
    "permutation_test": lambda a: tm.tl.permutation_test(a, 0),
    "perturb": lambda a: tm.tl.perturb(a, n_mad=-1),
    "shap": lambda a: tm.tl.shap(a, level="organ"),
    "attention_enrichment": lambda a: tm.tl.attention_enrichment(a, "nothing"),
    "attention_stability": lambda a: tm.tl.attention_stability(a, n_top=0),
    "batch_effect": lambda a: tm.tl.batch_effect(a, "nothing"),
}


def states():
    """What is global, as plain values."""
    loggers = [(log.level, tuple(log.handlers), log.propagate) for log in map(logging.getLogger, LOGGERS)]
    state = np.random.get_state(legacy=False)
    return {
        "python": random.getstate(),
        "numpy": (state["bit_generator"], state["state"]["key"].tolist(), state["state"]["pos"], state["has_gauss"]),
        "torch": torch.get_rng_state().tolist(),
        "torch's defaults": (torch.get_default_dtype(), torch.is_inference_mode_enabled(), torch.is_grad_enabled()),
        "errors": np.geterr(),
        "warnings": list(warnings.filters),
        "loggers": loggers,
    }


def numbers(value, where=""):
    """Arrays of numbers in what a verb wrote, by place, without the record of the call."""
    if isinstance(value, dict):
        for key, part in value.items():
            yield from numbers(part, f"{where}/{key}") if key != "params" else ()
    elif isinstance(value, list):
        yield from numbers(dict(enumerate(value)), where)
    elif isinstance(value, pd.DataFrame):
        for column in value.select_dtypes("number"):
            if column != "seconds":
                yield f"{where}/{column}", value[column].to_numpy()
    elif sparse.issparse(value):
        yield where, value.toarray()
    elif isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        yield where, value


def results(adata, verb):
    """Numbers after a verb ran on a copy."""
    adata = adata.copy()
    VERBS[verb](adata)
    return dict(numbers({"obs": adata.obs, "obsm": dict(adata.obsm), "uns": dict(adata.uns)}))


@pytest.fixture
def global_states_of_others():
    """States that are nobody's default, and which a call must not touch."""
    before = random.getstate(), np.random.get_state(), torch.get_rng_state()
    random.seed(11)
    np.random.seed(12)
    torch.manual_seed(13)
    np.random.standard_normal()  # leaves half a pair
    levels = [logging.getLogger(name).level for name in LOGGERS]
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.CRITICAL)
    yield
    random.setstate(before[0])
    np.random.set_state(before[1])
    torch.set_rng_state(before[2])
    for name, level in zip(LOGGERS, levels, strict=True):
        logging.getLogger(name).setLevel(level)


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_leaves_global_states_and_takes_nothing_from_them(verb, fitted, global_states_of_others):
    before = states()
    plain = results(fitted, verb)
    assert states() == before
    torch.set_default_dtype(torch.float64)
    random.seed(1)
    np.random.seed(2)
    torch.manual_seed(3)
    try:
        with torch.inference_mode(), np.errstate(all="raise"), torch.autocast("cpu", torch.bfloat16):
            before = states()
            other = results(fitted, verb)
            assert states() == before
    finally:
        torch.set_default_dtype(torch.float32)
    assert len(plain) > 1 and plain.keys() == other.keys()
    for place, values in plain.items():
        np.testing.assert_array_equal(values, other[place], err_msg=place)
        assert values.dtype == other[place].dtype, place


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize("verb", REFUSED)
def test_an_error_leaves_global_states_too(verb, fitted, global_states_of_others):
    before = states()
    with pytest.raises((KeyError, ValueError, TypeError)):
        REFUSED[verb](fitted)
    assert states() == before


def upset():
    """Change everything that is global."""
    random.seed(0)
    np.random.seed(0)
    np.seterr(all="raise")
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float16)
    torch.set_grad_enabled(False)
    warnings.simplefilter("error")
    for name in LOGGERS:
        logging.getLogger(name).setLevel(logging.DEBUG)
        logging.getLogger(name).addHandler(logging.NullHandler())
        logging.getLogger(name).propagate = not logging.getLogger(name).propagate


@pytest.mark.parametrize("error", [None, ValueError, KeyboardInterrupt, SystemExit])
def test_whatever_a_function_changes_is_put_back(error, global_states_of_others):
    @isolated
    def function():
        upset()
        if error is not None:
            raise error("stop")
        return "done"

    before = states()
    if error is None:
        assert function() == "done"
    else:
        with pytest.raises(error, match="stop"):
            function()
    assert states() == before


@pytest.mark.parametrize(("cause", "raised"), [(KeyboardInterrupt(), KeyboardInterrupt), (None, SystemError)])
def test_an_interrupt_that_native_code_wraps_is_an_interrupt(cause, raised):
    @isolated
    def function():
        try:
            raise SystemError("returned a result with an exception set") from cause
        except SystemError as error:
            raise SystemError("and again") from error

    with pytest.raises(raised):
        function()


def test_inside_torch_has_its_defaults():
    @isolated
    def look():
        tensor = torch.ones(2, requires_grad=True)
        (3 * tensor).sum().backward()
        return tensor.dtype, tensor.device.type, tensor.grad.tolist(), (tensor[None] @ tensor[:, None]).dtype

    expected = (torch.float32, "cpu", [3.0, 3.0], torch.float32)
    torch.set_default_dtype(torch.float64)
    try:
        with torch.inference_mode(), torch.device("meta"), torch.autocast("cpu", torch.bfloat16):
            assert look() == expected
        with torch.no_grad():
            assert look() == expected
    finally:
        torch.set_default_dtype(torch.float32)


def test_what_is_decorated_stays_what_it_was():
    assert tm.tl.shap.__name__ == "shap" and tm.tl.shap.__module__.startswith("tcellmil.tl")
    assert list(inspect.signature(tm.tl.fit_mil).parameters)[:3] == ["adata", "sample_key", "label_key"]
    assert "Predict each patient's outcome" in tm.tl.fit_mil.__doc__


def test_a_warning_of_a_verb_names_the_line_of_the_caller(fitted):
    single = fitted.copy()
    tm.tl.fit_mil(single, **KEYS, **QUICK, n_seeds=1)
    with pytest.warns(UserWarning, match="nothing to compare across seeds") as caught:
        tm.tl.attention_stability(single)
    own = [warning for warning in caught if "across seeds" in str(warning.message)]
    assert own[0].filename == __file__


def run(code):
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()


def test_torch_is_not_imported_for_it():
    code = "import sys; from tcellmil._isolation import isolated; isolated(print)(); print('torch' in sys.modules)"
    assert run(code) == ["False"]
