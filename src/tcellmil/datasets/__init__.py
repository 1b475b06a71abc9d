"""Cohorts to try the package on."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_pbmc_cohort": ["pbmc_cohort"],
    },
)
