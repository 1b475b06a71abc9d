"""Signatures of perturbations, as other projects keep them."""
