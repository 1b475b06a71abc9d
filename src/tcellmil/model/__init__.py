"""Model classes in the manner of scvi-tools."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_sentences._c2s": ["C2S"],
        "_tcellmil": ["TcellMIL"],
    },
)
