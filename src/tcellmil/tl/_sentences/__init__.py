"""Cells as sentences: annotate, generate, embed, and compare with bulk."""
