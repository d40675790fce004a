"""How cases are ranked other than by their cosine."""
