"""A generation in the formats of the field."""
