"""The verbs of ``python -m api``."""
