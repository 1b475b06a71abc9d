"""A fitted model opens from every kind of file; damaged, it gives the same numbers or is refused."""

import json

import anndata as ad
import hypothesis
import numpy as np
import pandas as pd
import pytest

import tcellmil as tm
from tcellmil.model._checksum import checksum_of
from tcellmil.model._state import from_state

SETTINGS = hypothesis.settings(
    max_examples=67, database=None, deadline=None, derandomize=True, suppress_health_check=list(hypothesis.HealthCheck)
)
ATTENTION = "classifier.attention.v.weight"


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["classes", "autoencoder", "continuous"])
def test_200_damaged_states_open_to_the_same_numbers_or_are_refused(damage, fits, kind):
    adata, state = fits[kind]
    judge = damage.Judge(adata, state)

    @SETTINGS
    @hypothesis.given(damage.damaged_states(damage.Damaged(state, kind)))
    def examine(damaged):
        judge.state(damaged)

    examine()
    assert judge.outcomes["refused"] > 40 and judge.outcomes["same"] > 0


@pytest.mark.slow
def test_damaged_folders_open_to_the_same_numbers_or_are_refused(damage, fits, tmp_path):
    adata, state = fits["classes"]
    tm.model.TcellMIL.from_state(state, adata).save(tmp_path / "model")
    judge = damage.Judge(adata, state)
    (tmp_path / "scratch").mkdir()

    @SETTINGS
    @hypothesis.given(damage.damaged_folders(tmp_path / "model", tmp_path / "scratch"))
    def examine(damaged):
        judge.folder(damaged)

    examine()
    assert judge.outcomes["refused"] > 30 and judge.outcomes["same"] > 0


@pytest.mark.parametrize("kind", ["classes", "autoencoder", "continuous", "ordinal", "whole"])
def test_a_state_opens_from_every_kind_of_file(fits, kind, tmp_path):
    adata, state = fits[kind]
    model = from_state(state)
    right = model.out_of_fold(model.read_again(adata)[1]).probabilities
    adata = adata.copy()
    adata.uns["fit"] = state
    adata.write_h5ad(tmp_path / "a.h5ad")
    adata.write_zarr(tmp_path / "a.zarr")
    tm.model.TcellMIL.from_state(state).save(tmp_path / "folder")
    indented = state | {"config": json.dumps(json.loads(state["config"]), indent=3)}
    for again in (
        tm.model.TcellMIL.load(tmp_path / "folder").to_state(),
        ad.read_h5ad(tmp_path / "a.h5ad").uns["fit"],
        ad.read_zarr(tmp_path / "a.zarr").uns["fit"],
        indented,
    ):
        opened = from_state(again)
        np.testing.assert_array_equal(opened.out_of_fold(opened.read_again(adata)[1]).probabilities, right)
        assert str(again["checksum"]) == state["checksum"]


def test_text_and_bytes_of_other_files_open(fitted, state):
    right = tm.get.model(fitted).predict()
    state["splits"]["patients"] = pd.array(state["splits"]["patients"].astype(str), dtype="string")
    state["splits"]["fold"] = state["splits"]["fold"].astype(str)
    state["splits"]["seed"] = state["splits"]["seed"].astype(">i4")
    state["weights"] = {name: w.astype(w.dtype.newbyteorder(">")) for name, w in state["weights"].items()}
    state["config"], state["checksum"] = np.array(state["config"]), np.str_(state["checksum"])
    pd.testing.assert_frame_equal(tm.get.model(fitted).predict(), right, check_exact=True)


def test_the_same_fit_has_the_same_checksum(make_cohort, fit_quickly):
    sums = []
    for seed in (0, 0, 1):
        adata = make_cohort()
        fit_quickly(adata, seed=seed, cv=2)
        sums.append(adata.uns["tcellmil"]["checksum"])
    assert sums[0] == sums[1] != sums[2]
    assert len(sums[0]) == 64 and set(sums[0]) <= set("0123456789abcdef")


def test_a_checksum_depends_on_every_value():
    config, weights = '{"a": [1, 2.5]}', {"w": np.arange(4.0), "v": np.arange(4.0).astype("f4")}
    splits = {"train": np.array([True, False]), "names": np.array(["ab", "c"], dtype=object), "seed": np.arange(2)}
    other = [
        ('{"a": [1, 2.6]}', weights, splits),
        (config, weights | {"w": weights["w"] + 1e-12}, splits),
        (config, weights | {"w": weights["w"].reshape(2, 2)}, splits),
        (config, weights | {"w": weights["v"], "v": weights["w"]}, splits),
        (config, weights | {"w": weights["w"].astype("f4")}, splits),
        (config, weights, splits | {"train": np.array([False, True])}),
        (config, weights, splits | {"names": np.array(["a", "bc"])}),
        (config, weights, splits | {"seed": np.arange(2) + 2**40}),
        (config, {"w": weights["w"]}, splits),
    ]
    right = checksum_of(config, weights, splits)
    assert len({right, *(checksum_of(*one) for one in other)}) == 1 + len(other)
    same = {name: values[::-1][::-1] for name, values in reversed(splits.items())}
    assert checksum_of(' {"a":\n[1,2.5]}', dict(reversed(weights.items())), same) == right


