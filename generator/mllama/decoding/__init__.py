"""Prefill and decoding with the text model of a Llama 3.2 Vision model."""
