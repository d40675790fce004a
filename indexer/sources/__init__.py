"""Data sets, one reader a file."""
