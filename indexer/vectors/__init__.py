"""Embeddings on disk, and how they are searched."""
