"""What no fit has is refused in words, whether the checksum is right or not, before anything is built from it."""

import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.model._state import from_state

ATTENTION = "classifier.attention.v.weight"
DAMAGED = "^the fitted model is damaged or was changed by hand: .*"


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        (ATTENTION, lambda w: w * np.nan, r"v.weight holds \d+ NaN or infinite values"),
        (
            ATTENTION,
            lambda w: w[..., :3],
            r"v.weight is float32 \(16, 6, 3\), the configuration has .* \(16, 6, 4",
        ),
        (ATTENTION, lambda w: w.astype("f8"), r"v.weight is float64 .*, the configuration has float32"),
        (ATTENTION, lambda w: w.astype(object), r"v.weight is text .*, the configuration has float32"),
        (ATTENTION, lambda w: w.tolist(), r"v.weight is of type list, not an array"),
        ("scaling.scale", lambda w: -w, r"scaling.scale holds -0.5, all of its values must be positive"),
        (
            "scaling.scale",
            lambda w: w * 2,
            r"scaling of 'X_regulons' is 'unit_interval', its .* not 0.5",
        ),
        ("scaling.loc", lambda w: w[0], r"the array weights/scaling.loc is float32 \(6,\), expected two axes"),
        ("scaling.loc", lambda w: w[:, :5], r"scaling.loc is float32 \(1, 5\), schema.n_features adds up to 6"),
        ("encoder.spread", lambda w: w * 0, r"encoder.spread holds 0, all of its values must be positive"),
        (
            "encoder_of_replica",
            lambda w: w + 1,
            r"is \[.*\], each replica has an encoder of its own",
        ),
        ("encoder_of_replica", lambda w: w.astype("u8") + np.uint64(2**63), r"holds \d+, which is out of range"),
    ],
)
def test_weights_that_no_fit_has_are_refused(fitted, state, signed, name, change, message):
    state["weights"][name] = change(state["weights"][name])
    if isinstance(state["weights"][name], np.ndarray):
        signed(state)
    with pytest.raises(ValueError, match=DAMAGED + message):
        tm.get.model(fitted)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s["weights"].pop(ATTENTION), r"arrays \['weights/classifier.attention.v.weight'\] are missing"),
        (lambda s: s["weights"].update(extra=np.ones(1)), r"arrays \['weights/extra'\] are not known"),
        (lambda s: s["splits"].update(weights=np.ones((16, 8))), r"arrays \['splits/weights'\] are not known"),
        (lambda s: s["weights"].pop("scaling.loc"), r"the array weights/scaling.loc is missing"),
        (
            lambda s: s["splits"].update(train=s["splits"]["train"][0]),
            r"train is bool \(8,\), expected two axes",
        ),
        (lambda s: s["weights"].update({3: np.ones(1)}), r"weights has the name 3, which is no text"),
        (lambda s: s["splits"]["patients"].__setitem__(0, None), r"splits/patients holds None, which is no text"),
        (lambda s: s["splits"]["fold"].__setitem__(0, "x" * 3000), r"a text of 3000 characters, at most 2100 are read"),
        (lambda s: s.update(splits=[]), "splits is of type list, not a dict of arrays"),
        (lambda s: s.update(config=None), "config is of type NoneType, not text"),
        (lambda s: s.update(config="{" * 100_000), "config cannot be read as JSON"),
        (lambda s: s.update(config='{"format": NaN}'), "NaN is no number of JSON"),
        (lambda s: s.update(config='{"format": 3, "format": 3}'), "a name stands twice"),
        (lambda s: s.update(config="[]"), r"config holds \[\], not the parts"),
        (lambda s: s.update(config=" " * 3_000_000), r"config has 3000000 characters, at most 2014000 are read"),
        (lambda s: s.pop("checksum"), r"\['checksum'\] is missing"),
        (lambda s: s.update(checksum=np.ones(3)), "its checksum is .* was stored"),
    ],
)
def test_states_of_other_parts_are_refused(fitted, state, change, message):
    change(state)
    with pytest.raises(ValueError, match=DAMAGED + message):
        tm.get.model(fitted)


