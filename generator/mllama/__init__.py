"""Llama 3.2 Vision: loading and decoding."""
