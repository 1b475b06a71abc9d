"""Which patients each replica trains on, and which it holds out."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_balancing": ["balancing_weights"],
        "_replicas": ["Replicas", "make_replicas"],
        "_splitters": [
            "GivenSplits",
            "LeaveCohortOut",
            "LeaveOneOut",
            "LeavePairOut",
            "Patients",
            "RebalancedLeaveOneOut",
            "Splitter",
            "StratifiedFolds",
        ],
    },
)
