"""Scores search, reports and answers, with confidence intervals."""
