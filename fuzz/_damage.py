"""Damaged states of fitted models, and what must become of them.

A state is opened to the same numbers, or refused by a check of tcellmil with a message, in under a second and 200 MB,
and nothing is run. Half of the damaged states carry a new, right checksum, so that the other checks must find the
damage. What only another fit could tell apart is then left out, because such a state is not damaged but of another
meaning: other finite weights (``other_values``, ``flip_byte``), weights in each other's place or rows in another order
(``swapped_weights``, ``reorder_rows``). Exchanged sides of two folds would be another of them; there are three folds.
"""

import contextlib
import copy
import functools
import json
import os
import shutil
import struct
import sys
import time
import traceback
import tracemalloc
import warnings
import zipfile
from pathlib import Path

import numpy as np
from hypothesis import strategies as st
from scipy import sparse

import tcellmil as tm
from tcellmil.model._checksum import checksum_of
from tcellmil.model._files._folder import read_folder
from tcellmil.model._state import from_state

SOURCE = str(Path(tm.__file__).parent)
SECONDS, BYTES = 1.0, 200e6

#: What no file may make happen.
FORBIDDEN = ("pickle.find_class", "os.system", "os.exec", "os.posix_spawn", "subprocess.Popen", "socket.connect")

JSON_VALUES = (
    *(None, True, False, 0, -1, 1, 3, 7, 2.5, 5.0, -0.5, 1e300, 2 * 10**7, 10**9, 2**53, 2**63, -(2**63), 10**400),
    *("", "text", "auto", "0", "fold 0", "all", "cohort 0", "\ud800", "\0", "²", "x" * 5000, "../../etc/passwd"),
    *([], {}, [[]], ["text"], [1, 2], [None], {"kind": "classes"}, {"text": 1}, [["a"], ["b"]], list(range(3000))),
)
JSON_TEXTS = (
    *("", "{", "null", "3", "[]", "{}", '"text"', "NaN", '{"format": 3}', '{"format": 2}', '{"format": 99}'),
    *("[" * 100_000, '{"a":' * 50_000, "9" * 10_000, '{"format": 3, "format": 3}', " " * 3_000_000, "\0", "\ud800"),
)
OBJECTS = (
    *(None, True, 3, 1.5, np.nan, "text", b"bytes", [], [1.0], {}, {"a": 1}, (), object(), np.float32(1), 10**400),
    *(np.array(1.0), np.array("text"), np.array([]), np.array([None]), np.array([{}], dtype=object)),
    *(np.zeros(3, dtype=complex), np.zeros(3, dtype="datetime64[s]"), np.zeros(3, dtype="V8"), np.array([b"a"])),
    *(np.zeros((2, 2), dtype=[("a", "f4")]), sparse.eye(3, format="csr"), np.zeros((0, 5)), np.ones((3, 3), "f4")),
    *(np.array(["a", "b"]), np.array(["a", None], dtype=object), np.array(["x" * 2000]), np.full(3, 2**63, "u8")),
)
DTYPES = ("f2", "f4", "f8", "i1", "i4", "i8", "u8", "?", "c8", "O", "U", "S", ">f4", ">f8", ">i8")


# -- fits ---------------------------------------------------------------------------------------------------------


def fits(make_cohort, kinds=("classes", "autoencoder", "continuous", "ordinal", "whole")):
    """Small fits of several kinds: by name, the data and the state."""
    return {kind: _fit(make_cohort, kind) for kind in kinds}


