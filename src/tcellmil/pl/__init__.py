"""Pictures of what tl wrote."""

import lazy_loader as _lazy

__getattr__, __dir__, __all__ = _lazy.attach(
    __name__,
    submod_attrs={
        "_attention": ["attention"],
        "_curves": ["prc", "roc"],
        "_history": ["history"],
        "_perturb": ["perturb"],
        "_perturb_dose": ["perturb_dose"],
        "_predictions": ["predictions"],
        "_shap": ["shap"],
        "_attention_enrichment": ["attention_enrichment"],
        "_attention_correlation": ["attention_correlation"],
        "_attention_stability": ["attention_stability"],
        "_batch_effect": ["batch_effect"],
        "_benchmark": ["benchmark"],
        "_calibration": ["calibration"],
        "_regulators": ["regulators"],
        "_regulon_activity": ["regulon_activity"],
    },
)