def test_a_value_changed_by_hand_is_found(fitted, state, signed):
    state["weights"][ATTENTION] = state["weights"][ATTENTION] * 1.01
    with pytest.raises(
        ValueError, match=r"changed by hand: its checksum is \w{12}\.\.\., '\w+.*\w+' was stored.*fit it"
    ):
        tm.get.model(fitted)
    signed(state)
    tm.get.model(fitted)  # it is no signature


def test_the_shapes_are_those_of_the_networks(fits):
    """An independent oracle of the table of shapes: the modules themselves."""
    for _, state in fits.values():
        stack = from_state(state).stack.members[0]
        found = {f"encoder.{name}": w.shape for name, w in stack.encoders.network.state_dict().items()}
        found |= {f"classifier.{name}": w.shape for name, w in stack._classifier.state_dict().items()}
        assert {name: tuple(shape) for name, shape in found.items()} == {
            name: w.shape for name, w in state["weights"].items() if name.startswith(("encoder.", "classifier."))
        }


@pytest.mark.parametrize(
    ("options", "grouped"),
    [
        ({"cv": "loo"}, False),
        ({"cv": "loo"}, True),
        ({"cv": "rebalanced_loo", "n_seeds": 2}, True),
        ({"cv": "leave_pair_out"}, False),
        ({"cv": "leave_pair_out"}, True),
        ({"cv": "cohort"}, False),
        ({"cv": 2, "n_seeds": 2, "seed": 7}, True),
        ({"cv": None}, True),
        ({"cv": [(["P0", "P1", "P2", "P3"], ["P4", "P5"]), (["P4", "P5", "P6", "P7"], [])]}, False),
        ({"cv": "sklearn"}, False),
        ({"cv": "own"}, False),
    ],
)
@pytest.mark.parametrize("unlabelled", [False, True])
def test_every_way_to_split_opens_again(make_cohort, options, grouped, unlabelled, tmp_path):
    from sklearn.model_selection import StratifiedShuffleSplit

    from tcellmil.cv import Splitter

    class Own(Splitter):
        name = "my own"

        def split(self, patients, seed=0):
            labelled = patients.labelled
            yield "x" * 200, labelled[1:], labelled[:1]
            yield "", labelled[:-1], labelled[-1:]

    adata = make_cohort(n_patients=16 if grouped else 10)
    number = adata.obs["patient"].str[1:].astype(int)
    adata.obs["person"] = "G" + (number // 4 * 2 + number % 2).astype(str) if grouped else adata.obs["patient"]
    if unlabelled:
        adata.obs["response"] = adata.obs["response"].astype(object).where(~adata.obs["patient"].isin(["P8", "P9"]))
    own = {"sklearn": StratifiedShuffleSplit(2, test_size=4, random_state=0), "own": Own()}
    cv = options["cv"]
    options = options | {"cv": own.get(cv, cv) if isinstance(cv, str) else cv}
    names = {"group_key": "person"} if grouped else {}
    names |= {"unlabelled": "predict"} if unlabelled else {}
    tm.model.TcellMIL.setup_anndata(adata, "patient", "response", "cohort", **names)
    model = tm.model.TcellMIL(adata, n_attention=2)
    model.train(progress=False, accelerator="cpu", max_epochs=1, **options)
    model.save(tmp_path / "model")
    again = tm.model.TcellMIL.load(tmp_path / "model", adata)
    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)


def test_options_given_as_numbers_of_numpy_are_stored(cohort, tmp_path):
    tm.model.TcellMIL.setup_anndata(cohort, "patient", "response", use_rep="X_small")
    model = tm.model.TcellMIL(cohort, n_attention=np.int64(2), dropout_mil=np.float32(0.5))
    model.train(cv=np.int64(2), max_epochs=1, lr=np.float32(0.1), progress=False, accelerator="cpu")
    model.save(tmp_path / "model")
    again = tm.model.TcellMIL.load(tmp_path / "model", cohort)
    pd.testing.assert_frame_equal(again.predict(), model.predict(), check_exact=True)


def test_a_count_written_as_a_decimal_opens(fitted, state, configure):
    right = tm.get.model(fitted).predict()
    configure(state, "networks", 0, "n_attention", to=4.0)
    pd.testing.assert_frame_equal(tm.get.model(fitted).predict(), right, check_exact=True)


def test_opening_takes_no_memory_of_a_size_that_a_file_names(fitted, state, damage, configure):
    """The script of the fault: a width of 2e7 took 1.9 GB."""
    judge = damage.Judge(fitted, state)
    for name in ("n_attention", "n_latent", "n_hidden"):
        other = configure(dict(state), "networks", 0, name, to=2 * 10**7)
        judge.state(damage.Damaged(other, name))
    assert judge.outcomes["refused"] >= 1
