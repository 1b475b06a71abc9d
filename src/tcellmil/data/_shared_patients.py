"""Whether samples seem to share patients, by what a column of ``obs`` is called and holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from tcellmil._checks import is_mudata, some
from tcellmil._log import warn

from ._fields import Fields

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from ._read import Cohort

_ID = "(?:id|ids|identifier|name|no|nr|num|number|code|key|index|barcode|uuid|uid|anon)"
_PERSON = "(?:host)?(?:patient|donor|subject|individual|participant|person|proband|mouse|animal|indiv)s?"
#: Names of columns with people, or animals, and nothing else: ``"donor"``, ``"PatientID"``, not ``"donor_age"``.
PEOPLE = re.compile(f"(?:orig|original|de)?(?:{_PERSON}{_ID}*|ind{_ID}*|(?:pt|pat|subj|case|p){_ID}+)")
#: Words in the names of columns that are of anything else: pools, plates, days, treatments.
OF_OTHERS = re.compile(
    "batch|pool|lib|plate|chip|lane|run|seq|well|date|day|week|month|time|visit|stage|phase|site|cent|hospital|study|"
    "dataset|project|cohort|tissue|organ|cond|treat|stim|dose|drug|group|class|type|label|status|age|sex|gender"
)
#: Samples a person, on average, at most.
MOST_SAMPLES = 6
#: People, at least, where nothing but the names of samples says that they are people.
LEAST_PEOPLE = 3


def warn_of_shared_patients(data: AnnData | MuData, fields: Fields, cohort: Cohort, *, fitted: bool = True) -> None:
    """Warn where a column of ``obs`` groups samples by patient and ``group_key`` names none.

    A column counts that is the same in all cells of each sample, has fewer values than there are samples, and does not
    follow from the class of the sample. It also needs a name that is of people, such as ``"donor_id"``, and at least
    one value for each :data:`MOST_SAMPLES` samples. Any other column of text counts only where its values are parts of
    the names of just their own samples (``"P1"`` of ``"P1_pre"`` and ``"P1_post"``), there are at least half as many
    as samples, and its name is not that of a pool, a day or a treatment (:data:`OF_OTHERS`). Samples that nothing is
    ``fitted`` on are only measured.
    """
    if fields.group_key is not None:
        return
    names = cohort.patients.index.to_numpy(dtype=str)
    _, first, sample = np.unique(cohort.sample, return_index=True, return_inverse=True)
    labels = cohort.patients["label"].to_numpy() if fields.outcome_type.has_classes else None
    taken = {key for _, key in fields.columns()}
    for column, values in _columns(data):
        is_people = _is_people(column)
        if column in taken or not (is_people or _may_be_people(column, values)):
            continue
        codes, levels = pd.factorize(values)
        if not (codes[first][sample] == codes).all():
            continue  # several values in a sample
        of_sample = np.where(codes[first] < 0, len(levels) + np.arange(len(first)), codes[first])
        n_people = len(np.unique(of_sample))
        if n_people == len(names) or len(levels) < 2 or _follows(of_sample, labels):
            continue
        text = np.array([str(level) for level in levels])
        if _enough(n_people, len(names)) if is_people else _are_in_names(of_sample, text, names):
            leak = "Networks that trained on one sample of a patient then predict the others, and intervals"
            shared = names[of_sample == np.bincount(of_sample).argmax()]
            warn(
                f"samples seem to share patients: obs[{column!r}] has {n_people} values for the {len(names)} of "
                f"{fields.sample_key!r}, one for {some(shared)}. {leak if fitted else 'Intervals'} are "
                f"too narrow; pass group_key={column!r} to keep them together"
            )
            return


def _columns(data: AnnData | MuData) -> Iterator[tuple[str, pd.Series]]:
    """Columns of ``obs`` as arguments name them, those of people first."""
    columns = [(str(name), data.obs[name]) for name in data.obs]
    if is_mudata(data):
        parts = [(mod, part.obs) for mod, part in data.mod.items()]
        columns += [(f"{mod}:{name}", obs[name].reindex(data.obs_names)) for mod, obs in parts for name in obs]
    yield from sorted(columns, key=lambda item: not _is_people(item[0]))


def _is_people(column: str) -> bool:
    return PEOPLE.fullmatch(re.sub(r"[^a-z]", "", column.rpartition(":")[2].lower())) is not None


def _may_be_people(column: str, values: pd.Series) -> bool:
    """Whether it is a column of text without the name of anything else."""
    if OF_OTHERS.search(column.lower()):
        return False
    of = values.cat.categories if isinstance(values.dtype, pd.CategoricalDtype) else values
    return pd.api.types.is_object_dtype(of) or pd.api.types.is_string_dtype(of)


def _follows(codes: np.ndarray, labels: np.ndarray | None) -> bool:
    """Whether the class of a sample gives its code, as a column of patients and controls is given by it."""
    if labels is None:
        return False
    table = pd.DataFrame({"label": labels, "code": codes}).dropna()
    return bool((table.groupby("label")["code"].nunique() <= 1).all())


def _enough(n_people: int, n_samples: int) -> bool:
    return n_people * MOST_SAMPLES >= n_samples


def _are_in_names(codes: np.ndarray, levels: np.ndarray, names: np.ndarray) -> bool:
    """Whether each value is a part of the names of its own samples and of no others."""
    if codes.max() >= len(levels) or len(levels) < max(LEAST_PEOPLE, len(names) / 2):
        return False
    for code, level in enumerate(levels):
        part = re.compile(rf"(?<!{_like(level[:1])}){re.escape(level)}(?!{_like(level[-1:])})")
        if not level or ((np.array([part.search(name) is not None for name in names])) != (codes == code)).any():
            return False
    return True


def _like(letter: str) -> str:
    """What may not be beside a part: more digits beside a digit, more letters beside a letter."""
    return "[0-9]" if letter.isdigit() else "[A-Za-z]" if letter.isalpha() else "(?!)"
