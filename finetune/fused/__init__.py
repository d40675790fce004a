"""A training step of Mllama's text model written out: forward and backward pass of each layer."""
