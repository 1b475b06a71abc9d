"""Patient-level prediction from single cells, in the manner of scanpy.

Sub-modules load at first use (SPEC 1), so importing the package costs next to nothing:
torch, scvi-tools, decoupler and shap are imported by the function that needs them.
"""

from importlib.metadata import version

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submodules=[
        "c2s",
        "comparison",
        "cv",
        "data",
        "datasets",
        "external",
        "fitted",
        "get",
        "io",
        "metrics",
        "model",
        "nn",
        "outcomes",
        "pl",
        "pp",
        "regulons",
        "stats",
        "tl",
        "training",
    ],
)
__all__ = sorted([*__all__, "__version__"])
__version__ = version("tcellmil")
