"""Data of a model: the user's keys, one reading of them, and what is learned of a cohort."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_bags": ["Bags"],
        "_fields": ["Fields"],
        "_read": ["Cohort", "read"],
        "_schema": ["Schema"],
        "_sentences": ["CellSentences"],
    },
)
