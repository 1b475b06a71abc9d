"""What a fitted model rests on: perturbation, SHAP, attention."""
