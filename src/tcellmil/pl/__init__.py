"""Pictures of what tl wrote."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_attention": ["attention"],
        "_curves": ["prc", "roc"],
        "_history": ["history"],
        "_perturb": ["perturb"],
    },
)
