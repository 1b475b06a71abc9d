"""What verbs write and how it is read: where it is, its parts and tables, and whether its model may know nothing."""

from __future__ import annotations

from ._doubt import doubt_of_fit, warn_without_skill
from ._places import OF_FIT, OWN, call_on, place_of
from ._read import (
    attention_of_cells,
    fit_of,
    fit_part,
    fit_table,
    outcome_of_fit,
    outcome_of_result,
    part_of,
    regulon_activity,
    table_of,
)
from ._tables import counted, largest_first, named_predictions, patients_in_words, rows_of, stored_predictions

__all__ = [
    "OF_FIT",
    "OWN",
    "attention_of_cells",
    "call_on",
    "counted",
    "doubt_of_fit",
    "fit_of",
    "fit_part",
    "fit_table",
    "largest_first",
    "named_predictions",
    "outcome_of_fit",
    "outcome_of_result",
    "part_of",
    "patients_in_words",
    "place_of",
    "regulon_activity",
    "rows_of",
    "stored_predictions",
    "table_of",
    "warn_without_skill",
]
