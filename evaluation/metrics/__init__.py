"""Scores of texts, labels and rankings, and their intervals."""