@pytest.mark.parametrize("other", [None, [], "text", 3])
def test_what_is_no_state_is_refused(other):
    with pytest.raises(ValueError, match=f"it is of type {type(other).__name__}, not a dict of"):
        from_state(other)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["training"], "text", r"training is 'text', not a dict with \['max_epochs'"),
        (["training", "extra"], 1, r"training has \['extra'\], which is not known"),
        (["training", "max_epochs"], "5", r"training.max_epochs is '5', expected a whole number or null"),
        (["training", "lr"], -1, "training: lr=-1 must be positive"),
        (["training", "lr"], [0.1], r"training.lr is .*0.1.*, expected a finite number"),
        (["training", "encoder"], "mine", "training: encoder='mine' is not known"),
        (["training", "n_seeds"], 17, "training.n_seeds is 17, the splits have 16 replicas"),
        (["training", "n_seeds"], 0, "training.n_seeds is 0, expected at least 1"),
        (["training", "seed"], 5, r"splits: seeds are \['0', '1'\], not 5 to 6"),
        (["training", "calibration"], "mine", "training.calibration is 'mine', not one of '', 'spread', 'temperature'"),
        (["training", "ensemble"], "mine", "training.ensemble is 'mine', not one of '', 'average', 'best'"),
        (["networks"], [], r"networks is \[\], expected a list of 1 to 100"),
        (["networks"], {"0": 1}, "networks is .*, expected a list of 1 to 100"),
        (["training", "calibration"], "temperature", r"arrays \['weights/temperature'\] are missing"),
        (["networks", 0, "n_attention"], 20_000_000, r"the configuration has float32 \(16, 6, 20000000\)"),
        (["networks", 0, "n_attention"], 10**400, r"networks\[0\].n_attention is 1000.*000, expected a whole number"),
        (["networks", 0, "dropout"], "0.1", r"networks\[0\].dropout is '0.1', expected a finite number"),
        (["networks", 0, "pooling"], "sum", r"networks\[0\]: pooling='sum' is not known"),
        (["networks", 0, "compression"], "auto", r"networks\[0\].compression is 'auto', which is for fitting"),
        (["networks", 0, "compression"], None, r"arrays \['weights/encoder.components'\] are not known"),
        (["n_cohorts"], 3, "n_cohorts is 3, the schema has 2"),
        (["n_classes"], 3, r"config has \['n_classes'\], which is not known"),
        (["schema", "outcome", "kind"], "colour", "schema.outcome is .*'colour'.*, not of a kind in"),
        (["schema", "outcome", "names"], ["NR", "R", "S"], "classifier.linear.weight is float32 .* has float32"),
        (
            ["schema", "outcome", "names"],
            ["R", "NR"],
            r"\['R', 'NR'\] are not in the order of positive_class=None",
        ),
        (["schema", "outcome", "names"], ["R"], r"classes \['R'\] must be two or more different names"),
        (["schema", "outcome", "names"], "R", "schema.outcome.names is 'R', expected a list of text"),
        (["schema", "outcome", "label_key"], "cell_type", "label_key='response', the outcome has 'cell_type'"),
        (["schema", "fields", "sample_key"], None, "schema.fields.sample_key is None, expected text"),
        (["schema", "fields", "positive_class"], "NR", r"are not in the order of positive_class='NR'"),
        (["schema", "fields", "outcome"], "ordinal", "the outcome is 'classes', outcome='ordinal'"),
        (["schema", "fields", "batch_key"], None, "batch_key is None, with 2 cohorts"),
        (["schema", "fields", "use_rep"], "X_regulons", "must each be a list"),
        (["schema", "fields", "use_rep"], ["X_pca"] * 2, r"use_rep names a representation twice"),
        (["schema", "fields", "scaling"], ["auto"], "scaling='auto' is not known"),
        (["schema", "fields", "scaling"], [], "1 representations, with 0 scalings, 1 numbers of features"),
        (["schema", "fields", "group_key"], "patient", None),
        (
            ["schema", "fields", "categorical_covariate_keys"],
            ["sex"],
            r"\['sex'\] have 0 lists of categories",
        ),
        (["schema", "cohorts"], ["B", "A"], r"cohorts \['B', 'A'\] are not different names in alphabetical order"),
        (["schema", "cohorts"], ["A", 3], r"schema.cohorts is \['A', 3\], expected a list of text"),
        (["schema", "categories"], [[]], r"covariates \[\] have 1 lists of categories"),
        (["schema", "categories"], 3, "schema.categories is 3, expected a list"),
        (["schema", "features"], ["a"], "there are 6 features with 1 names"),
        (["schema", "n_features"], 6, "schema.n_features is 6, expected a list"),
        (["schema", "n_features"], [0], "schema.n_features is 0, expected at least 1"),
        (["schema", "n_features"], [2**60], r"schema.n_features is \d+, expected a whole number"),
        (["training", "cv"], "cohort", r"splits: seed 0 has the folds \['P0'.*not \[\]"),
        (["training", "cv"], "3", r"splits: seed 0 has the folds \['P0'.*not \['fold 0', 'fold 1', 'fold 2'\]"),
        (["training", "cv"], "999999999", "splits: cv=999999999 folds has 16 replicas"),
        (["training", "cv"], "none", r"splits: seed 0 has the folds \['P0'.*not \['all'\]"),
        (["training", "cv"], "leave_pair_out", r"splits: fold 'P0' (neither trains|holds out)"),
        (["training", "cv"], "loo", "splits: fold 'P.' neither trains on nor holds out patients"),
    ],
)
def test_configurations_that_no_fit_has_are_refused(fitted, state, configure, path, value, message):
    right = tm.get.model(fitted).predict()
    configure(state, *path, to=value)
    if message is None:  # what changes no number
        return pd.testing.assert_frame_equal(tm.get.model(fitted).predict(), right)
    with pytest.raises(ValueError, match=DAMAGED + message):
        tm.get.model(fitted)


