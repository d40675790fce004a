"""Sentences to findings: what is mentioned, whether it is there, and which one it is."""
