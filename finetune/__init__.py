"""Training: from an index to an adapter or an encoder."""
