"""Evaluation of dfmon against what followed: regressions with their nulls, comparisons with others, books of record."""
