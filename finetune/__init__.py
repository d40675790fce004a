"""From an index to an adapter or an encoder, and its score."""
