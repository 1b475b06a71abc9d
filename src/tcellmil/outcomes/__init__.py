"""What is predicted of each patient. One class owns everything about one kind of outcome.

A further kind of outcome is one more file with a subclass of :class:`Outcome`, and its name in :data:`OUTCOMES`.
"""

from __future__ import annotations

from collections.abc import Mapping

from ._base import ALL_PATIENTS, LOWER_IS_BETTER, Outcome
from ._classes import Classes
from ._continuous import Continuous
from ._ordinal import Ordinal
from ._survival import Survival

#: Kinds of outcome by name, as users pass it.
OUTCOMES: dict[str, type[Outcome]] = {kind.kind: kind for kind in (Classes, Ordinal, Continuous, Survival)}


def outcome_of(params: Mapping) -> Outcome:
    """Return the outcome of a stored result, from its ``params``.

    Examples
    --------
    >>> outcome_of({"outcome": "continuous", "label_key": "age", "event_key": "", "classes": ["age"]}).quantity("age")
    'age'
    """
    return OUTCOMES[str(params["outcome"])].from_params(params)


__all__ = ["Classes", "Continuous", "Ordinal", "Outcome", "Survival", "outcome_of"]
