"""Tables of how good predictions are."""
