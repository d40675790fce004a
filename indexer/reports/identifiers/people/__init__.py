"""Find the names of people in text."""
