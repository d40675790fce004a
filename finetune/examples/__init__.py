"""Training examples from studies and data sets."""
