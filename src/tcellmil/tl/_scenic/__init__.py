"""Regulons as in SCENIC: network, pruning, scores."""
