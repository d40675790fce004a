"""Radiographs and sentences to embeddings of one space."""
