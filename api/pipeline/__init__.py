"""From a request to a stored generation."""
