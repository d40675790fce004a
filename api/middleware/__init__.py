"""What surrounds every request: access, limits, problems, observability."""
