"""Training of a stack of replicas, one file per stage."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_selection._architecture": ["configurations", "resolve"],
        "_selection._choice": ["fit_ensemble"],
        "_selection._calibration": ["fit_temperatures"],
        "_config": ["TrainingConfig"],
        "_fit": ["fit_stack"],
        "_optim": ["StackedAdamW"],
    },
)
