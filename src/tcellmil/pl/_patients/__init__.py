"""Pictures of patients: how good predictions are, and for whom."""
