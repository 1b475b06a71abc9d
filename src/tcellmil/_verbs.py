"""What every verb does around its computation: check where the result goes, compute, write all of it or nothing.

A verb is a function under :func:`verb` that reads, calls and returns a :class:`Result`; it writes nothing itself.
"""

from __future__ import annotations

import functools
import inspect
import signal
import threading
from collections.abc import Callable, Iterator, Mapping, MutableMapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

from tcellmil import _keys
from tcellmil._checks import check_data, is_mudata
from tcellmil._isolation import isolated
from tcellmil._log import logger
from tcellmil._params import plain, storable
from tcellmil._provenance import count_patients, named, other_fits, params_of, record_of, verb_of
from tcellmil._results import OF_FIT, place_of

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

#: Arguments that say where and how a result is written, not how it was computed.
NOT_RECORDED = ("copy", "progress", "key_added", "model")


@dataclass(frozen=True)
class Result:
    """What a verb computed.

    Parameters
    ----------
    parts
        Tables and arrays by name, for ``uns``.
    message
        One line for the log: what was done, in figures.
    params
        What was found or resolved; it takes precedence over the arguments of the same names.
    obsm, obs
        Arrays of cells by what comes after the name of the result: ``""`` is the name itself.
    add
        Writes the result in another way, where it does not go into ``uns``, ``obsm`` and ``obs`` of the data:
        ``add(data, name, parts)``.
    """

    parts: Mapping[str, Any]
    message: str
    params: Mapping[str, Any] = field(default_factory=dict)
    obsm: Mapping[str, np.ndarray] = field(default_factory=dict)
    obs: Mapping[str, np.ndarray] = field(default_factory=dict)
    add: Callable[[MuData, str, dict], None] | None = None


def verb(
    *, obsm: Sequence[str] = (), obs: Sequence[str] = (), modality: bool = False, backed: bool = False
) -> Callable:
    """Make a public verb of a function that returns a :class:`Result`.

    The verb has the signature of the function, which has to include ``key_added`` and ``copy``: these two are for the
    verb alone. It raises before anything is computed where ``key_added`` cannot be used, and returns ``None``, or the
    changed copy. Global states are as before afterwards (:func:`tcellmil._isolation.isolated`). Interrupts during the
    writing wait until everything is written, or undo all of it.

    Parameters
    ----------
    obsm, obs
        What the function may write besides ``uns``: what comes after the name of the result, as in :class:`Result`.
    modality
        In a MuData, the result is a modality of its own.
    backed
        The AnnData may be backed by a file, unless a copy is to be changed: what is written stays in memory.
    """

    def decorate(function: Callable[..., Result]) -> Callable[..., AnnData | MuData | None]:
        signature = inspect.signature(function)
        first = next(iter(signature.parameters.values()))
        name, compute = function.__name__, isolated(function)

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            try:
                bound = signature.bind(*args, **kwargs)
            except TypeError:
                function(*args, **kwargs)  # whose own words are better
                raise
            bound.apply_defaults()
            given = bound.arguments
            data = given[first.name]
            check_data(data, backed=backed and not given["copy"])
            recorded = {k: v for k, v in given.items() if k != first.name and k not in NOT_RECORDED}
            stamp = _stamp_of_fit(data, name, given)
            place = _place_of(name, given)
            if modality and is_mudata(data):
                _check_modality(data, name, place)
            else:
                _check_place(data, name, place, [_obsm(place, s) for s in obsm], [_obs(place, s) for s in obs])
            result = compute(*args, **kwargs)
            params = {**plain(**recorded), **plain(**result.params), **stamp, **record_of(name)}
            n_patients = count_patients(data, params)
            params |= {} if n_patients is None else {"n_patients_here": n_patients}
            parts = storable({**result.parts, "params": params})
            data = data.copy() if given["copy"] else data
            if result.add is not None:
                with uninterrupted():
                    result.add(data, place, parts)
            else:
                of_obsm = {_obsm(place, suffix): result.obsm.get(suffix) for suffix in obsm}
                of_obs = {_obs(place, suffix): result.obs.get(suffix) for suffix in obs}
                _write((data.obsm, of_obsm), (data.obs, of_obs), (data.uns, {place: parts}))
            logger.info("%s: %s", name, result.message)
            return data if given["copy"] else None

        returned = f"{first.annotation} | None"
        wrapper.__signature__ = signature.replace(return_annotation=returned)
        wrapper.__annotations__ = {**function.__annotations__, "return": returned}
        return wrapper

    return decorate


