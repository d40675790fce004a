"""Scores of answers to questions."""