def _fit(make_cohort, kind):
    adata = make_cohort(classes=("I", "II", "III"), n_patients=9) if kind == "ordinal" else make_cohort()
    age = {name: 40.0 + 3 * i for i, name in enumerate(adata.obs["patient"].unique())}
    adata.obs["age"] = adata.obs["patient"].map(age).astype(float)
    adata.obs["sex"] = np.where(adata.obs["age"] % 2 == 0, "f", "m")
    names = {"label_key": "response", "batch_key": "cohort", "use_rep": "X_regulons"}
    network, training = {"n_attention": 3}, {"cv": "rebalanced_loo", "max_epochs": 1}
    if kind == "autoencoder":
        names |= {"use_rep": ["X_regulons", "X_pca"]}
        network |= {"compression": "autoencoder", "n_hidden": 4, "n_latent": 3, "attention": "gated", "n_embed": 3}
        network |= {"instance_weight": 0.5, "batch_encoding": "film"}
        training |= {"cv": 3, "n_seeds": 2, "encoder": "shared", "max_epochs_ae": 1, "calibration": "temperature"}
    if kind == "continuous":
        names |= {"label_key": "age", "outcome": "continuous", "categorical_covariate_keys": ["sex"]}
    if kind == "ordinal":
        names |= {"outcome": "ordinal", "class_order": ["I", "II", "III"], "continuous_covariate_keys": ["age"]}
        names |= {"batch_key": None}
        training |= {"cv": 3}
    if kind == "whole":
        training |= {"cv": None}
    tm.model.TcellMIL.setup_anndata(adata, "patient", **names)
    model = tm.model.TcellMIL(adata, **network)
    model.train(progress=False, accelerator="cpu", **training)
    return adata, model.to_state()


# -- damage -------------------------------------------------------------------------------------------------------


class Damaged:
    """What is to be opened, and what was done to it; hypothesis prints the latter."""

    def __init__(self, content, done):
        self.content, self.done = content, done

    def __repr__(self):
        return self.done


@st.composite
def damaged_states(draw, whole):
    """A damaged copy of a state, and what was done to it; ``whole`` is it undamaged."""
    signed = draw(st.booleans())
    acts = SIGNED if signed else UNSIGNED
    state = copy.deepcopy(whole.content)
    act = draw(st.sampled_from(acts))
    done = act(draw, state)
    if not signed and draw(st.booleans()):
        with contextlib.suppress(TypeError, ValueError, IndexError, KeyError, AttributeError):  # nothing left to damage
            done += ", " + draw(st.sampled_from(acts))(draw, state)
    if signed:
        # what a checksum cannot be made of carries none that is right
        with contextlib.suppress(Exception):
            state["checksum"] = checksum_of(state["config"], state["weights"], state["splits"])
    return Damaged(state, f"{done}{', signed' if signed else ''}")


def _array(draw, state, kinds="biufOU"):
    """A part of the state and the name of one of its arrays, if something is left."""
    places = [
        (part, name)
        for part in ("weights", "splits")
        if isinstance(state.get(part), dict)
        for name, values in state[part].items()
        if isinstance(values, np.ndarray) and values.dtype.kind in kinds and values.size
    ]
    if not places:
        return {"none": np.ones(1)}, "none"
    part, name = draw(st.sampled_from(places))
    return state[part], name


def lose_array(draw, state):
    part, name = _array(draw, state)
    del part[name]
    return f"lose {name}"


def add_array(draw, state):
    part, name = _array(draw, state)
    new = draw(
        st.sampled_from(["extra", "", "../x", 3, None, f"{name} ", f"{name}.weight", "encoder.9.centre", "\ud800"])
    )
    part[new] = part[name]
    return f"add {new!r}"


def rename_array(draw, state):
    part, name = _array(draw, state)
    part[name.upper()] = part.pop(name)
    return f"rename {name}"


def replace_array(draw, state):
    part, name = _array(draw, state)
    part[name] = draw(st.sampled_from(OBJECTS))
    return f"{name} = {part[name]!r:.60}"


def change_type(draw, state):
    part, name = _array(draw, state)
    dtype = draw(st.sampled_from(DTYPES))
    with contextlib.suppress(ValueError, TypeError), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        part[name] = part[name].astype(dtype)
    return f"{name} as {dtype}"


def change_shape(draw, state):
    part, name = _array(draw, state)
    old = part[name]
    new = [
        old[None],
        old.reshape(-1),
        old.T,
        old[:-1],
        old[..., :-1],
        old[:0],
        np.concatenate([old, old]),
        old[..., None],
    ]
    which = draw(st.integers(0, len(new) - 1))
    if new[which].shape != old.shape or (old.ndim > 1 and which == 2):
        part[name] = new[which] if new[which].shape != old.shape else np.asarray(old)[:-1]
    return f"{name} {old.shape} to {part[name].shape}"


