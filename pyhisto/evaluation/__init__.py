"""Predictions, the rules that make decisions of them, and the measures of those decisions."""
