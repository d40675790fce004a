"""Addenda: what they correct, what they withdraw, and what of a statement stays."""
