"""Pictures of what a prediction rests on: cells and regulons."""