def spoil_values(draw, state):
    """Values that no fit has."""
    part, name = _array(draw, state, "f")
    values = part[name] = part[name].copy()
    value = draw(st.sampled_from([np.nan, np.inf, -np.inf]))
    if name.endswith(("scale", "spread", "unit", "covariate_sd", "temperature")):
        value = draw(st.sampled_from([value, 0.0, -1.0, -0.0]))
    values.flat[draw(st.integers(0, values.size - 1))] = value
    return f"{name} holds {value}"


def other_values(draw, state):
    """Finite weights of another fit, which are found by the checksum only."""
    part, name = _array(draw, state, "f")
    values = part[name] = part[name].copy()
    values.flat[draw(st.integers(0, values.size - 1))] += 1.5
    return f"other {name}"


def flip_byte(draw, state):
    part, name = _array(draw, state, "biuf")
    content = bytearray(part[name].tobytes())
    content[draw(st.integers(0, len(content) - 1))] ^= 1 << draw(st.integers(0, 7))
    part[name] = np.frombuffer(bytes(content), dtype=part[name].dtype).reshape(part[name].shape)
    return f"flip a bit of {name}"


def swapped_weights(draw, state):
    part, name = _array(draw, state)
    other, other_name = _array(draw, state)
    part[name], other[other_name] = other[other_name], part[name]
    return f"swap {name} and {other_name}"


def reorder_rows(draw, state):
    part, name = _array(draw, state)
    part[name] = part[name][::-1].copy()
    return f"reorder {name}"


def change_splits(draw, state):
    splits = state.get("splits")
    if not isinstance(splits, dict) or not {"train", "test", "patients", "fold", "seed"} <= set(splits):
        return "nothing"
    kinds = {name: getattr(values, "dtype", np.dtype("V")).kind for name, values in splits.items()}
    if (kinds["train"], kinds["test"]) != ("b", "b") or splits["train"].shape != splits["test"].shape:
        return "nothing"
    acts = ("swap sides", "hold out nobody", "hold out all", "train on nobody", "train on all", "one more", "one less")
    acts += ("two names", "other order", "other name", "other fold", "other seed", "rows", "encoder")
    act = draw(st.sampled_from(acts))
    train, test = splits["train"].copy(), splits["test"].copy()
    if train.ndim != 2 or not train.size:
        return "nothing"
    k, i = draw(st.integers(0, len(train) - 1)), draw(st.integers(0, train.shape[1] - 1))
    if act == "swap sides":
        train, test = test, train
    elif act == "hold out nobody":
        test[:] = False
    elif act == "hold out all":
        test[:] = True
    elif act == "train on nobody":
        train[k] = False
    elif act == "train on all":
        train[k] = True
    elif act == "one more":
        test[k, i] = True
        train[k, i] &= draw(st.booleans()) or len(train) == 1  # of one replica, that is a patient without a label
    elif act == "one less":
        test[k] = False
    elif act == "rows":
        test = np.roll(test, 1, axis=0)
    elif act == "encoder" and isinstance(state.get("weights"), dict):
        own = np.array(state["weights"].get("encoder_of_replica", [0]))
        own[k % len(own)] = draw(st.sampled_from([-1, 7, 10**9, 0]))
        state["weights"]["encoder_of_replica"] = own
    splits.update(train=train, test=test)
    for name, of_act in (("patients", ("two names", "other name")), ("fold", ("other fold",))):
        if act in of_act:
            values = np.array(splits[name], dtype=object)
            values[k % len(values)] = (
                values[0] if act == "two names" else draw(st.sampled_from(["", "fold 9", "P3", "x" * 3000]))
            )
            splits[name] = values
    if act == "other order":
        splits["patients"] = splits["patients"][::-1].copy()
    if act == "other seed" and kinds["seed"] == "i":
        splits["seed"] = splits["seed"] + np.arange(len(splits["seed"])) % 2
    return act


