"""The stages from a request to a stored generation."""
