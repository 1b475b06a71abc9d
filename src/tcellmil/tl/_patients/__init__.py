"""Patients: fit, predict, compare, and the same on permuted labels."""
