"""Other people's methods, as functions that :func:`tcellmil.tl.benchmark` can compare."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_multimil": ["multimil"],
    },
)