def change_json(draw, state):
    """Any value of the configuration by another, lost, or beside a new one."""
    try:
        values = json.loads(state["config"])
    except (KeyError, TypeError, ValueError, RecursionError):
        return "nothing"
    places, open_ = [], [values]
    while open_:
        parent = open_.pop()
        for key in list(parent) if isinstance(parent, dict) else range(len(parent)):
            places.append((parent, key))
            if isinstance(parent[key], dict | list):
                open_.append(parent[key])
    parent, key = draw(st.sampled_from(places)) if places else (values, "x")
    act = draw(st.sampled_from(["replace", "replace", "replace", "lose", "add"]))
    if act == "replace":
        parent[key] = draw(st.sampled_from(JSON_VALUES))
    elif act == "lose":
        del parent[key]
    elif isinstance(parent, dict):
        parent[draw(st.sampled_from(["extra", "", "__class__"]))] = 1
    else:
        parent.append(parent[key])
    state["config"] = json.dumps(values)
    return f"{act} {key!r:.40} of config: {parent!r:.80}"


def change_text(draw, state):
    text = state.get("config")
    if not isinstance(text, str) or not text:
        return "nothing"
    act = draw(st.sampled_from(["other", "cut", "junk", "object", "spaces"]))
    i = draw(st.integers(0, len(text)))
    junk = draw(st.sampled_from(["NaN", "1e999", "{", "\\", '"', ",", "0" * 5000, "\0", "Infinity"]))
    others = {"other": draw(st.sampled_from(JSON_TEXTS)), "cut": text[:i], "junk": text[:i] + junk + text[i:]}
    others |= {"object": draw(st.sampled_from(OBJECTS)), "spaces": json.dumps(_loaded(text), indent=1)}
    state["config"] = others[act]
    return f"config {act} {i} {junk[:9]!r}"


def _loaded(text):
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def change_part(draw, state):
    part = draw(st.sampled_from(["config", "weights", "splits", "checksum"]))
    if draw(st.booleans()):
        state.pop(part, None)
        return f"lose {part}"
    state[part] = draw(st.sampled_from(OBJECTS))
    return f"{part} = {state[part]!r:.60}"


SIGNED = (lose_array, add_array, rename_array, replace_array, change_type, change_shape, spoil_values, change_json)
SIGNED += (change_json, change_json, change_splits, change_splits, change_text, change_part)
UNSIGNED = (*SIGNED, other_values, flip_byte, swapped_weights, reorder_rows)


# -- folders ------------------------------------------------------------------------------------------------------


@st.composite
def damaged_folders(draw, folder, scratch):
    """A damaged copy of a saved model in ``scratch``, and what was done to it."""
    path = Path(scratch, "model")
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(folder, path)
    act = draw(st.sampled_from(["cut", "flip", "lose", "thing", "beside", "member", "json", "json"]))
    file = path / draw(st.sampled_from(["model.json", "arrays.npz"]))
    if act in ("cut", "flip"):
        content = bytearray(file.read_bytes())
        i = draw(st.integers(0, len(content) - 1))
        content[i] ^= 1 << draw(st.integers(0, 7))
        file.write_bytes(content if act == "flip" else content[:i])
        return Damaged(path, f"{act} {file.name} at {i}")
    if act == "lose":
        file.unlink()
        return Damaged(path, f"lose {file.name}")
    if act == "thing":
        file.unlink()
        thing = draw(st.sampled_from(["folder", "pipe", "/dev/zero", "/dev/null", "/etc/hostname", "loop", "copy"]))
        if thing == "folder":
            file.mkdir()
        elif thing == "pipe":
            os.mkfifo(file)
        else:
            target = {"loop": file, "copy": Path(folder, file.name)}.get(thing, thing)
            file.symlink_to(target)
        return Damaged(path, f"{file.name} is {thing}")
    if act == "beside":
        (path / "model.pkl").write_bytes(b"cos\nsystem\n(S'true'\ntR.")
        return Damaged(path, "a file beside")
    if act == "json":
        state = {"config": file.read_text() if file.name == "model.json" else (path / "model.json").read_text()}
        done = draw(st.sampled_from([change_json, change_text]))(draw, state)
        text = state["config"] if isinstance(state["config"], str) else repr(state["config"])
        (path / "model.json").write_text(text, encoding="utf-8", errors="surrogatepass")
        return Damaged(path, done)
    return Damaged(path, _change_member(draw, path / "arrays.npz"))