def hold_out_more(splits):
    splits["test"][0, 1], splits["train"][0, 1] = True, False


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(train=s["test"], test=s["train"]), r"fold 'P0' holds out \['P\d'.*, not \['P0'\]"),
        (lambda s: s.update(test=s["test"] & False), r"fold 'P0' holds out \[\], not \['P0'\]"),
        (lambda s: s["train"].__setitem__(0, True), r"fold 'P0' trains on \['P0'\], whom it holds out"),
        (lambda s: s["train"].__setitem__(0, False), "fold 'P0' trains on nobody"),
        (hold_out_more, r"fold 'P0' holds out \['P0', 'P1'\], not \['P0'\]"),
        (lambda s: s["fold"].__setitem__(0, "P9"), "fold 'P9' is not the name of a patient"),
        (lambda s: s["fold"].__setitem__(0, "P1"), r"fold 'P1' holds out \['P0'\], not \['P1'\]"),
        (lambda s: s["patients"].__setitem__(0, "P1"), r"patients \['P1', 'P1', .* are not different names"),
        (lambda s: s["patients"].__setitem__(7, "A"), "patients .* are not different names in alphabetical order"),
        (lambda s: s["seed"].__setitem__(0, 9), r"seeds are \['0', '1', '9'\], not 0 to 1"),
        (lambda s: s["seed"].__setitem__(0, 1), r"seed 0 holds out patients \['P0'\] not once"),
    ],
)
def test_splits_that_hold_out_others_than_they_say_are_refused(fitted, state, signed, change, message):
    change(state["splits"])
    signed(state)
    with pytest.raises(ValueError, match=f"{DAMAGED}splits: {message}"):
        tm.get.model(fitted)


@pytest.mark.parametrize(
    ("kind", "path", "value", "message"),
    [
        ("autoencoder", ["schema", "fields", "use_rep"], ["X_pca", "X_regulons"], r"not of the representation 'pca'"),
        ("autoencoder", ["schema", "features"], [], "there are 11 features with 0 names"),
        ("autoencoder", ["networks", 0, "n_embed"], None, "instance_weight needs pooling='attention' and n_embed"),
        ("ordinal", ["schema", "fields", "class_order"], ["III", "II", "I"], "are not in the order of class_order"),
        ("ordinal", ["training", "calibration"], "temperature", r"arrays \['weights/temperature'\] are missing"),
        ("ordinal", ["n_covariates"], 2, "n_covariates is 2, the schema has 1"),
        ("continuous", ["training", "calibration"], "temperature", "nothing but classes is calibrated"),
        ("continuous", ["schema", "categories"], [["m", "f"]], "are not different names in alphabetical order"),
        ("continuous", ["networks", 0, "instance_weight"], 1, "needs pooling='attention' and n_embed"),
        ("whole", ["training", "cv"], "loo", "fold 'all' is not the name of a patient"),
    ],
)
def test_other_kinds_of_fits_are_checked_too(fits, configure, kind, path, value, message):
    state = dict(fits[kind][1])
    with pytest.raises(ValueError, match=message):
        from_state(configure(state, *path, to=value))


def test_weights_of_patients_and_units_of_numbers_are_checked(fits, signed):
    state = dict(fits["continuous"][1])
    splits = state["splits"]
    for weights in (-splits["weights"], splits["weights"] + 1):
        with pytest.raises(ValueError, match="splits/weights are negative, or not 0 for patients who are"):
            from_state(signed(state | {"splits": splits | {"weights": weights}}))
    units = {"classifier.head.scale": -state["weights"]["classifier.head.scale"]}
    with pytest.raises(ValueError, match=r"head.scale holds -.*, all of its values must be positive"):
        from_state(signed(state | {"weights": state["weights"] | units}))
