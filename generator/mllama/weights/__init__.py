"""Weights of Llama 3.2 Vision in plain torch, without importing transformers."""
