"""Writing is all or nothing."""

import os
import signal

import numpy as np
import pandas as pd
import pytest

from tcellmil._params import plain, storable
from tcellmil._verbs import _write, uninterrupted


@pytest.fixture(autouse=True)
def interruptible():
    """Ctrl-C raises, also where the tests were started in the background."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


class Fragile(dict):
    """A mapping that fails when it gets a certain key."""

    def __init__(self, values, at, failure):
        super().__init__(values)
        self.at, self.failure = at, failure

    def __setitem__(self, key, value):
        if key == self.at and self.failure is not None:
            failure, self.failure = self.failure, None
            failure()
        super().__setitem__(key, value)


def fail():
    raise OSError("no space")


def interrupt():
    os.kill(os.getpid(), signal.SIGINT)


@pytest.mark.parametrize(("failure", "error"), [(fail, OSError), (interrupt, KeyboardInterrupt)])
@pytest.mark.parametrize("at", ["a", "b", "new"])
def test_what_fails_or_is_interrupted_leaves_everything_as_it_was(failure, error, at):
    first, second = {"a": 1, "gone": 2}, Fragile({"b": 3}, at, failure)
    with pytest.raises(error):
        _write((first, {"a": 10, "gone": None}), (second, {at: 30, "b": 31, "new": 32}))
    assert first == {"a": 1, "gone": 2} and second == {"b": 3}
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_none_takes_a_value_out():
    values = {"a": 1, "b": 2}
    _write((values, {"a": None, "c": 3, "d": None}))
    assert values == {"b": 2, "c": 3}


def test_an_interrupt_comes_after_the_block_that_holds_it_back():
    done = False
    with pytest.raises(KeyboardInterrupt), uninterrupted():
        interrupt()
        done = True
    assert done and signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_an_interrupt_that_the_caller_ignores_or_handles_is_left_to_it():
    seen = []
    for handler in (signal.SIG_IGN, lambda *args: seen.append(args)):
        signal.signal(signal.SIGINT, handler)
        values = {"a": 1}
        _write((Fragile(values, "a", interrupt), {"a": 2}))
        assert signal.getsignal(signal.SIGINT) is handler
    assert len(seen) == 1


def test_text_is_stored_as_objects():
    table = pd.DataFrame({"name": pd.array(["a", None], dtype="string"), "n": [1, 2]}, index=["x", "y"])
    table.index = table.index.astype("string")
    stored = storable({"table": table, "names": pd.array(["a"], dtype="string"), "values": np.ones(2)})
    assert stored["table"]["name"].dtype == object and stored["table"].index.dtype == object
    assert stored["table"]["n"].dtype == np.int64 and stored["names"].dtype == object
    assert stored["values"].dtype == float


def test_records_are_the_same_in_every_process():
    class Splitter:
        pass

    def score(train, test):
        return None

    assert plain(cv=Splitter(), methods={"mine": score}) == {"cv": "Splitter", "methods": plain(m={"mine": score})["m"]}
    assert " at 0x" not in plain(methods={"mine": score, "other": Splitter()})["methods"]


def test_a_modality_is_added_whole_before_an_interrupt_comes(monkeypatch):
    import anndata as ad
    import mudata

    import tcellmil as tm

    rna = ad.AnnData(np.random.default_rng(0).poisson(1, (40, 60)).astype(np.float32))
    mdata = mudata.MuData({"rna": rna})
    update = mudata.MuData.update

    def interrupted(self, *args, **kwargs):
        interrupt()
        return update(self, *args, **kwargs)

    monkeypatch.setattr(mudata.MuData, "update", interrupted)
    net = pd.DataFrame({"source": "A", "target": rna.var_names[:20]})
    with pytest.raises(KeyboardInterrupt):
        tm.tl.regulons(mdata, net=net, auc_threshold=0.5)
    assert mdata.n_vars == 61 and tm.get.regulons(mdata).shape == (40, 1)
