"""Records of a source to cases and embeddings of an index."""
