"""Scores of written reports."""
