"""Methods compared on the same splits of the same patients."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_baselines": ["composition", "fit_baseline"],
        "_methods": ["Fitted", "Method", "Problem", "StackMethod"],
        "_runs": ["Run", "run_method"],
    },
)
