"""Preference training: pairs of answers to one prompt, of which one is to be preferred."""