def _stamp_of_fit(data: AnnData | MuData, name: str, given: Mapping[str, Any]) -> dict[str, str]:
    """Which fit a result will belong to."""
    if name not in OF_FIT:
        return {}
    key = given["key"]
    if not isinstance(key, str):
        raise TypeError(f"key must be the name of a fit, got {key!r}; {other_fits(data)}")
    params = params_of(data.uns.get(key))
    if "fit" not in params:
        predict = "run tl.predict(adata, model) first; " if given.get("model") is not None else ""
        raise KeyError(f"adata.uns has no fit {key!r}; {predict}{other_fits(data)}")
    return {"fit": str(params["fit"])}


def _place_of(name: str, given: Mapping[str, Any]) -> str:
    """Name of the result."""
    place = given["key_added"]
    if place is None:
        place = place_of(name, given.get("key", _keys.TCELLMIL))
    if not isinstance(place, str):
        raise TypeError(f"key_added must be text, the name of the result, got {place!r}")
    if not place or "/" in place:
        raise ValueError(f"key_added={place!r} cannot name a result: files need a name without a slash")
    return place


def _check_place(data: AnnData | MuData, name: str, place: str, obsm: Sequence[str], obs: Sequence[str]) -> None:
    """Raise a ValueError where something is in the way that this verb has not written."""
    there = data.uns.get(place)
    if place in data.uns and verb_of(there) == name:
        return
    if place in data.uns:
        what = f"a result of {named(verb_of(there))}" if verb_of(there) else f"something else ({type(there).__name__})"
        raise ValueError(
            f"key_added={place!r}: adata.uns[{place!r}] holds {what}, which {named(name)} would replace; choose "
            f"another key_added, or delete it first: del adata.uns[{place!r}]"
        )
    taken = [f"adata.obsm[{key!r}]" for key in obsm if key in data.obsm]
    taken += [f"adata.obs[{key!r}]" for key in obs if key in data.obs]
    if taken:
        raise ValueError(
            f"key_added={place!r}: {taken[0]} is there, which {named(name)} did not write and would replace; choose "
            f"another key_added, or delete it first: del {', '.join(taken)}"
        )


def _check_modality(data: MuData, name: str, place: str) -> None:
    """The same of a modality."""
    if place in data.mod and verb_of(data.mod[place].uns.get(place)) != name:
        raise ValueError(
            f"key_added={place!r} is a modality that tl.{name} did not write, and would be lost; choose another"
        )


def _obsm(place: str, suffix: str) -> str:
    return _keys.representation(_obs(place, suffix))


def _obs(place: str, suffix: str) -> str:
    return _keys.of_fit(place, suffix) if suffix else place


def _write(*changes: tuple[MutableMapping, Mapping[str, Any]]) -> None:
    """Put values into mappings, all or none; ``None`` takes a value out."""
    before = [(target, {key: target[key] for key in values if key in target}) for target, values in changes]
    with uninterrupted() as interrupts:
        try:
            for target, values in changes:
                _put(target, values)
            if interrupts:
                raise KeyboardInterrupt
        except BaseException:
            for (target, values), (_, old) in zip(changes, before, strict=True):
                _put(target, {key: old.get(key) for key in values})
            raise


def _put(target: MutableMapping, values: Mapping[str, Any]) -> None:
    for key, value in values.items():
        if value is not None:
            target[key] = value
        elif key in target:
            del target[key]


@contextmanager
def uninterrupted() -> Iterator[list]:
    """Hold Ctrl-C back; yields the list of the interrupts that came meanwhile."""
    held: list = []
    handler = signal.getsignal(signal.SIGINT)
    if threading.current_thread() is not threading.main_thread() or handler is not signal.default_int_handler:
        yield held  # nothing is raised in another thread, nor where it is ignored; a handler of the caller's stays
        return
    signal.signal(signal.SIGINT, lambda *args: held.append(args))
    try:
        yield held
    finally:
        signal.signal(signal.SIGINT, handler)
    if held:
        raise KeyboardInterrupt
