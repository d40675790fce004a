"""Accepted work that is not done yet: its studies, their rows, and the store of both."""