def _change_member(draw, file):
    with zipfile.ZipFile(file) as archive:
        members = {info.filename: archive.read(info) for info in archive.infolist()}
    name = draw(st.sampled_from(sorted(members)))
    acts = ["lose", "again", "extra", "no array", "header", "bomb", "declared", "object", "path", "stored", "method"]
    act = draw(st.sampled_from(acts))
    content, method, again = members[name], zipfile.ZIP_DEFLATED, None
    if act == "lose":
        del members[name]
    elif act == "again":
        again = content
    elif act == "extra":
        members["weights/extra.npy"] = content
    elif act == "path":
        members["../../outside.npy"] = content
    elif act == "no array":
        members["weights/run.py"] = b"raise SystemExit"
    elif act == "bomb":
        members[name] = content + bytes(50_000_000)
    elif act in ("header", "object", "declared"):
        headers = {"declared": ["{'descr': '<f4', 'fortran_order': False, 'shape': (50000, 50000), }"]}
        headers["object"] = ["{'descr': '|O', 'fortran_order': False, 'shape': (1,), }"]
        headers["header"] = ["", "[" * 9000, "{'descr': [('a', 'O')], 'fortran_order': False, 'shape': (1,)}", "{1: 2}"]
        headers["header"] += ["{'descr': '<f4', 'fortran_order': True, 'shape': (1, 1)}", "__import__('os').abort()"]
        headers["header"] += ["{'descr': '<f4', 'fortran_order': False, 'shape': (-1,)}", "x" * 60_000]
        header = draw(st.sampled_from(headers[act])).encode()
        # a pickle that would end the process
        run = b"cposix\n_exit\n(I77\ntR." if act == "object" else content[128:]
        members[name] = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(header)) + header + run
    elif act == "stored":
        method = zipfile.ZIP_STORED
    elif act == "method":
        method = draw(st.sampled_from([zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA]))
    with zipfile.ZipFile(file, "w", method) as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of names that stand twice
        for member, values in members.items():
            archive.writestr(member, values)
        if again is not None:
            archive.writestr(name, again)
    return f"{act} {name}"


# -- what must become of them -------------------------------------------------------------------------------------

_watched = []


def _watch(event, arguments):
    if _watched and event.startswith(FORBIDDEN):
        _watched.append(event)


@functools.cache
def _keep_watch():
    sys.addaudithook(_watch)


def numbers(adata, state):
    """What a model predicts of its own patients."""
    model = from_state(state)
    found = model.out_of_fold(model.read_again(adata)[1])
    return found.probabilities, found.attention, found.n_replicas


class Judge:
    """Open damaged states of one fit.

    Parameters
    ----------
    adata, state
        The data, and the state as it was written.
    """

    def __init__(self, adata, state):
        _keep_watch()
        self.adata, self.right, self.outcomes = adata, numbers(adata, state), {"same": 0, "refused": 0}

    def state(self, damaged):
        """A state in memory."""
        self._examine(lambda: damaged.content, damaged.done)

    def folder(self, damaged):
        """A folder on the disk."""
        self._examine(lambda: read_folder(damaged.content), damaged.done)

    def _examine(self, read, done):
        _watched[:] = ["watching"]
        tracemalloc.start()
        start, error, found = time.process_time(), None, None
        try:
            model = from_state(read())
            bags = model.read_again(self.adata)[1]
        except Exception as caught:  # noqa: BLE001 (which of them may be raised is what is examined)
            error = caught
        seconds, peak = time.process_time() - start, tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        if error is None:
            found = model.out_of_fold(bags)
            found = (found.probabilities, found.attention, found.n_replicas)
        events, _watched[:] = _watched[1:], []
        assert not events, f"{done}: it made {events} happen"
        assert seconds < SECONDS, f"{done}: {seconds:.1f} s"
        assert peak < BYTES, f"{done}: {peak / 1e6:.0f} MB"
        if error is None:
            assert all(np.array_equal(*pair, equal_nan=True) for pair in zip(found, self.right, strict=True)), done
        else:
            last = traceback.extract_tb(error.__traceback__)[-1]
            own = last.filename.startswith(SOURCE) and isinstance(error, ValueError | KeyError | TypeError)
            assert own and len(str(error)) > 20, (
                f"{done}: {type(error).__name__}: {error} ({last.filename}:{last.lineno})"
            )
        self.outcomes["same" if error is None else "refused"] += 1
