"""Scores and calibration of the 14 observations."""
